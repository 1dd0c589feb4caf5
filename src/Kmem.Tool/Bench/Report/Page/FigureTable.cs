using System;
using System.Collections.Generic;
using System.Linq;
using Kmem.Tool.Views;

namespace Kmem.Tool.Bench.Report.Page;

/// <summary>All figures of a case. A column that nobody has a figure for is left out.</summary>
internal static class FigureTable
{
    private static readonly Column[] s_columns =
    [
        new("median", static outcome => outcome.NanosecondsPerOperation?.Median, Units.Duration),
        new("lowest", static outcome => outcome.NanosecondsPerOperation?.Min, Units.Duration),
        new("highest", static outcome => outcome.NanosecondsPerOperation?.Max, Units.Duration),
        new("mean", static outcome => MedianOf(outcome, static run => run.MeanNanosecondsPerOperation), Units.Duration),
        new("ratio", static outcome => outcome.TimeRatio, Units.Digits),
        new("per second", static outcome => outcome.OperationsPerSecond?.Median, Units.Rate),
        new("p50", static outcome => outcome.P50Nanoseconds?.Median, Units.Duration),
        new("p99", static outcome => outcome.P99Nanoseconds?.Median, Units.Duration),
        new("p99.9", static outcome => outcome.P999Nanoseconds?.Median, Units.Duration),
        new("max", static outcome => outcome.MaxNanoseconds?.Median, Units.Duration),
        new("requested", static outcome => MedianOf(outcome, static run => run.RequestedPeakBytes) is > 0 and var bytes ? bytes : null, CasePlots.Bytes),
        new("peak rss", static outcome => outcome.PeakRssBytes?.Median, CasePlots.Bytes),
        new("peak/requested", static outcome => outcome.PeakOverRequested?.Median, Units.Digits),
        new("page faults", static outcome => outcome.PageFaults?.Median, static number => Units.Count((long)number)),
    ];

    public static void Write(PageWriter page, BenchCase each)
    {
        Column[] columns =
        [
            .. s_columns.Where(column => each.Outcomes.Any(outcome => column.Value(outcome) != null)),
            .. each.FigureNames().Select(static name => new Column(Header(name), outcome => outcome.Figure(name)?.Median, FormatOf(name))),
        ];
        page.Open("details").Element("summary", "All figures").Open("div", ("class", "scroll")).Open("table", ("class", "figures"));
        page.Open("thead").Open("tr").Element("th", "allocator", ("scope", "col"));
        foreach (Column column in columns)
        {
            page.Element("th", column.Header, ("scope", "col"));
        }

        page.Close().Close().Open("tbody");
        for (int index = 0; index < each.Outcomes.Count; index++)
        {
            BenchOutcome outcome = each.Outcomes[index];
            page.Open("tr", ("class", $"series {Palette.ClassOf(index)}")).Element("th", outcome.Allocator, ("scope", "row"), ("class", "name"));
            foreach (Column column in columns)
            {
                page.Element("td", column.Value(outcome) is { } value ? column.Format(value) : "–");
            }

            page.Close();
        }

        page.Close().Close().Close().Close();
    }

    private static double? MedianOf(BenchOutcome outcome, Func<Measurement, double> figure) =>
        outcome.Runs.Count == 0 ? null : OutcomeBuilder.RangeOf(outcome.Runs, figure).Median;

    /// <summary>The unit at the end of a figure's name is what its values are written in.</summary>
    private static string Header(string name)
    {
        string text = name.EndsWith("_bytes", StringComparison.Ordinal) ? name[..^"_bytes".Length] : name;
        return text.Replace('_', ' ');
    }

    private static Func<double, string> FormatOf(string name) =>
        name.EndsWith("_bytes", StringComparison.Ordinal) ? CasePlots.Bytes
        : name.EndsWith("seconds", StringComparison.Ordinal) ? static seconds => Units.Duration(seconds * 1e9)
        : Units.Digits;

    private sealed record Column(string Header, Func<BenchOutcome, double?> Value, Func<double, string> Format);
}
