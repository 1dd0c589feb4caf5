using System.Collections.Generic;

namespace Kmem;

/// <summary>
/// Where every byte of a heap is. The parts add up: <see cref="CommittedBytes"/> is the sum of the other byte figures.
/// Exact when no other thread uses the heap meanwhile; else each figure is right for some moment of the call.
/// </summary>
public sealed record KmemStatistics
{
    /// <summary>Name of the heap.</summary>
    public required string HeapName { get; init; }

    /// <summary>Bytes that callers asked for and hold, where the size is known: objects of caches, large allocations, pages.</summary>
    public required ulong RequestedBytes { get; init; }

    /// <summary>Bytes of size classes that callers of <c>Kmalloc</c> hold: what they asked for and its rounding, which are not told apart.</summary>
    public required ulong SizeClassBytes { get; init; }

    /// <summary>Bytes lost to rounding of what callers hold, where known: object size to stride, large allocations to pages.</summary>
    public required ulong RoundingBytes { get; init; }

    /// <summary>Objects in the magazines of threads and CPUs (loaded and previous). A thread that sleeps keeps its own until maintenance empties them.</summary>
    public required ulong MagazineBytes { get; init; }

    /// <summary>Objects in the magazines of depots.</summary>
    public required ulong DepotBytes { get; init; }

    /// <summary>Free objects in slabs that also hold others.</summary>
    public required ulong FreeInSlabBytes { get; init; }

    /// <summary>Whole slabs without an object out.</summary>
    public required ulong EmptySlabBytes { get; init; }

    /// <summary>Remainders at the end of slabs where no further object fits.</summary>
    public required ulong SlabTailBytes { get; init; }

    /// <summary>Free pages that were not given back to the OS.</summary>
    public required ulong FreePageBytes { get; init; }

    /// <summary>Page descriptors, cache table, per-CPU slots, fronts of threads, and magazines.</summary>
    public required ulong MetadataBytes { get; init; }

    /// <summary>Memory that the heap has from the OS and has not given back.</summary>
    public required ulong CommittedBytes { get; init; }

    /// <summary>Address space reserved, in bytes.</summary>
    public required ulong ReservedBytes { get; init; }

    /// <summary>Live allocations that have pages of their own: larger than the largest size class.</summary>
    public required long LargeAllocations { get; init; }

    /// <summary>Bytes of <see cref="LargeAllocations"/>, as asked for.</summary>
    public required ulong LargeRequestedBytes { get; init; }

    /// <summary>Pages that users of the page allocator hold.</summary>
    public required long PagesInUse { get; init; }

    /// <summary>Pages for guarded objects that have none (<see cref="KmemHeap.GuardIntervalMilliseconds"/>). Their bytes are metadata.</summary>
    public required long GuardPages { get; init; }

    /// <summary>How the per-CPU magazines are reached: <see cref="KmemFrontEnd.RestartableSequences"/> or <see cref="KmemFrontEnd.TryLock"/>.</summary>
    public required KmemFrontEnd FrontEnd { get; init; }

    /// <summary>The pages below.</summary>
    public required KmemPageStatistics Pages { get; init; }

    /// <summary>The caches, in order of creation, size classes first. Caches of magazines are part of the metadata and come last.</summary>
    public required IReadOnlyList<KmemCacheStatistics> Caches { get; init; }
}

/// <summary>State of one cache. Of a cache that is or was checked, those of <see cref="KmemCache.GetStatistics"/> also count slabs with checks, which have fewer objects than <see cref="ObjectsPerSlab"/>.</summary>
public sealed record KmemCacheStatistics
{
    /// <summary>Name of the cache; in a heap's statistics with letters behind it, as in <c>kmalloc-64(FZPU)</c>, for what is allocated of it while these checks are on.</summary>
    public required string Name { get; init; }

    /// <summary>Size of an object as asked for, in bytes.</summary>
    public required ulong ObjectSizeBytes { get; init; }

    /// <summary>Distance of two objects in a slab, in bytes.</summary>
    public required ulong StrideBytes { get; init; }

    /// <summary>Alignment of objects in bytes.</summary>
    public required ulong AlignmentBytes { get; init; }

    /// <summary>A slab has 2^Order pages.</summary>
    public required int Order { get; init; }

    /// <summary>Objects in one slab.</summary>
    public required int ObjectsPerSlab { get; init; }

    /// <summary>Objects that callers hold.</summary>
    public required long LiveObjects { get; init; }

    /// <summary>Objects in all slabs, free or not.</summary>
    public required long TotalObjects { get; init; }

    /// <summary>Objects in magazines of threads and CPUs.</summary>
    public required long MagazineObjects { get; init; }

