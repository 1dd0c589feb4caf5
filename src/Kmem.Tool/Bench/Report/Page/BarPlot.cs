using System;
using System.Collections.Generic;
using System.Linq;
using static Kmem.Tool.Bench.Report.Page.PageWriter;

namespace Kmem.Tool.Bench.Report.Page;

/// <summary>A bar of a plot; one without range says why there is none.</summary>
internal sealed record Bar(int Allocator, string Name, BenchRange? Range, string Value, string Note, string? Tip, bool IsFirst);

/// <summary>
/// Horizontal bars with the lowest and the highest as whisker, shortest on top. One that is many times longer than most is cut
/// off, marked, and has its figure beside it like the others: else the differences of the others could not be seen.
/// </summary>
internal static class BarPlot
{
    private const double CutOverMedian = 4;

    public static void Write(PageWriter page, string title, IReadOnlyList<Bar> bars, Func<double, string> tickText)
    {
        Bar[] drawn = [.. bars.Where(static bar => bar.Range != null).OrderBy(static bar => bar.Range!.Value.Median)];
        page.Open("figure").Element("figcaption", title);
        page.Open("div", ("class", "bars"));
        if (drawn.Length > 0)
        {
            double end = End(drawn);
            IReadOnlyList<Tick> ticks = Ticks.Linear(0, end, 1, tickText);
            foreach (Bar bar in drawn)
            {
                WriteBar(page, bar, end, ticks);
            }

            WriteAxis(page, end, ticks);
        }

        foreach (Bar bar in bars.Where(static bar => bar.Range == null))
        {
            page.Open("div", ("class", $"row series {Palette.ClassOf(bar.Allocator)}"))
                .Element("span", bar.Name, ("class", "name"))
                .Element("span", bar.Note, ("class", "failure"))
                .Close();
        }

        page.Close().Close();
    }

    /// <summary>The value at the right end of all bars.</summary>
    private static double End(Bar[] drawn)
    {
        double longest = drawn.Max(static bar => bar.Range!.Value.Max);
        double cut = CutOverMedian * drawn[drawn.Length / 2].Range!.Value.Median;

        // The first is what the page is about, and a whisker that just does not fit is no reason to cut.
        cut = Math.Max(cut, 1.2 * drawn.Where(static bar => bar.IsFirst).Select(static bar => bar.Range!.Value.Median).FirstOrDefault());
        double end = longest <= 1.25 * cut ? longest : cut;
        return end > 0 ? end : 1;
    }

    private static void WriteBar(PageWriter page, Bar bar, double end, IReadOnlyList<Tick> ticks)
    {
        BenchRange range = bar.Range!.Value;
        bool isCut = range.Median > end;
        page.Open("div", ("class", $"row series {Palette.ClassOf(bar.Allocator)}{(bar.IsFirst ? " first" : "")}"), ("data-tip", bar.Tip))
            .Element("span", bar.Name, ("class", "name"))
            .Open("span", ("class", "track"));
        foreach (Tick tick in ticks)
        {
            page.Element("i", "", ("class", "grid"), ("style", $"left:{Percent(tick.Value, end)}"));
        }

        page.Element("i", "", ("class", isCut ? "bar cut" : "bar"), ("style", $"width:{Percent(range.Median, end)}"));
        if (!isCut && range.Max > range.Min)
        {
            page.Element("i", "", ("class", "whisker"), ("style", $"left:{Percent(range.Min, end)};width:{Percent(Math.Min(range.Max, end) - range.Min, end)}"));
        }

        page.Close().Element("span", bar.Value, ("class", "value")).Element("span", bar.Note, ("class", "note")).Close();
    }

    private static void WriteAxis(PageWriter page, double end, IReadOnlyList<Tick> ticks)
    {
        page.Open("div", ("class", "row axis")).Element("span", "", ("class", "name")).Open("span", ("class", "track"));
        foreach (Tick tick in ticks)
        {
            page.Element("span", tick.Text, ("class", "tick"), ("style", $"left:{Percent(tick.Value, end)}"));
        }

        page.Close().Close();
    }

    private static string Percent(double value, double end) => Number(Math.Clamp(100 * value / end, 0, 100)) + "%";
}
