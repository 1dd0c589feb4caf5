namespace Kmem;

/// <summary>
/// Names of the meter, its instruments and their tags. All instruments are observable: nothing is counted for them where memory is allocated and freed, and nothing is read
/// while nobody listens.
/// </summary>
/// <remarks>
/// <para>Levels are up-down counters, flows are counters. Allocations and frees have no totals, since the fast path counts nothing: what is counted are the calls that a
/// loaded magazine could not serve. <c>docs/METRICS.md</c> says what each instrument counts and how many time series there can be.</para>
/// <para>The meter is there when the constructor of the first heap returns; for <see cref="KmemHeap.Shared"/>, which a static constructor makes, it is made in the background at that time.</para>
/// </remarks>
public static class KmemMetrics
{
    /// <summary>Name of the meter.</summary>
    public const string MeterName = "Kmem";

    // ------------------------------------------------------------------ tags

    /// <summary>Tag: name of the heap. Heaps of one name are added up.</summary>
    public const string HeapTag = "kmem.heap";

    /// <summary>Tag: name of the cache, with all objects of the cache whether they are checked or not.</summary>
    public const string CacheTag = "kmem.cache";

    /// <summary>Tag: name of the <see cref="SlabMemoryPool"/>. Pools of one name in a heap are added up.</summary>
    public const string MemoryPoolTag = "kmem.memory_pool";

    /// <summary>Tag of <see cref="MemoryCommitted"/>: what the bytes are: <c>requested</c>, <c>size_class</c>, <c>rounding</c>, <c>magazine</c>, <c>depot</c>, <c>free_in_slab</c>, <c>empty_slab</c>, <c>slab_tail</c>, <c>free_page</c>, <c>metadata</c>.</summary>
    public const string MemoryKindTag = "kmem.memory.kind";

    /// <summary>Tag of <see cref="PageCount"/>: <c>allocated</c>, <c>free</c>, <c>listed</c>, <c>purged</c>.</summary>
    public const string PageStateTag = "kmem.page.state";

    /// <summary>Tag of <see cref="SlabCount"/>: <c>full</c>, <c>partial</c>, <c>free</c>.</summary>
    public const string SlabStateTag = "kmem.slab.state";

    /// <summary>Tag of <see cref="ObjectCount"/>: <c>live</c>, <c>magazine</c>, <c>depot</c>, <c>waiting</c>, <c>free</c>, <c>damaged</c>.</summary>
    public const string ObjectStateTag = "kmem.object.state";

    /// <summary>Tag of the misses: which rung served the call: <c>previous</c>, <c>depot</c>, <c>slab</c>.</summary>
    public const string RungTag = "kmem.rung";

    /// <summary>Tag of <see cref="Reports"/>: the mistake, as in <see cref="KmemMisuse"/> and in snake case: <c>already_free</c>.</summary>
    public const string MisuseTag = "kmem.misuse";

    // ------------------------------------------------------------------ levels of a heap

    /// <summary>Bytes committed, by what they are. They sum up to <see cref="KmemStatistics.CommittedBytes"/>.</summary>
    public const string MemoryCommitted = "kmem.memory.committed";

    /// <summary>Bytes of address space reserved.</summary>
    public const string MemoryReserved = "kmem.memory.reserved";

    /// <summary>Pages that the heap has grown to, by state.</summary>
    public const string PageCount = "kmem.page.count";

    /// <summary>Slabs, by state.</summary>
    public const string SlabCount = "kmem.slab.count";

    /// <summary>Objects in slabs, by where they are.</summary>
    public const string ObjectCount = "kmem.object.count";

    /// <summary>Live allocations that have pages of their own.</summary>
    public const string LargeAllocationCount = "kmem.large_allocation.count";

    /// <summary>Live objects on guarded pages.</summary>
    public const string GuardedObjectCount = "kmem.guarded_object.count";

    // ------------------------------------------------------------------ flows of a heap

    /// <summary>Allocations that no loaded magazine served, by the rung that did.</summary>
    public const string AllocationMisses = "kmem.allocation.misses";

    /// <summary>Frees that no loaded magazine took, by the rung that did.</summary>
    public const string FreeMisses = "kmem.free.misses";

    /// <summary>Visits of depots that waited for another thread.</summary>
    public const string DepotWaits = "kmem.depot.waits";

    /// <summary>Slabs made.</summary>
    public const string SlabCreations = "kmem.slab.creations";

    /// <summary>Slabs given back to the page allocator.</summary>
    public const string SlabDestructions = "kmem.slab.destructions";

    /// <summary>Pages given back to the OS.</summary>
    public const string PagePurges = "kmem.page.purges";

    /// <summary>Allocations that got a guarded page.</summary>
    public const string GuardedObjectAllocations = "kmem.guarded_object.allocations";

    /// <summary>Allocations that were to have one and found all in use.</summary>
    public const string GuardedObjectSkips = "kmem.guarded_object.skips";

    /// <summary>Samples of the profile.</summary>
    public const string ProfileSamples = "kmem.profile.samples";

    /// <summary>Mistakes found, by kind, in all heaps.</summary>
    public const string Reports = "kmem.reports";

    // ------------------------------------------------------------------ caches

    /// <summary>Live objects of a cache.</summary>
    public const string CacheObjectCount = "kmem.cache.object.count";

    /// <summary>Bytes of the slabs of a cache.</summary>
    public const string CacheSize = "kmem.cache.size";

    /// <summary>Allocations of a cache that no loaded magazine served.</summary>
    public const string CacheAllocationMisses = "kmem.cache.allocation.misses";

    /// <summary>Slabs made for a cache.</summary>
    public const string CacheSlabCreations = "kmem.cache.slab.creations";

    // ------------------------------------------------------------------ memory pools

    /// <summary>Leases of a memory pool that were not returned yet.</summary>
    public const string MemoryPoolLeaseCount = "kmem.memory_pool.lease.count";

    /// <summary>Bytes of these leases.</summary>
    public const string MemoryPoolLeaseSize = "kmem.memory_pool.lease.size";

    /// <summary>Owner objects of a memory pool, in the managed heap, that wait for their next lease.</summary>
    public const string MemoryPoolOwnerCount = "kmem.memory_pool.owner.count";

    /// <summary>Rents of a memory pool. What was rented and is no lease any more was returned.</summary>
    public const string MemoryPoolRents = "kmem.memory_pool.rents";

    /// <summary>Leases that were dropped without a return, as far as the garbage collector noticed. They stay among the leases.</summary>
    public const string MemoryPoolLeaseLosses = "kmem.memory_pool.lease.losses";
}
