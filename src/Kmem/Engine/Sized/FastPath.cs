using System.Runtime.CompilerServices;
using Kmem.Engine.Caches;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Sized;

/// <summary>
/// Rung 1 of allocate and free, and what rung 0 needs to find its entry, inlined into the public entry points. What it takes as arguments is constant for a
/// heap: the shared heap passes read-only statics, which the JIT folds into the code.
/// </summary>
internal static unsafe class FastPath
{
    /// <summary>The word of the size class on CPU 0. <paramref name="sizeBytes"/> is 1 to the largest class.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static nuint SlotFor(byte* classTable, nuint areas, nuint sizeBytes) =>
        areas + ((nuint)classTable[(sizeBytes + 7) >> SizeClasses.GranuleShift] * 8);

    /// <summary>Rung 1 of allocate: null says "slow".</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void* Pop(nuint slot, bool restartable) =>
        restartable ? RestartableSequence.Pop(slot) : TryLockFrontEnd.Pop(WordOfHint(slot));

    /// <summary>Rung 1 of free: false says "slow".</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Push(nuint slot, void* round, bool restartable) =>
        restartable ? RestartableSequence.Push(slot, round) : TryLockFrontEnd.Push(WordOfHint(slot), round);

    /// <summary>
    /// Rung 1 of a free that knows only the address: the page's descriptor says whose object it is and where objects
    /// start. False says "slow": not below the frontier of the first range, no slab, no object, or no room.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryFree(byte* firstBase, nuint* frontier, Page* memoryMap, nuint areas, bool restartable, void* pointer) =>
        TryFindObject(firstBase, frontier, memoryMap, pointer, out Page* page)
        && Push(areas + ((nuint)page->CacheIndex * 8), pointer, restartable);

    /// <summary>The same where the cache is known: an object of another cache is "slow", where the mistake is named.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryFreeOf(int cacheIndex, nuint slot, byte* firstBase, nuint* frontier, Page* memoryMap, bool restartable, void* pointer) =>
        TryFindObject(firstBase, frontier, memoryMap, pointer, out Page* page)
        && page->CacheIndex == cacheIndex
        && Push(slot, pointer, restartable);

    /// <summary>Where the class's entry is in a front. <paramref name="sizeBytes"/> is 1 to the largest class.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static nuint* EntryFor(ThreadFront* front, byte* classTable, nuint sizeBytes) =>
        ThreadFront.EntryOf(front, classTable[(sizeBytes + 7) >> SizeClasses.GranuleShift]);

    /// <summary>
    /// The page of an address that starts an object. False: not below the frontier of the first range, no slab, or no object. Says nothing of
    /// whether the object is free.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryFindObject(byte* firstBase, nuint* frontier, Page* memoryMap, void* pointer, out Page* page)
    {
        nuint offset = (nuint)pointer - (nuint)firstBase;
        page = memoryMap + (offset >> Address.PageShift);
        if (offset >= *frontier)
        {
            return false;
        }

        uint units = Slab.UnitsOf(page, (nuint)pointer);
        if (units >= page->ObjectUnits)
        {
            return false;
        }

        if (!Slab.IsBoundary(page, units))
        {
            return false;
        }

        return true;
    }

    private static ulong* WordOfHint(nuint slot) =>
        (ulong*)(slot + ((nuint)((uint)Face.CurrentCpuHint() % (uint)Face.CpuCountMax()) << RestartableSequence.CpuAreaShift));
}
