using System.Globalization;
using System.Linq;
using Kmem.Tool.Bench.Report;
using Kmem.Tool.Bench.Workloads;
using Spectre.Console;

namespace Kmem.Tool.Views;

/// <summary>The tables of <c>kmem bench</c>.</summary>
internal static class BenchView
{
    public static void WriteWorkloads(IAnsiConsole console)
    {
        Tables table = Tables.CreateFacts(console);
        foreach (Workload workload in WorkloadCatalog.All)
        {
            table.Add(workload.Name, workload.Summary);
        }

        table.Write(console);
    }

    public static void Write(IAnsiConsole console, BenchReport report)
    {
        foreach (BenchCase each in report.Cases)
        {
            WriteCase(console, each);
        }
    }

    private static void WriteCase(IAnsiConsole console, BenchCase each)
    {
        bool hasLatency = each.Outcomes.Any(static outcome => outcome.P50Nanoseconds != null);
        bool hasMemory = each.Outcomes.Any(static outcome => outcome.PeakOverRequested != null);
        Tables table = Tables.Create(console, "<allocator", $"ns/{each.Operation}", "lowest", "highest", "ratio", "p50", "p99", "p99.9", "100|max", "peak/req", "110|faults");
        foreach (BenchOutcome outcome in each.Outcomes)
        {
            table.Add(
                outcome.Allocator,
                Number(outcome.NanosecondsPerOperation?.Median, "F2"),
                Number(outcome.NanosecondsPerOperation?.Min, "F2"),
                Number(outcome.NanosecondsPerOperation?.Max, "F2"),
                Number(outcome.TimeRatio, "F2"),
                hasLatency ? Number(outcome.P50Nanoseconds?.Median, "F0") : "",
                hasLatency ? Number(outcome.P99Nanoseconds?.Median, "F0") : "",
                hasLatency ? Number(outcome.P999Nanoseconds?.Median, "F0") : "",
                hasLatency ? Number(outcome.MaxNanoseconds?.Median, "N0") : "",
                hasMemory ? Number(outcome.PeakOverRequested?.Median, "F2") : "",
                Number(outcome.PageFaults?.Median, "N0"));
        }

        string threads = each.Threads == 1 ? "" : $" · {Units.Of(each.Threads, "thread")}";
        table.Write(console, $"{each.Workload}{threads}");
    }

    private static string Number(double? number, string format) => number?.ToString(format, CultureInfo.InvariantCulture) ?? "-";
}
