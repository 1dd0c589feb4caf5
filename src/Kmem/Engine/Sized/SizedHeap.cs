using Kmem.Engine.Caches;
using Kmem.Engine.Os;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Sized;

// Theory of the sized heap: kmalloc.
//
// A heap is a zone of pages, a registry of caches on them, and one cache for each size class. A size up to the largest
// class goes to the cache that a table names; a larger one gets a run of pages of its own. Freeing needs no size:
// the page of the address knows whether it belongs to a slab, and of which cache, or starts a run.
//
//      Allocate(size)  0                     → the sentinel: an address that is never memory
//                      ≤ largest class       → cache of the class (theory: Cache.cs)
//                      above                 → run of pages (theory: Pages)
//      Free(address)   sentinel, null        → nothing
//                      page of a slab        → its cache, whichever made it
//                      head of a run         → pages
//                      anything else         → a caller's mistake, with its one name
//
// The control region holds what is one of a kind: | SizedHeap | class table |, committed at start.

/// <summary>A caller's mistake. The face has a public twin with the same values.</summary>
internal enum Misuse
{
    None,
    ForeignPointer,
    WrongHeap,
    InteriorPointer,
    AlreadyFree,
    WrongCache,
    WrongSize,
    WrongKind,
    LiveObjects,
}

internal unsafe struct HeapDefinition
{
    public OsTable Os;
    /// <inheritdoc cref="ZoneOptions.ReserveBytes"/>
    public nuint ReserveBytes;

    /// <inheritdoc cref="ZoneOptions.CapacityBytes"/>
    public nuint CapacityBytes;

    public bool Growable;
    public int CpuCount;
    public bool Restartable;

    /// <summary>Threads that may have fronts at a time, 0 for none: for one heap of the process at most, whose fronts the face keeps.</summary>
    public uint FrontCountMax;
    public SizeClassSet SizeClasses;
    public SlabRule SlabRule;
}

/// <summary>One heap: <c>kmalloc</c>, <c>kfree</c>, <c>krealloc</c>.</summary>
internal unsafe partial struct SizedHeap
{
    /// <summary>What a request for zero bytes gets: distinct from null, aligned, and never memory.</summary>
    public const nuint ZeroSizePointer = 16;

    /// <summary>Larger requests fail at once: no address space holds them.</summary>
    public static nuint SizeBytesMax => (nuint)1 << 46;

    public const nuint AlignmentBytesMax = (nuint)1 << 30;

    /// <summary>The control region, committed as a whole.</summary>
    public const nuint ControlBytes = 16 * 1024;

    /// <summary>Distance of the class table from the heap.</summary>
    public const nuint TableOffset = 4096;

    public OsTable Os;
    public Zone Zone;
    public CacheRegistry Registry;

    /// <summary>See <see cref="SizeClasses.FillTable"/>.</summary>
    public byte* ClassTable;

    public nuint LargestClassBytes;
    public SizeClassSet ClassSet;
    public SlabRule SlabRule;

    /// <summary>Live large allocations, the bytes they asked for, and their pages. Atomic.</summary>
    public long LargeCount;

    public long LargeRequestedBytes;
    public long LargePages;

    /// <summary>Live blocks of the page allocator's users, in pages. Atomic.</summary>
    public long UserPages;

    // ------------------------------------------------------------------ allocate

    /// <summary>At least so many bytes, aligned to 16 (8 in the kernel's class of 8); null when memory is out.</summary>
    public static void* Allocate(SizedHeap* heap, nuint sizeBytes)
    {
        if (sizeBytes > heap->LargestClassBytes)
        {
            return AllocateLarge(heap, sizeBytes, Address.PageSizeBytes);
        }

        return sizeBytes == 0 ? (void*)ZeroSizePointer : Cache.Allocate(ClassFor(heap, sizeBytes), sizeBytes);
    }

    /// <summary>The slow rungs, after the face's inlined first rung found nothing.</summary>
    public static void* AllocateSlow(SizedHeap* heap, nuint sizeBytes)
    {
        if (sizeBytes - 1 < heap->LargestClassBytes)
        {
            return Cache.AllocateSlow(ClassFor(heap, sizeBytes), sizeBytes);
        }

        return Allocate(heap, sizeBytes);
    }

