namespace Kmem;

/// <summary>Settings of a <see cref="SlabMemoryPool"/>. They are read when the pool is made; later changes have no effect.</summary>
public sealed class SlabMemoryPoolOptions
{
    /// <summary>Name of the pool in messages and reports, and of its cache in tables. No white space or control characters. Default <c>memory-pool</c>.</summary>
    public string Name { get; set; } = "memory-pool";

    /// <summary>The heap that the memory comes from; null is <see cref="KmemHeap.Shared"/>.</summary>
    public KmemHeap? Heap { get; set; }

    /// <summary>
    /// Size of every block in bytes, 16 to 4 MiB: the pool then has a <see cref="KmemCache"/> of its own with its name, and rents no more than this. 0, the default, rents any size
    /// from the size classes of the heap. Kestrel wants 4096.
    /// </summary>
    public int BlockBytes { get; set; }

    /// <summary>
    /// A cache whose objects are the blocks, instead of one of the pool's own; several pools may share it. The pool does not dispose it, and it must live until all leases ended.
    /// </summary>
    public KmemCache? Cache { get; set; }

    /// <summary>First value of <see cref="SlabMemoryPool.ChecksLeases"/>.</summary>
    public bool CheckLeases { get; set; }
}
