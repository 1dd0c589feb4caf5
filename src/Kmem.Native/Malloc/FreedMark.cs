using System.Runtime.CompilerServices;
using Kmem.Engine.Caches;
using Kmem.Engine.Pages;
using Kmem.Engine.Sized;

namespace Kmem.Native;

// Theory of the mark.
//
// The engine finds an object that is freed twice at once if it is still on top of a magazine or already in its slab, and otherwise only when
// a magazine is emptied. Programs in C want to know at the second free. So the bytes 8 to 11 of an object of a size class say that
// it is free: a number that the process drew when it started, put there by free and taken away by malloc. A free that
// finds it is suspicious, and looks for the object in all magazines; so what a program wrote by chance, or left from a copy of freed memory, costs a
// search and nothing else. Objects of caches are not marked: they keep what their constructor made of them.
//
// An object that was never handed out has no mark. For objects of a page and more a free also looks at the bit that says whether the object is in its
// slab: there it costs little beside the work on so much memory, and a free of the address behind the own block is a known mistake.
//
// Why there and so short: a load is slow that needs bytes of two stores under way, and what programs write first is the first word.

/// <summary>Tells freed objects of the size classes from live ones.</summary>
internal static unsafe class FreedMark
{
    private const ulong AuxvRandom = 25;

    /// <summary>Number of the cache, and so of the entry, of the smallest class.</summary>
    public const int FirstNumber = CacheRegistry.FirstOrdinary;

    private static uint s_mark;

    /// <summary>Draws the mark, from what the kernel gave the process.</summary>
    public static void Choose()
    {
        ulong* random = (ulong*)Libc.getauxval(AuxvRandom);
        s_mark = (uint)(random == null ? 0x9E3779B9 : *random) | 1;
    }

    /// <summary>Whether objects of this slab page are marked, and the mark is all that a free looks at.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool IsEnoughFor(Page* page) => (uint)page->FrontEntry - FirstNumber < SizeClasses.DefaultCountBelowPage;

    /// <summary>Whether objects of this slab page are marked.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsFor(Page* page) => (uint)page->FrontEntry - FirstNumber < SizeClasses.DefaultCount;

    /// <summary>Marks an object, and tells its size class. False: its page has none to mark, it is marked already, or there is more to look at.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryPut(Page* page, void* memory, out nuint sizeClass)
    {
        sizeClass = (nuint)page->FrontEntry - FirstNumber;
        uint mark = s_mark;
        if (sizeClass >= SizeClasses.DefaultCountBelowPage || *MarkOf(memory) == mark)
        {
            return false;
        }

        *MarkOf(memory) = mark;
        return true;
    }

    public static void Put(void* memory) => *MarkOf(memory) = s_mark;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Remove(void* memory) => *MarkOf(memory) = 0;

    /// <summary>The same where the memory may be a checked object, whose bytes past the requested ones nobody writes.</summary>
    public static void RemoveIfThere(void* memory)
    {
        if (*MarkOf(memory) == s_mark)
        {
            *MarkOf(memory) = 0;
        }
    }

    private static uint* MarkOf(void* memory) => (uint*)memory + 2;

    /// <summary>Ends the process if an object is marked, and indeed free, or in its slab.</summary>
    public static void FailIfFree(string operation, Page* page, void* memory)
    {
        SizedHeap* heap = ProcessHeap.Existing;
        bool isFree = (*MarkOf(memory) == s_mark && SizedHeap.IsFree(heap, memory)) || (!IsEnoughFor(page) && SizedHeap.IsInSlab(heap, page, memory));
        if (isFree)
        {
            MisuseMessage.Fail(operation, memory, Misuse.AlreadyFree);
        }
    }
}
