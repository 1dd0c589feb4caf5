using System.Runtime.CompilerServices;
using Kmem.Engine.Caches;
using Kmem.Engine.Pages;
using Kmem.Engine.Sized;

namespace Kmem;

/// <summary>
/// Allocation of any size from the heap that the whole process shares: <see cref="KmemHeap.Shared"/>.
/// </summary>
/// <remarks>
/// <para>Sizes are in bytes. Memory is aligned to 16 bytes, power-of-two sizes up to 4096 to themselves, and anything
/// larger than the largest size class (32 KiB) to a page. It lives until it is freed; the garbage collector never sees it.
/// Contents are not initialised unless a method says so. All methods may be called from any thread, and memory may be freed by any thread.</para>
/// <para>One <see cref="Free(void*)"/> frees every pointer that Kmem hands out from this heap, however large or aligned, objects of
/// caches included.</para>
/// <para>What a thread frees waits in magazines of its own for its next allocations, where the machine has restartable sequences; else in
/// magazines of its CPU. A thread that sleeps keeps up to 64 KiB of free objects of each size class until maintenance takes them, after five
/// passes; one that ends leaves them to the next thread.</para>
/// </remarks>
public static unsafe class Kmalloc
{
    // Read-only statics, so that the JIT folds them into the code of Alloc and Free.
    private static readonly KmemHeap s_heap = KmemHeap.Shared;
    private static readonly byte* s_classTable = s_heap.ClassTable;
    private static readonly nuint s_areas = s_heap.Areas;
    private static readonly nuint s_largest = s_heap.LargestClassBytes;
    private static readonly bool s_restartable = s_heap.Restartable;
    private static readonly byte* s_firstBase = s_heap.FirstBase;
    private static readonly Page* s_memoryMap = s_heap.MemoryMap;
    private static readonly nuint* s_frontier = s_heap.Frontier;

    /// <summary>Allocates at least <paramref name="sizeBytes"/> bytes, not initialised.</summary>
    /// <param name="sizeBytes">Bytes; 0 gives a pointer that must not be accessed and may be freed.</param>
    /// <returns>The memory, aligned to 16 bytes. Never null.</returns>
    /// <exception cref="System.OutOfMemoryException">The OS gives no more memory, or the heap's address space is full.</exception>
    /// <safety>The caller accesses no more than <see cref="UsableSize"/> bytes, does not read what it has not written, and does not use the memory after freeing it.</safety>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void* Alloc(nuint sizeBytes)
    {
        byte here;
        if (sizeBytes - 1 < s_largest)
        {
            if (SharedFronts.AreUsed)
            {
                if (ThreadFronts.TryFind(SharedFronts.Windows, &here, out ThreadFront* front)
                    && ThreadFront.TryPop(front, FastPath.EntryFor(front, s_classTable, sizeBytes), out void* own))
                {
                    return own;
                }
            }
            else
            {
                void* round = FastPath.Pop(FastPath.SlotFor(s_classTable, s_areas, sizeBytes), s_restartable);
                if (round != null)
                {
                    return round;
                }
            }
        }

        return s_heap.AllocSlow(sizeBytes, &here);
    }

    /// <summary>Like <see cref="Alloc"/>, but returns null when memory is out.</summary>
    /// <param name="sizeBytes">Bytes.</param>
    /// <returns>The memory, or null.</returns>
    /// <safety>As for <see cref="Alloc"/>.</safety>
    public static void* TryAlloc(nuint sizeBytes) => s_heap.TryAlloc(sizeBytes);

    /// <summary>Like <see cref="Alloc"/>, but every requested byte is zero.</summary>
    /// <param name="sizeBytes">Bytes.</param>
    /// <returns>The memory. Never null.</returns>
    /// <exception cref="System.OutOfMemoryException">As for <see cref="Alloc"/>.</exception>
    /// <safety>As for <see cref="Alloc"/>.</safety>
    public static void* AllocZeroed(nuint sizeBytes)
    {
        void* memory = Alloc(sizeBytes);
        s_heap.ClearFresh(memory, sizeBytes);
        return memory;
    }

