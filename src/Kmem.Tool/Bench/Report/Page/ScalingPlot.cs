using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Kmem.Tool.Views;

namespace Kmem.Tool.Bench.Report.Page;

/// <summary>Operations of all threads together by the number of threads.</summary>
internal static class ScalingPlot
{
    /// <param name="page">Where it goes.</param>
    /// <param name="report">For the names and families.</param>
    /// <param name="cases">Of one workload, by threads.</param>
    public static void Write(PageWriter page, BenchReport report, IReadOnlyList<BenchCase> cases)
    {
        List<Curve> curves = [];
        for (int index = 0; index < report.Allocators.Count; index++)
        {
            List<CurvePoint> points = [];
            foreach (BenchCase each in cases)
            {
                if (each.Outcomes[index].OperationsPerSecond is { } rate)
                {
                    points.Add(new CurvePoint(each.Threads, rate.Median, $"{report.Allocators[index].Name}, {Units.Of(each.Threads, "thread")}: {Units.Rate(rate.Median)}"));
                }
            }

            if (points.Count > 0)
            {
                curves.Add(new Curve(index, report.Allocators[index].Name, points)
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

        // Twice the threads are the same step each time where there are many: else 1, 2 and 4 would be one point beside 64.
        bool isLog = cases[^1].Threads > 8 * cases[0].Threads;
        double high = 1.05 * curves.Max(static curve => curve.Points.Max(static point => point.Y));
        new CurvePlot
        {
            Title = $"{cases[0].Operation}s per second, all threads together",
            XRange = (cases[0].Threads, cases[^1].Threads),
            YRange = (0, high),
            IsXLog = isLog,
            XTicks = [.. cases.Select(static each => new Tick(each.Threads, each.Threads.ToString(CultureInfo.InvariantCulture)))],
            YTicks = Ticks.Linear(0, high, 1, AxisText.Rate),
            XTitle = "threads",
            Curves = curves,
        }.Write(page);
    }
}
