using System.Collections.Generic;

namespace Kmem.Tool.Bench.Report;

/// <summary>All that one <c>kmem bench</c> found out: what <c>--json</c> writes and the page shows.</summary>
internal sealed record BenchReport
{
    public const int CurrentFormatVersion = 1;

    /// <summary>Raised when a field changes its meaning.</summary>
    public int FormatVersion { get; init; } = CurrentFormatVersion;

    public required BenchMachine Machine { get; init; }

    /// <summary>In the order of the command line; the first is what the others are compared with.</summary>
    public required IReadOnlyList<BenchAllocator> Allocators { get; init; }

    /// <summary>Processes for each workload and allocator.</summary>
    public required int Runs { get; init; }

    public required IReadOnlyList<BenchCase> Cases { get; init; }
}

/// <summary>Where and when.</summary>
internal sealed record BenchMachine
{
    /// <summary>UTC, ISO 8601.</summary>
    public required string Date { get; init; }

    public required string Processor { get; init; }

    public required int Cpus { get; init; }

    public required long MemoryBytes { get; init; }

    public required string Kernel { get; init; }

    public required string CLibrary { get; init; }

    public required string Runtime { get; init; }

    /// <summary>Version of Kmem with the commit it was built from, where the build knew it.</summary>
    public required string Kmem { get; init; }
}

/// <summary>One thing that allocates, and how it is called.</summary>
internal sealed record BenchAllocator
{
    /// <summary>As in the tables, such as <c>kmem</c> or <c>mimalloc3+sgt</c>.</summary>
    public required string Name { get; init; }

    /// <summary>What it is, in one line.</summary>
    public required string Description { get; init; }

    public required AllocatorFamily Family { get; init; }

    /// <summary>The library's file; null for what is built in.</summary>
    public string? Path { get; init; }
}

/// <summary>The columns of the comparison: the best of each family is named.</summary>
internal enum AllocatorFamily
{
    Kmem,

    /// <summary>What .NET itself has: NativeMemory.</summary>
    NativeMemory,

    /// <summary>What .NET itself has: arrays, pooled or not.</summary>
    Managed,

    /// <summary>A port of a native allocator to C#.</summary>
    ManagedPeer,

    /// <summary>A native library through the runtime's ordinary transition.</summary>
    NativePeer,

    /// <summary>A native library without transition: <c>SuppressGCTransition</c>.</summary>
    NativePeerSuppressed,
}

/// <summary>One workload at one number of threads, with all allocators.</summary>
internal sealed record BenchCase
{
    public required string Workload { get; init; }

    /// <summary>What it does, in one sentence.</summary>
    public required string Summary { get; init; }

    /// <summary>What an operation is, such as <c>pair</c>.</summary>
    public required string Operation { get; init; }

    public required int Threads { get; init; }

    /// <summary>In the order of <see cref="BenchReport.Allocators"/>.</summary>
    public required IReadOnlyList<BenchOutcome> Outcomes { get; init; }
}

/// <summary>One allocator at one case: the figures over all runs, and each run.</summary>
internal sealed record BenchOutcome
{
    public required string Allocator { get; init; }

    /// <summary>Why there are no figures; null where there are.</summary>
    public string? Failure { get; init; }

    /// <summary>Of an operation, as one thread sees it.</summary>
    public BenchRange? NanosecondsPerOperation { get; init; }

    /// <summary>The first allocator's median time over this one's: below 1 says that the first is faster.</summary>
    public double? TimeRatio { get; init; }

    /// <summary>Of all threads together.</summary>
    public BenchRange? OperationsPerSecond { get; init; }

    public BenchRange? P50Nanoseconds { get; init; }

    public BenchRange? P99Nanoseconds { get; init; }

    public BenchRange? P999Nanoseconds { get; init; }

    public BenchRange? MaxNanoseconds { get; init; }

    /// <summary>What the process grew by, over the most bytes that were requested at a time. Only where that is above 16 MiB.</summary>
    public BenchRange? PeakOverRequested { get; init; }

    public BenchRange? PeakRssBytes { get; init; }

    public BenchRange? PageFaults { get; init; }

    /// <summary>The same for all allocators, or somebody lost a byte.</summary>
    public string? Hash { get; init; }

    public IReadOnlyList<Measurement> Runs { get; init; } = [];
}

internal readonly record struct BenchRange(double Median, double Min, double Max);

/// <summary>What one process measured.</summary>
internal sealed record Measurement
{
    /// <summary>Of an operation: the median of its rounds.</summary>
    public double NanosecondsPerOperation { get; init; }

    /// <summary>The same as time of all rounds over their operations, interruptions included.</summary>
    public double MeanNanosecondsPerOperation { get; init; }

    public double OperationsPerSecond { get; init; }

    public long Operations { get; init; }

    /// <summary>Sum over the work of a round, the same in every round and for every allocator.</summary>
    public required string Hash { get; init; }

    /// <summary>Time of single operations with the clock's own; null where the workload has none.</summary>
    public IReadOnlyList<LatencyPoint>? Latency { get; init; }

    /// <summary>The most bytes that the workload asked for at a time.</summary>
    public long RequestedPeakBytes { get; init; }

    /// <summary>Growth of the process's resident memory from before the workload to its highest.</summary>
    public long PeakRssBytes { get; init; }

    /// <summary>Minor faults during the measured rounds.</summary>
    public long PageFaults { get; init; }

    /// <summary>Resident memory over time; only for workloads about giving it back.</summary>
    public IReadOnlyList<MemoryPoint>? Memory { get; init; }

    /// <summary>What else the workload or the allocator counted, by name; units are in the names.</summary>
    public IReadOnlyDictionary<string, double>? Figures { get; init; }
}

/// <param name="Percentile">0 to 100.</param>
/// <param name="Nanoseconds">Operations up to that percentile took no longer.</param>
internal readonly record struct LatencyPoint(double Percentile, double Nanoseconds);

/// <param name="Seconds">Since the workload began.</param>
/// <param name="RssBytes">Growth of resident memory since before the workload.</param>
/// <param name="RequestedBytes">What the workload held then.</param>
internal readonly record struct MemoryPoint(double Seconds, long RssBytes, long RequestedBytes);
