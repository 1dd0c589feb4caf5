namespace Kmem;

/// <summary>Flags of a cache.</summary>
[System.Flags]
public enum KmemCacheFlags
{
    /// <summary>Nothing special.</summary>
    None = 0,

    /// <summary>Objects start on a cache line (64 bytes; small ones at a power-of-two part of it), like the kernel's <c>SLAB_HWCACHE_ALIGN</c>.</summary>
    CacheLineAligned = 1,

    /// <summary>The objects can be freed on demand: their slabs are kept apart from long-lived ones, like the kernel's <c>SLAB_RECLAIM_ACCOUNT</c>.</summary>
    Reclaimable = 2,

    /// <summary>Every object reads as zero when it is handed out by <see cref="KmemCache.Alloc"/>.</summary>
    ZeroOnAlloc = 4,

    /// <summary>No magazines: every call goes to the slabs. For caches of few, large objects.</summary>
    NoMagazines = 8,
}

/// <summary>Settings of a <see cref="KmemCache"/>. They are read when the cache is made; later changes have no effect.</summary>
public sealed unsafe class KmemCacheOptions
{
    /// <summary>The heap that the cache takes its slabs from; null is <see cref="KmemHeap.Shared"/>.</summary>
    public KmemHeap? Heap { get; set; }

    /// <summary>Alignment of objects in bytes: a power of two up to 4096. 0, the default, is 8.</summary>
    public nuint AlignmentBytes { get; set; }

    /// <summary>Flags.</summary>
    public KmemCacheFlags Flags { get; set; }

    /// <summary>What is done about a mistake with this cache's objects; null takes the heap's <see cref="KmemHeapOptions.MisusePolicy"/>.</summary>
    public KmemMisusePolicy? MisusePolicy { get; set; }

    /// <summary>The rule for the size of slabs; null takes the heap's.</summary>
    public KmemSlabRule? SlabRule { get; set; }

    /// <summary>
    /// Rounds of one magazine; 0, the default, chooses by object size and adapts. The largest of 2, 4, 8, 13, 29, 61, 125 and 253 that is not above it is used, at
    /// least 2. A cache that sets it has magazines of CPUs only, none of threads.
    /// </summary>
    public int MagazineCapacity { get; set; }

    /// <summary>
    /// Constructs an object: (object, <see cref="Context"/>) → success. Runs when an object leaves the slab layer, not
    /// at each allocation: objects must be freed in constructed state and are handed out again as they are. Runs
    /// without a lock held, on the allocating thread. On false, or when it throws, the allocation fails, the
    /// object goes back as it was, and the exception reaches the caller.
    /// </summary>
    public delegate*<void*, void*, bool> Constructor { get; set; }

    /// <summary>
    /// Destroys an object that goes back to the slab layer: (object, <see cref="Context"/>). Must be legal right after
    /// construction; runs on any thread, also in maintenance; must not throw. It may free, and must not create or dispose caches, trim,
    /// maintain, read statistics, or allocate from a heap that may be full: in maintenance such a call would wait for itself.
    /// </summary>
    public delegate*<void*, void*, void> Destructor { get; set; }

    /// <summary>Passed to <see cref="Constructor"/> and <see cref="Destructor"/>.</summary>
    public void* Context { get; set; }
}
