using System;
using System.Collections.Generic;
using System.Linq;
using Kmem.Tool.Bench.Report;
using Kmem.Tool.Bench.Workloads;
using Spectre.Console;

namespace Kmem.Tool.Views;

/// <summary>
/// All allocators at one case. A column that nobody has a figure for is left out, and where the rest is too wide the least
/// important go until it fits; the page and the JSON have them all.
/// </summary>
internal static class BenchCaseTable
{
    private const int NameLength = 20;

    private static readonly Column[] s_columns =
    [
        new(15, "time", static outcome => outcome.NanosecondsPerOperation, Units.Duration),
        new(10, "lowest", static outcome => outcome.NanosecondsPerOperation, Units.Duration, static range => range.Min, IsRange: true),
        new(9, "highest", static outcome => outcome.NanosecondsPerOperation, Units.Duration, static range => range.Max, IsRange: true),
        new(14, "ratio", static outcome => outcome.TimeRatio is { } ratio ? new BenchRange(ratio, ratio, ratio) : null, Units.Digits),
        new(8, "all threads", static outcome => outcome.OperationsPerSecond, Units.Rate, IsForThreads: true),
        new(5, "p50", static outcome => outcome.P50Nanoseconds, Units.Duration),
        new(7, "p99", static outcome => outcome.P99Nanoseconds, Units.Duration),
        new(6, "p99.9", static outcome => outcome.P999Nanoseconds, Units.Duration),
        new(4, "max", static outcome => outcome.MaxNanoseconds, Units.Duration),
        new(3, "peak/req", static outcome => outcome.PeakOverRequested, Units.Digits),
        new(13, "rss +1 s", static outcome => outcome.Figure(WorkloadFigures.RssAfter1Second), Bytes),
        new(12, "rss +10 s", static outcome => outcome.Figure(WorkloadFigures.RssAfter10Seconds), Bytes),
        new(2, "all freed +1 s", static outcome => outcome.Figure(WorkloadFigures.RssAfterAll1Second), Bytes),
        new(11, "all freed +10 s", static outcome => outcome.Figure(WorkloadFigures.RssAfterAll10Seconds), Bytes),
        new(1, "faults", static outcome => outcome.PageFaults, static number => Units.Count((long)number)),
    ];

    public static void Write(IAnsiConsole console, BenchCase each, bool hasRange)
    {
        List<Column> columns =
        [
            .. s_columns.Where(column => each.Outcomes.Any(outcome => column.Value(outcome) != null)
                && (!column.IsForThreads || each.Threads > 1) && (!column.IsRange || hasRange)),
        ];
        string[] names = ["allocator", .. each.Outcomes.Select(static outcome => Tables.Shorten(outcome.Allocator, NameLength))];
        string[][] Cells() => [names, .. columns.Select(column => column.Cells(each))];
        while (columns.Count > 1 && !Tables.Fits(console, Cells()))
        {
            columns.Remove(columns.MinBy(static column => column.Worth)!);
        }

        string[][] cells = Cells();
        Tables table = Tables.Create(console, ["<allocator", .. cells.Skip(1).Select(static column => column[0])]);
        for (int row = 1; row < names.Length; row++)
        {
            table.Add([.. cells.Select(column => column[row])]);
        }

        table.Write(console, $"{each.Label()}: time of a {each.Operation}");
        console.WriteLine(each.HashLine());
    }

    /// <summary>Memory may have shrunk below what there was before.</summary>
    private static string Bytes(double bytes) => (bytes < 0 ? "-" : "") + Units.Bytes((ulong)Math.Abs(bytes));

    /// <param name="Worth">The column with the least goes first.</param>
    /// <param name="Header">On top of it.</param>
    /// <param name="Value">The figure; null where an allocator lacks it.</param>
    /// <param name="Format">How it is written.</param>
    /// <param name="Part">Which part of the figure; the median where none is given.</param>
    /// <param name="IsForThreads">Whether it says something only where there are several threads.</param>
    /// <param name="IsRange">Whether it says something only where there are several runs.</param>
    private sealed record Column(
        int Worth,
        string Header,
        Func<BenchOutcome, BenchRange?> Value,
        Func<double, string> Format,
        Func<BenchRange, double>? Part = null,
        bool IsForThreads = false,
        bool IsRange = false)
    {
        public string[] Cells(BenchCase each) =>
            [Header, .. each.Outcomes.Select(outcome => Value(outcome) is { } range ? Format(Part == null ? range.Median : Part(range)) : "-")];
    }
}
