using System;
using System.Collections.Generic;
using System.Linq;
using Kmem.Tool.Hosting;

namespace Kmem.Tool.Bench.Workloads;

/// <summary>All workloads, in the order of the tables.</summary>
internal static class WorkloadCatalog
{
    public static IReadOnlyList<Workload> All { get; } =
    [
        new PairWorkload(isRandom: false),
        new PairWorkload(isRandom: true),
        new BatchWorkload(10, BatchOrder.Fifo),
        new BatchWorkload(100, BatchOrder.Fifo),
        new BatchWorkload(1000, BatchOrder.Fifo),
        new BatchWorkload(1000, BatchOrder.Lifo),
        new BatchWorkload(1000, BatchOrder.Shuffled),
        new BatchWorkload(100_000, BatchOrder.Fifo),
        new BatchWorkload(100_000, BatchOrder.Lifo),
        new BatchWorkload(100_000, BatchOrder.Shuffled),
        new RandomSlotWorkload(10_000),
        new RandomSlotWorkload(1_000_000),
        new LarsonWorkload(),
        new ProducerConsumerWorkload(),
        new RingWorkload(),
        new AwaitWorkload(),
        new ShortThreadsWorkload(),
        new ManyCachesWorkload(),
        new ReallocWorkload(),
        new LargeWorkload(),
        new ReleaseWorkload(),
        new ReplayWorkload(),
    ];

    /// <summary>Those whose names are given or match a name with a star at its end; all where none is given.</summary>
    public static IReadOnlyList<Workload> Select(IReadOnlyList<string> names)
    {
        if (names.Count == 0)
        {
            return All;
        }

        foreach (string name in names)
        {
            if (!All.Any(workload => Matches(workload.Name, name)))
            {
                throw new ToolException($"no workload is named '{name}'; 'kmem bench --list' shows all");
            }
        }

        return [.. All.Where(workload => names.Any(name => Matches(workload.Name, name)))];
    }

    private static bool Matches(string name, string pattern) => pattern.EndsWith('*')
        ? name.StartsWith(pattern[..^1], StringComparison.OrdinalIgnoreCase)
        : name.Equals(pattern, StringComparison.OrdinalIgnoreCase);
}
