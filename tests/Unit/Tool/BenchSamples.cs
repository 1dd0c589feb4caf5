using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using Kmem.Tool.Bench.Allocators;
using Kmem.Tool.Bench.Report;
using Kmem.Tool.Bench.Workloads;

namespace Kmem.Tests.Unit.Tool;

/// <summary>An allocator in C# as <c>kmem bench --managed-peer</c> takes it: this very assembly is given to the command.</summary>
public static unsafe class BenchManagedPeer
{
    /// <summary>Memory of the C library.</summary>
    public static void* Alloc(nuint sizeBytes) => NativeMemory.Alloc(sizeBytes);

    /// <summary>Its return.</summary>
    public static void Free(void* memory) => NativeMemory.Free(memory);
}

/// <summary>Reports that nobody measured, with everything in them that a report can have.</summary>
internal static class BenchSamples
{
    public const string NastyName = "<b>&\"nasty\"'\u0001";

    private static readonly double[] s_percentiles = [0, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 99.999, 100];

    public static AllocatorSpec Allocator(string name, AllocatorFamily family = AllocatorFamily.Managed) => new() { Name = name, Description = $"what {name} is", Family = family };

    /// <summary>A run that took so long for an operation.</summary>
    public static Measurement Run(double nanoseconds, string hash = "00000000000000aa", bool hasLatency = false, bool hasMemory = false, long requestedBytes = 0) => new()
    {
        NanosecondsPerOperation = nanoseconds,
        MeanNanosecondsPerOperation = nanoseconds * 1.1,
        OperationsPerSecond = 1e9 / nanoseconds,
        Operations = 1000,
        Hash = hash,
        Latency = hasLatency ? [.. s_percentiles.Select(percentile => new LatencyPoint(percentile, nanoseconds * (20 + percentile)))] : null,
        RequestedPeakBytes = requestedBytes,
        PeakRssBytes = requestedBytes + (1 << 20),
        PageFaults = 12,
        Memory = hasMemory ? [.. Enumerable.Range(0, 250).Select(static step => Point(step / 10.0))] : null,
        Figures = hasMemory
            ? new Dictionary<string, double> { [WorkloadFigures.RssAfter1Second] = 30e6, [WorkloadFigures.RssAfter10Seconds] = -1e6, [WorkloadFigures.RssAfterAll10Seconds] = 2e6 }
            : new Dictionary<string, double> { ["depot_visits_per_million"] = 12.5 },
    };

    /// <summary>A case of allocators that took 10 ns times 1, 2, 3 …, the last of which failed if that is wanted.</summary>
    public static BenchCase Case(IReadOnlyList<AllocatorSpec> allocators, string workload = "pair-64", int threads = 1, bool hasLatency = false, bool hasMemory = false, string? lastFailure = null)
    {
        IReadOnlyList<Measurement>[] runs =
            [.. allocators.Select((_, index) => (IReadOnlyList<Measurement>)[.. Enumerable.Range(0, 3).Select(run => Run((10 * (index + 1)) + run, hasLatency: hasLatency, hasMemory: hasMemory, requestedBytes: hasMemory ? 64 << 20 : 0))])];
        string?[] failures = new string?[allocators.Count];
        failures[^1] = lastFailure;
        return new BenchCase { Workload = workload, Summary = $"Does {workload}.", Operation = "pair", Threads = threads, Outcomes = OutcomeBuilder.Build(allocators, runs, failures) };
    }

    public static BenchReport Report(IReadOnlyList<AllocatorSpec> allocators, params IReadOnlyList<BenchCase> cases) => new()
    {
        Machine = new BenchMachine
        {
            Date = "2026-01-02T03:04:05Z",
            Processor = "a processor",
            Cpus = 2,
            MemoryBytes = 1L << 33,
            Kernel = "a kernel",
            CLibrary = "a C library",
            Runtime = "a runtime",
            Kmem = "0.1.0+0123456789abcdef0123456789abcdef01234567",
        },
        Allocators = [.. allocators.Select(static each => new BenchAllocator { Name = each.Name, Description = each.Description, Family = each.Family })],
        Runs = 3,
        Cases = cases,
    };

    /// <summary>All families, several of each, and all kinds of cases.</summary>
    public static BenchReport Large()
    {
        List<AllocatorSpec> allocators =
        [
            Allocator("kmem", AllocatorFamily.Kmem), Allocator("kmem-lock", AllocatorFamily.Kmem), Allocator("native", AllocatorFamily.NativeMemory),
            Allocator("arraypool"), Allocator("gc"), Allocator(NastyName, AllocatorFamily.ManagedPeer),
        ];
        foreach (string name in (string[])["mimalloc3", "jemalloc", "tcmalloc", "snmalloc", "rpmalloc", "a-library-with-a-very-long-name"])
        {
            allocators.Add(Allocator(name, AllocatorFamily.NativePeer));
            allocators.Add(Allocator(name + "+sgt", AllocatorFamily.NativePeerSuppressed));
        }

        return Report(
            allocators,
            Case(allocators, hasLatency: true),
            Case(allocators, threads: 2, hasLatency: true),
            Case(allocators, threads: 16, hasLatency: true, lastFailure: "exit code 134: <&> it broke"),
            Case(allocators, "give-back", hasMemory: true),
            Case(allocators, "a-workload-with-<a>-name", lastFailure: "it broke"));
    }

    private static MemoryPoint Point(double seconds) => new(seconds, seconds < 2 ? (long)(seconds * 50e6) : 30_000_000, seconds < 2 ? (long)(seconds * 40e6) : seconds < 12 ? 5_000_000 : 0);
}
