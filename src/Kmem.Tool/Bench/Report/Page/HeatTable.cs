using System;
using System.Globalization;
using System.Linq;
using Kmem.Tool.Views;

namespace Kmem.Tool.Bench.Report.Page;

/// <summary>All cases by all allocators: the ratio of the first allocator's time to this one's, coloured.</summary>
internal static class HeatTable
{
    // From such a factor on a ratio has the next stronger colour.
    private static readonly double[] s_factors = [1.05, 1.2, 1.5, 2];

    public static void Write(PageWriter page, BenchReport report, Func<BenchCase, string> anchor)
    {
        page.Open("div", ("class", "scroll")).Open("table", ("class", "heat"));

        // Families side by side, whatever the order of the command line; within them that order.
        int[] columns = [.. Enumerable.Range(1, report.Allocators.Count - 1).OrderBy(index => report.Allocators[index].Family)];
        WriteHead(page, report, columns);
        page.Open("tbody");
        foreach (BenchCase each in report.Cases)
        {
            page.Open("tr").Open("th", ("scope", "row")).Element("a", each.Label(), ("href", anchor(each)), ("data-tip", each.Summary)).Close();
            page.Element("td", each.Outcomes[0].Time() is { } time ? Units.Duration(time) : "–", ("class", "time"), ("data-tip", CasePlots.TimeTip(report, each.Outcomes[0])));
            foreach (int index in columns)
            {
                WriteCell(page, report, each, each.Outcomes[index]);
            }

            page.Close();
        }

        WriteMeans(page, report, columns);
        page.Close().Close().Close();
        WriteLegend(page, report.Allocators[0].Name);
    }

    private static void WriteHead(PageWriter page, BenchReport report, int[] columns)
    {
        page.Open("thead").Open("tr", ("class", "families")).Element("th", "").Element("th", "");
        foreach (IGrouping<AllocatorFamily, int> family in columns.GroupBy(index => report.Allocators[index].Family))
        {
            page.Element("th", Palette.NameOf(family.Key), ("colspan", family.Count().ToString(CultureInfo.InvariantCulture)), ("scope", "colgroup"));
        }

        page.Close().Open("tr").Element("th", "").Open("th", ("scope", "col"), ("class", "series a0")).Element("span", report.Allocators[0].Name).Close();
        foreach (int index in columns)
        {
            page.Open("th", ("scope", "col"), ("class", $"series {Palette.ClassOf(index)}"), ("data-tip", report.Allocators[index].Description))
                .Element("span", report.Allocators[index].Name).Close();
        }

        page.Close().Close();
    }

    private static void WriteCell(PageWriter page, BenchReport report, BenchCase each, BenchOutcome outcome)
    {
        string? tip = CasePlots.TimeTip(report, outcome);
        if (outcome.TimeRatio is not { } ratio)
        {
            page.Element("td", outcome.Failure == null ? "–" : "failed", ("class", "failed"), ("data-tip", $"{each.Label()} · {tip}"));
            return;
        }

        bool isNear = outcome.NanosecondsPerOperation is { } range && each.Outcomes[0].NanosecondsPerOperation is { } first && range.Overlaps(first);
        string near = isNear ? "\nthe ranges of the two overlap" : "";
        page.Element("td", Units.Digits(ratio), ("class", ClassOf(ratio) + (isNear ? " near" : "")), ("data-tip", $"{each.Label()} · {tip}{near}"));
    }

    private static void WriteMeans(PageWriter page, BenchReport report, int[] columns)
    {
        if (report.Cases.Count < 2)
        {
            return;
        }

        page.Open("tr", ("class", "means")).Element("th", "geometric mean", ("scope", "row")).Element("td", "");
        foreach (int index in columns)
        {
            double[] ratios = [.. report.Cases.Select(each => each.Outcomes[index].TimeRatio).OfType<double>()];
            string count = $"{report.Allocators[index].Name}: over {Units.Of(ratios.Length, "case")}";
            if (ReportReading.GeometricMean(ratios) is { } mean)
            {
                page.Element("td", Units.Digits(mean), ("class", ClassOf(mean)), ("data-tip", count));
            }
            else
            {
                page.Element("td", "–", ("class", "failed"), ("data-tip", count));
            }
        }

        page.Close();
    }

    private static void WriteLegend(PageWriter page, string first)
    {
        page.Open("p", ("class", "legend")).Text($"{first} is faster ");
        for (int step = -s_factors.Length; step <= s_factors.Length; step++)
        {
            int size = Math.Abs(step);
            string text = size == 0 ? "±5%" : $"{(step < 0 ? 1 / s_factors[size - 1] : s_factors[size - 1]).ToString("0.##", CultureInfo.InvariantCulture)}";
            page.Element("span", text, ("class", ClassOfStep(step)));
        }

        page.Text(" the other is faster. ").Element("span", "1.02", ("class", "near")).Text(" the ranges of the two overlap.").Close();
    }

    private static string ClassOf(double ratio)
    {
        double factor = Math.Max(ratio, 1 / ratio);
        int size = s_factors.Count(each => factor >= each);
        return ClassOfStep(ratio < 1 ? -size : size);
    }

    private static string ClassOfStep(int step) => step switch { 0 => "h0", < 0 => $"h f{-step}", _ => $"h s{step}" };
}
