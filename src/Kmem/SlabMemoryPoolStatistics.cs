namespace Kmem;

/// <summary>Counts of a <see cref="SlabMemoryPool"/>. The pool itself keeps no free memory: what was returned is in the heap, whose <see cref="KmemStatistics"/> has it.</summary>
public readonly record struct SlabMemoryPoolStatistics
{
    /// <summary>Leases that were not returned yet.</summary>
    public long RentedBlocks { get; init; }

    /// <summary>Bytes of <see cref="RentedBlocks"/>.</summary>
    public long RentedBytes { get; init; }

    /// <summary>Rents ever.</summary>
    public long TotalRents { get; init; }

    /// <summary>Returns ever.</summary>
    public long TotalReturns { get; init; }

    /// <summary>Owner objects that wait for their next lease. Each is about 90 bytes in the managed heap.</summary>
    public int PooledOwners { get; init; }

    /// <summary>Owner objects made. Where this stands still, renting allocates nothing.</summary>
    public long OwnersCreated { get; init; }

    /// <summary>Leases that were dropped without a return, as far as the garbage collector noticed. They count as rented.</summary>
    public long LostLeases { get; init; }
}
