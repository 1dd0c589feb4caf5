using Kmem.Tool.Bench.Allocators;

namespace Kmem.Tool.Bench.Measuring;

/// <summary>What a process of its own is told to measure, as JSON on its command line.</summary>
internal sealed record MeasurementOrder
{
    public required string Workload { get; init; }

    public required AllocatorSpec Allocator { get; init; }

    public required int Threads { get; init; }

    /// <summary>How long rounds are measured after the warm-up.</summary>
    public required double Seconds { get; init; }

    public string? Trace { get; init; }
}