    /// <summary>Objects in magazines of the depot.</summary>
    public required long DepotObjects { get; init; }

    /// <summary>Free objects in slabs.</summary>
    public required long FreeObjects { get; init; }

    /// <summary>Slabs: full, partial and free.</summary>
    public required long Slabs { get; init; }

    /// <summary>Slabs without a free object.</summary>
    public required long FullSlabs { get; init; }

    /// <summary>Slabs with free objects and others.</summary>
    public required long PartialSlabs { get; init; }

    /// <summary>Slabs with free objects only.</summary>
    public required long FreeSlabs { get; init; }

    /// <summary>Rounds of a magazine at present; 0 for a cache without magazines.</summary>
    public required int MagazineCapacity { get; init; }

    /// <summary>Allocations that did not find an object in a loaded magazine. What a thread's own previous magazine or its CPU's loaded one serves does not count.</summary>
    public required long AllocMisses { get; init; }

    /// <summary>Of <see cref="AllocMisses"/>: served by the previous magazine of a CPU.</summary>
    public required long AllocFromPrevious { get; init; }

    /// <summary>Of <see cref="AllocMisses"/>: served by a magazine of the depot.</summary>
    public required long AllocFromDepot { get; init; }

    /// <summary>Of <see cref="AllocMisses"/>: served by slabs.</summary>
    public required long AllocFromSlab { get; init; }

    /// <summary>Frees that did not find room in a loaded magazine. What a thread's own previous magazine or its CPU's loaded one takes does not count.</summary>
    public required long FreeMisses { get; init; }

    /// <summary>Of <see cref="FreeMisses"/>: taken by the previous magazine of a CPU.</summary>
    public required long FreeToPrevious { get; init; }

    /// <summary>Of <see cref="FreeMisses"/>: taken by a magazine of the depot or a new one.</summary>
    public required long FreeToDepot { get; init; }

    /// <summary>Of <see cref="FreeMisses"/>: taken by slabs.</summary>
    public required long FreeToSlab { get; init; }

    /// <summary>Visits of the depot that found another thread there and waited.</summary>
    public required long DepotWaits { get; init; }

    /// <summary>Slabs ever made.</summary>
    public required long SlabsCreated { get; init; }

    /// <summary>Slabs ever given back to the page allocator.</summary>
    public required long SlabsDestroyed { get; init; }

    /// <summary>True for a size class of <c>Kmalloc</c>.</summary>
    public required bool IsSizeClass { get; init; }

    /// <summary>True for a cache of Kmem's own: its magazines.</summary>
    public required bool IsInternal { get; init; }

    /// <summary>
    /// In a heap's statistics what is checked in the objects of this line; in those of <see cref="KmemCache.GetStatistics"/>, which count all objects of the cache, what is on.
    /// </summary>
    public KmemChecks Checks { get; init; }

    /// <summary>Objects that were set aside because they are damaged: neither live nor free.</summary>
    public long DamagedObjects { get; init; }
}

/// <summary>State of the page allocator.</summary>
public sealed record KmemPageStatistics
{
    /// <summary>Free blocks by order, 0 to 10, all mobilities, those in per-CPU lists included.</summary>
    public required IReadOnlyList<long> FreeBlocks { get; init; }

    /// <summary>Free blocks by mobility (unmovable, reclaimable, movable) and order, without those in per-CPU lists.</summary>
    public required IReadOnlyList<IReadOnlyList<long>> FreeBlocksByMobility { get; init; }

    /// <summary>2 MiB pageblocks by mobility.</summary>
    public required IReadOnlyList<long> PageblocksByMobility { get; init; }

    /// <summary>Free pages.</summary>
    public required long FreePages { get; init; }

    /// <summary>Of <see cref="FreePages"/>: in per-CPU lists.</summary>
    public required long ListedPages { get; init; }

    /// <summary>Of <see cref="FreePages"/>: given back to the OS.</summary>
    public required long PurgedPages { get; init; }

    /// <summary>Pages handed out: slabs, large allocations, users.</summary>
    public required long AllocatedPages { get; init; }

    /// <summary>Pages that the heap has grown to, free ones included.</summary>
    public required long TotalPages { get; init; }

    /// <summary>
    /// Fragmentation index per order in thousandths: -1000 an allocation would succeed; towards 0 it would fail for lack of
    /// memory; towards 1000 for fragmentation.
    /// </summary>
    public required IReadOnlyList<int> FragmentationIndex { get; init; }

    /// <summary>Share of free memory that is in blocks too small for the order, in thousandths.</summary>
    public required IReadOnlyList<int> UnusableFreeIndex { get; init; }
}