    /// <summary>Like <see cref="Alloc"/>, with a larger alignment. Freed like everything else.</summary>
    /// <param name="sizeBytes">Bytes.</param>
    /// <param name="alignmentBytes">A power of two up to 1 GiB.</param>
    /// <returns>The memory. Never null.</returns>
    /// <exception cref="System.ArgumentException"><paramref name="alignmentBytes"/> is not a power of two up to 1 GiB.</exception>
    /// <exception cref="System.OutOfMemoryException">As for <see cref="Alloc"/>.</exception>
    /// <safety>As for <see cref="Alloc"/>.</safety>
    public static void* AllocAligned(nuint sizeBytes, nuint alignmentBytes) => s_heap.AllocAligned(sizeBytes, alignmentBytes);

    /// <summary>Changes the size of an allocation; its bytes are kept up to the smaller size.</summary>
    /// <param name="pointer">An allocation, or null, which makes this an <see cref="Alloc"/>.</param>
    /// <param name="sizeBytes">New size in bytes; 0 frees.</param>
    /// <returns>The allocation, moved or not.</returns>
    /// <exception cref="System.OutOfMemoryException">Memory is out; the allocation stays as it was.</exception>
    /// <exception cref="KmemMisuseException">
    /// <paramref name="pointer"/> is not an allocation of this heap; or damage was found: that of the allocation itself has ended it, that of another object has left it as it was.
    /// </exception>
    /// <safety>As for <see cref="Alloc"/>; <paramref name="pointer"/> is not used afterwards unless it was returned.</safety>
    public static void* Realloc(void* pointer, nuint sizeBytes) => s_heap.Realloc(pointer, sizeBytes);

    /// <summary>Frees an allocation of any size and alignment, or an object of a cache. Null is allowed.</summary>
    /// <param name="pointer">What was allocated.</param>
    /// <exception cref="KmemMisuseException">
    /// The pointer is foreign, inside something, of another heap, or free already; the message says whose it is. An object freed twice with
    /// other frees in between, or by two threads, is found when its magazine is emptied.
    /// </exception>
    /// <safety>The memory is not used afterwards by anyone.</safety>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Free(void* pointer)
    {
        byte here;
        if (SharedFronts.AreUsed)
        {
            if (FastPath.TryFindObject(SharedFronts.FirstBase, SharedFronts.Frontier, SharedFronts.MemoryMap, pointer, out Page* page)
                && ThreadFronts.TryFind(SharedFronts.Windows, &here, out ThreadFront* front)
                && ThreadFront.TryPush(front, ThreadFront.EntryOf(front, page->FrontEntry), pointer))
            {
                return;
            }
        }
        else if (FastPath.TryFree(s_firstBase, s_frontier, s_memoryMap, s_areas, s_restartable, pointer))
        {
            return;
        }

        s_heap.FreeSlow(pointer, &here);
    }

    /// <summary>Like <see cref="Free(void*)"/> for callers that know the size, which is checked.</summary>
    /// <param name="pointer">What was allocated.</param>
    /// <param name="sizeBytes">The size asked for, or one of the same size class.</param>
    /// <exception cref="KmemMisuseException">As for <see cref="Free(void*)"/>, or the size cannot be this allocation's.</exception>
    /// <safety>As for <see cref="Free(void*)"/>.</safety>
    public static void Free(void* pointer, nuint sizeBytes) => s_heap.Free(pointer, sizeBytes);

    /// <summary>Bytes that may be used at an allocation: what was asked for, rounded up.</summary>
    /// <param name="pointer">An allocation, or null.</param>
    /// <returns>Bytes; 0 for null and for allocations of 0 bytes.</returns>
    /// <exception cref="KmemMisuseException">The pointer is not an allocation of this heap.</exception>
    /// <safety>The allocation is live.</safety>
    public static nuint UsableSize(void* pointer) => s_heap.UsableSize(pointer);

    /// <summary>Bytes that a request would get: ask before allocating to use all of it.</summary>
    /// <param name="sizeBytes">Bytes.</param>
    /// <returns><paramref name="sizeBytes"/> rounded up to its size class or to pages.</returns>
    public static nuint RoundUpSize(nuint sizeBytes) => s_heap.RoundUpSize(sizeBytes);
}
