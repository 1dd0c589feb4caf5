using System;
using System.Collections.Generic;
using System.Linq;

namespace Kmem.Tool.Bench.Report.Page;

/// <summary>
/// Resident memory over time of workloads that release memory and wait. Allocators work at different speeds: their curves are
/// laid over each other at the moment when most of the memory was released.
/// </summary>
internal static class MemoryPlot
{
    // Points nearer than a pixel make the page long and the curve no better.
    private const int PointsMax = 300;

    // The slowest allocator's long way up would leave no room for what comes after it.
    private const double LongestWorkOverMedian = 1.5;

    private static readonly double[] s_marksSeconds = [1, 10];

    public static void Write(PageWriter page, BenchReport report, BenchCase each)
    {
        List<Curve> curves = [];
        List<CurvePoint> requested = [];
        List<PlotMark> marks = [];
        for (int index = 0; index < each.Outcomes.Count; index++)
        {
            // One run is shown: a mean of several would have steps that none of them had.
            if (each.Outcomes[index].Runs.FirstOrDefault(static run => run.Memory is { Count: > 1 })?.Memory is not { } points)
            {
                continue;
            }

            double released = ReleasedAt(points, 0.5) ?? 0;
            if (requested.Count == 0)
            {
                requested = [.. points.Select(point => new CurvePoint(point.Seconds - released, point.RequestedBytes, ""))];
                marks = Marks(points, released);
            }

            curves.Add(new Curve(index, each.Outcomes[index].Allocator, Thin([.. points.Select(point => new CurvePoint(point.Seconds - released, point.RssBytes, ""))]))
            {
                IsFirst = index == 0,
                IsDashed = report.Allocators[index].Family == AllocatorFamily.NativePeerSuppressed,
                Tip = Tip(each.Outcomes[index].Allocator, points, released),
            });
        }

        if (curves.Count > 0)
        {
            double[] starts = [.. curves.Select(static curve => curve.Points[0].X).Order()];
            double low = Math.Max(starts[0], LongestWorkOverMedian * starts[starts.Length / 2]);
            Plot([.. curves.Select(curve => curve with { Points = From(curve.Points, low) })], From(requested, low), marks).Write(page);
        }
    }

    private static CurvePoint[] From(IReadOnlyList<CurvePoint> points, double low) => [.. points.Where(point => point.X >= low)];

    private static CurvePlot Plot(IReadOnlyList<Curve> curves, IReadOnlyList<CurvePoint> requested, List<PlotMark> marks)
    {
        IEnumerable<CurvePoint> all = curves.SelectMany(static curve => curve.Points).Concat(requested);
        double low = all.Min(static point => point.X);
        double high = all.Max(static point => point.X);
        // Room above the curves for what the marks say.
        double most = 1.15 * Math.Max(1, all.Max(static point => point.Y));
        return new CurvePlot
        {
            Title = "Resident memory, beside what was requested (grey)",
            XRange = (low, high),
            YRange = (0, most),
            XTicks = Ticks.Linear(low, high, 1, AxisText.Seconds),
            YTicks = Ticks.Linear(0, most, AxisText.ByteUnit(most), AxisText.Bytes),
            XTitle = marks.Count > 0 ? "time since most was released, one run of each" : "time, one run of each",
            Curves = curves,
            Background = requested,
            Marks = marks,
        };
    }

    /// <summary>One and ten seconds after each release, as the figures are taken.</summary>
    private static List<PlotMark> Marks(IReadOnlyList<MemoryPoint> points, double released)
    {
        List<PlotMark> marks = [];
        if (ReleasedAt(points, 0.5) == null)
        {
            return marks;
        }

        double end = points[^1].Seconds - released;
        Add(0, 0, "most released");
        if (ReleasedAt(points, 0.01) is { } all && all - released > 0.5)
        {
            Add(all - released, 1, "all released");
        }

        return marks;

        void Add(double at, int row, string name)
        {
            marks.Add(new PlotMark(at, name, row, IsBefore: true));
            foreach (double seconds in s_marksSeconds)
            {
                // The last figure is taken when the curve ends, or a moment later.
                if (at + seconds <= end + 0.3)
                {
                    marks.Add(new PlotMark(Math.Min(end, at + seconds), $"+{AxisText.Seconds(seconds)}", row, IsBefore: seconds > 5));
                }
            }
        }
    }

    /// <summary>When less than a share of the most that was requested was left; null where that never was.</summary>
    private static double? ReleasedAt(IReadOnlyList<MemoryPoint> points, double share)
    {
        long most = points.Max(static point => point.RequestedBytes);
        bool wasAtMost = false;
        foreach (MemoryPoint point in points)
        {
            wasAtMost |= point.RequestedBytes == most;
            if (wasAtMost && most > 0 && point.RequestedBytes <= share * most)
            {
                return point.Seconds;
            }
        }

        return null;
    }

    private static string Tip(string allocator, IReadOnlyList<MemoryPoint> points, double released)
    {
        string tip = $"{allocator}: peak {CasePlots.Bytes(points.Max(static point => point.RssBytes))}";
        foreach (double seconds in s_marksSeconds)
        {
            if (points[^1].Seconds >= released + seconds)
            {
                tip += $"\n{AxisText.Seconds(seconds)} after the release {CasePlots.Bytes(points.First(point => point.Seconds >= released + seconds).RssBytes)}";
            }
        }

        return $"{tip}\nat the end {CasePlots.Bytes(points[^1].RssBytes)}";
    }

    /// <summary>Fewer points, the highest of each stretch, and both ends.</summary>
    private static IReadOnlyList<CurvePoint> Thin(IReadOnlyList<CurvePoint> points) => points.Count <= PointsMax
        ? points
        : [points[0], .. points.Skip(1).SkipLast(1).Chunk((points.Count / PointsMax) + 1).Select(static chunk => chunk.MaxBy(static point => point.Y)), points[^1]];
}
