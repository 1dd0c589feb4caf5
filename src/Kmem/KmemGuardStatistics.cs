namespace Kmem;

/// <summary>Objects on guarded pages at one moment. See <see cref="KmemHeap.GuardIntervalMilliseconds"/>.</summary>
public sealed record KmemGuardStatistics
{
    /// <summary>Guarded objects that somebody has.</summary>
    public required long LiveObjects { get; init; }

    /// <summary>All objects that were ever guarded.</summary>
    public required long AllocatedObjects { get; init; }

    /// <summary>Allocations that were not guarded because as many as there can be were live.</summary>
    public required long SkippedObjects { get; init; }

    /// <summary>How many can be live at a time; 0 before the first.</summary>
    public required int MostObjects { get; init; }

    /// <summary>Bytes for the pages and for what is known of their objects; 0 before the first. Most are address space that is never touched.</summary>
    public required nuint PoolBytes { get; init; }
}
