using System;
using System.Collections.Generic;
using System.Linq;
using Kmem.Tool.Views;

namespace Kmem.Tool.Bench.Report.Page;

/// <summary>The plots of one case: its times, its tail, its memory.</summary>
internal static class CasePlots
{
    public static void Write(PageWriter page, BenchReport report, BenchCase each)
    {
        page.Open("div", ("class", "plots"));
        WriteTimes(page, report, each);
        WriteLatency(page, report, each);
        MemoryPlot.Write(page, report, each);
        WritePeaks(page, each);
        page.Close();
    }

    private static void WriteTimes(PageWriter page, BenchReport report, BenchCase each)
    {
        List<Bar> bars = [];
        for (int index = 0; index < each.Outcomes.Count; index++)
        {
            BenchOutcome outcome = each.Outcomes[index];
            string value = outcome.Time() is { } time ? Units.Duration(time) : "";
            string note = outcome.Failure ?? (outcome.TimeRatio is { } ratio ? Units.Digits(ratio) : "");
            bars.Add(new Bar(index, outcome.Allocator, outcome.NanosecondsPerOperation, value, note, TimeTip(report, outcome), index == 0));
        }

        BarPlot.Write(page, $"Time of a {each.Operation}, and ratio to {report.Allocators[0].Name}", bars, AxisText.Duration);
    }

    /// <summary>What a cell or a bar tells of itself.</summary>
    public static string? TimeTip(BenchReport report, BenchOutcome outcome)
    {
        if (outcome.NanosecondsPerOperation is not { } range)
        {
            return outcome.Failure;
        }

        string first = report.Allocators[0].Name;
        string ratio = outcome.TimeRatio is { } number && outcome.Allocator != first ? $"\nratio {Units.Digits(number)}: {Comparison(first, number)}" : "";
        return $"{outcome.Allocator}: {Units.Duration(range.Median)} ({Units.Duration(range.Min)} to {Units.Duration(range.Max)}){ratio}";
    }

    private static string Comparison(string first, double ratio) => ratio < 1
        ? $"{first} takes {Units.Percent(1 - ratio, 1)} less time"
        : $"{first} takes {Units.Percent(ratio - 1, 1)} more time";

    private static void WriteLatency(PageWriter page, BenchReport report, BenchCase each)
    {
        List<Curve> curves = [];
        for (int index = 0; index < each.Outcomes.Count; index++)
        {
            BenchOutcome outcome = each.Outcomes[index];
            if (outcome.Runs.Count > 0 && outcome.Runs.All(static run => run.Latency is { Count: > 0 }))
            {
                curves.Add(new Curve(index, outcome.Allocator, LatencyPoints(outcome))
                {
                    IsFirst = index == 0,
                    IsDashed = report.Allocators[index].Family == AllocatorFamily.NativePeerSuppressed,
                });
            }
        }

        if (curves.Count == 0)
        {
            return;
        }

        double low = Math.Max(1, 0.8 * curves.Min(static curve => curve.Points.Min(static point => point.Y)));
        double high = Math.Max(10 * low, 1.3 * curves.Max(static curve => curve.Points.Max(static point => point.Y)));
        new CurvePlot
        {
            Title = $"Latency of single {each.Operation}s, with the clock's own 20 to 30 ns",
            XRange = (0, Nines.Place(Nines.LastPercentile)),
            YRange = (low, high),
            IsYLog = true,
            XTicks = Nines.Ticks,
            YTicks = Ticks.Log(low, high, AxisText.Duration),
            XTitle = "percentile",
            Curves = curves,
        }.Write(page);
    }

    /// <summary>The median of the runs at each percentile that all of them have.</summary>
    private static List<CurvePoint> LatencyPoints(BenchOutcome outcome)
    {
        List<CurvePoint> points = [];
        foreach (double percentile in outcome.Runs[0].Latency!.Select(static point => point.Percentile).Where(static percentile => percentile <= Nines.LastPercentile).Order())
        {
            double[] times = [.. outcome.Runs.SelectMany(static run => run.Latency!).Where(point => point.Percentile == percentile).Select(static point => point.Nanoseconds).Order()];
            double time = Math.Max(1, times[times.Length / 2]);
            points.Add(new CurvePoint(Nines.Place(percentile), time, $"{outcome.Allocator}, {Nines.NameOf(percentile)}: {Units.Duration(time)}"));
        }

        return points;
    }

    private static void WritePeaks(PageWriter page, BenchCase each)
    {
        if (each.Outcomes.All(static outcome => outcome.PeakOverRequested == null))
        {
            return;
        }

        List<Bar> bars = [];
        for (int index = 0; index < each.Outcomes.Count; index++)
        {
            BenchOutcome outcome = each.Outcomes[index];
            if (outcome.PeakOverRequested is { } range)
            {
                string peak = outcome.PeakRssBytes is { } bytes ? Bytes(bytes.Median) : "";
                string tip = $"{outcome.Allocator}: {Units.Digits(range.Median)} bytes resident for each that was requested at the peak";
                bars.Add(new Bar(index, outcome.Allocator, range, Units.Digits(range.Median) + "×", peak, tip, index == 0));
            }
        }

        BarPlot.Write(page, "Peak of resident memory over what was requested", bars, AxisText.Times);
    }

    /// <summary>Memory may have shrunk below what there was before.</summary>
    public static string Bytes(double bytes) => (bytes < 0 ? "-" : "") + Units.Bytes((ulong)Math.Abs(bytes));
}