    /// <summary>
    /// Aligned to a power of two up to 1 GiB: by a class whose objects are all so aligned, else by a run.
    /// </summary>
    public static void* AllocateAligned(SizedHeap* heap, nuint sizeBytes, nuint alignmentBytes)
    {
        Invariant.Holds(Address.IsPowerOfTwo(alignmentBytes) && alignmentBytes <= AlignmentBytesMax);
        if (sizeBytes == 0)
        {
            return alignmentBytes <= ZeroSizePointer ? (void*)ZeroSizePointer : (void*)alignmentBytes;
        }

        if (sizeBytes <= heap->LargestClassBytes && alignmentBytes <= Address.PageSizeBytes)
        {
            int last = CacheRegistry.FirstOrdinary + SizeClasses.Count(heap->ClassSet);
            for (int index = ClassFor(heap, sizeBytes)->Index; index < last; index++)
            {
                Cache* cache = CacheRegistry.At(&heap->Registry, index);
                if (cache->Slabs.Layout.StrideBytes % alignmentBytes == 0)
                {
                    return Cache.Allocate(cache, sizeBytes);
                }
            }
        }

        return AllocateLarge(heap, sizeBytes, alignmentBytes < Address.PageSizeBytes ? Address.PageSizeBytes : alignmentBytes);
    }

    /// <summary>A run of pages that reads as zero or as anything.</summary>
    public static void* AllocateLarge(SizedHeap* heap, nuint sizeBytes, nuint alignmentBytes)
    {
        if (sizeBytes > SizeBytesMax)
        {
            return null;
        }

        if (Cache.FailsInSweep(&heap->Registry))
        {
            Face.NoteInjectedFault();
            return null;
        }

        Page* head = Zone.AllocateRun(&heap->Zone, Address.PagesFor(sizeBytes), alignmentBytes, Mobility.Movable);
        if (head == null)
        {
            return null;
        }

        head->Payload.RequestedBytes = sizeBytes;
        CountLarge(heap, 1, (long)sizeBytes, (long)head->Payload.Pages);
        void* address = Zone.AddressOf(&heap->Zone, head);
        NoteRunAllocated(heap, head, address, sizeBytes);
        return address;
    }

    // ------------------------------------------------------------------ free, the mirror

    /// <summary>Frees whatever starts at the address.</summary>
    public static Misuse Free(SizedHeap* heap, void* address)
    {
        if (address == null)
        {
            return Misuse.None;
        }

        Page* page = Zone.PageOf(&heap->Zone, address);
        if (page == null)
        {
            return IsZeroSizePointer(address) ? Misuse.None : Misuse.ForeignPointer;
        }

        if (page->CacheIndex != 0)
        {
            Cache* cache = CacheRegistry.At(&heap->Registry, page->CacheIndex);
            Misuse misuse = CheckObject(page, address, cache);
            return misuse != Misuse.None ? misuse : Cache.Free(cache, address) ? Misuse.None : Misuse.AlreadyFree;
        }

        if (IsRun(page, address))
        {
            CountLarge(heap, -1, -(long)page->Payload.RequestedBytes, -(long)page->Payload.Pages);
            NoteRunFreed(heap, page, address);
            Zone.FreeRun(&heap->Zone, page);
            return Misuse.None;
        }

        return NameMistake(heap, page, PageKind.Run);
    }

    /// <summary>Frees an object of a given cache.</summary>
    public static Misuse FreeToCache(SizedHeap* heap, Cache* cache, void* address)
    {
        Misuse misuse = CheckForCache(heap, cache, address);
        return misuse != Misuse.None ? misuse : Cache.Free(CacheOf(heap, address), address) ? Misuse.None : Misuse.AlreadyFree;
    }

    /// <summary>Checks what <see cref="FreeToCache"/> checks and frees nothing: for bulk frees.</summary>
    public static Misuse CheckForCache(SizedHeap* heap, Cache* cache, void* address)
    {
        Page* page = Zone.PageOf(&heap->Zone, address);
        if (page == null)
        {
            return Misuse.ForeignPointer;
        }

        if (page->CacheIndex != 0 && CacheRegistry.At(&heap->Registry, page->CacheIndex)->UserIndex == cache->Index)
        {
            return CheckObject(page, address, cache);
        }

        return page->CacheIndex != 0 ? Misuse.WrongCache
            : IsRun(page, address) ? Misuse.WrongKind
            : NameMistake(heap, page, PageKind.Run);
    }

    /// <summary>The cache, or its twin, that an object's page names.</summary>
    private static Cache* CacheOf(SizedHeap* heap, void* address) => CacheRegistry.At(&heap->Registry, Zone.PageOf(&heap->Zone, address)->CacheIndex);

    private static void CountLarge(SizedHeap* heap, long count, long bytes, long pages)
    {
        _ = Atomic.Add(&heap->LargeCount, count);
        _ = Atomic.Add(&heap->LargeRequestedBytes, bytes);
        _ = Atomic.Add(&heap->LargePages, pages);
    }
}
