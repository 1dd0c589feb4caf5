using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text.Json;
using System.Text.RegularExpressions;
using System.Xml;
using System.Xml.Linq;
using Kmem.Tool.Bench.Allocators;
using Kmem.Tool.Bench.Report;
using Kmem.Tool.Bench.Report.Page;
using Kmem.Tool.Hosting;
using Xunit;

namespace Kmem.Tests.Unit.Tool;

/// <summary>What holds for every page.</summary>
internal static partial class PageCheck
{
    // Elements that HTML, unlike XML, does not let be empty: "<div/>" would open one that never ends.
    private static readonly string[] s_mayBeEmpty = ["meta", "line", "polyline", "polygon", "circle", "rect", "path"];

    /// <summary>Parses the page as XML, and refuses whatever would be loaded from elsewhere.</summary>
    public static XDocument Check(string html)
    {
        using XmlReader reader = XmlReader.Create(new System.IO.StringReader(html), new XmlReaderSettings { DtdProcessing = DtdProcessing.Ignore });
        XDocument page = XDocument.Load(reader);
        Assert.All(SelfClosed().Matches(html), static match => Assert.Contains(match.Groups[1].Value, s_mayBeEmpty));
        Assert.DoesNotContain("http:", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("https:", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("@import", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("url(", html, StringComparison.OrdinalIgnoreCase);
        Assert.Empty(page.Descendants().Attributes("src"));
        Assert.All(page.Descendants().Attributes("href"), attribute => Assert.Contains(page.Descendants().Attributes("id"), id => "#" + id.Value == attribute.Value));
        Assert.DoesNotContain("NaN", html, StringComparison.Ordinal);
        Assert.DoesNotContain("∞", html, StringComparison.Ordinal);
        return page;
    }

    [GeneratedRegex("<([a-z]+)[^<>]*/>")]
    private static partial Regex SelfClosed();
}

public sealed class BenchPageTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_page_with_everything_is_whole_and_needs_nothing_from_outside()
    {
        BenchReport report = BenchSamples.Large();
        XDocument page = PageCheck.Check(BenchPage.Create(report));
        string text = page.Root!.Value;
        Assert.Contains("a processor, 2 CPUs", text, StringComparison.Ordinal);
        Assert.Contains("commit 0123456789ab", text, StringComparison.Ordinal);
        Assert.Contains("Failures", text, StringComparison.Ordinal);

        // Three latency plots, one of scaling, one of memory.
        Assert.Equal(5, page.Descendants("svg").Count());
        Assert.Equal(report.Cases.Count, page.Descendants("details").Count());
        Assert.Equal(report.Allocators.Count + 1, page.Descendants("button").Count());
    }

    [Fact]
    public void Names_are_text_and_never_markup()
    {
        string html = BenchPage.Create(BenchSamples.Large());
        Assert.DoesNotContain("<b>", html, StringComparison.Ordinal);
        Assert.DoesNotContain("<a>", html, StringComparison.Ordinal);
        Assert.Contains("&lt;b&gt;&amp;&quot;nasty&quot;&#39;\uFFFD", html, StringComparison.Ordinal);
        Assert.Contains(PageCheck.Check(html).Descendants("button"), static button => button.Value == "<b>&\"nasty\"'\uFFFD");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(40)]
    public void There_may_be_any_number_of_allocators(int count)
    {
        AllocatorSpec[] allocators = [.. Enumerable.Range(0, count).Select(static index => BenchSamples.Allocator("allocator" + index.ToString(CultureInfo.InvariantCulture), (AllocatorFamily)(index % 6)))];
        PageCheck.Check(BenchPage.Create(BenchSamples.Report(allocators, BenchSamples.Case(allocators, hasLatency: true, hasMemory: true))));
    }

    [Fact]
    public void A_case_in_which_all_failed_has_a_page_too()
    {
        AllocatorSpec[] allocators = [BenchSamples.Allocator("a"), BenchSamples.Allocator("b")];
        BenchCase broken = BenchSamples.Case(allocators) with { Outcomes = OutcomeBuilder.Build(allocators, [[], []], ["it broke", "this too"]) };
        XDocument page = PageCheck.Check(BenchPage.Create(BenchSamples.Report(allocators, broken, broken with { Threads = 2 })));
        Assert.Contains("2 threads: b: this too", page.Root!.Value, StringComparison.Ordinal);
    }

    [Fact]
    public void Times_of_zero_and_memory_that_shrank_are_drawn()
    {
        AllocatorSpec[] allocators = [BenchSamples.Allocator("a")];
        Measurement odd = BenchSamples.Run(1, hasMemory: true) with
        {
            NanosecondsPerOperation = 0,
            OperationsPerSecond = 0,
            Latency = [new(0, 0), new(50, 0), new(99, 0), new(99.9, 0), new(100, 0)],
            Memory = [new(0, -5, 0), new(1, -5, 0)],
        };
        BenchCase each = BenchSamples.Case(allocators) with { Outcomes = OutcomeBuilder.Build(allocators, [[odd]], [null]) };
        PageCheck.Check(BenchPage.Create(BenchSamples.Report(allocators, each, each with { Threads = 2 })));
    }

    [Theory]
    [InlineData(80)]
    [InlineData(100)]
    [InlineData(120)]
    [InlineData(200)]
    public void No_table_is_wider_than_the_terminal_or_wraps_its_rows(int width)
    {
        BenchReport report = BenchSamples.Large();
        string saved = _folder.Write("saved", JsonSerializer.Serialize(report, ToolJsonContext.Default.BenchReport));
        ToolRun run = ToolRun.OfWidth(width, "bench", "--load", saved);
        Assert.Equal(1, run.ExitCode);
        string[] lines = run.Output.Split('\n');
        Assert.All(lines, line => Assert.True(line.Length <= width, line));
        Assert.All(lines, static line => Assert.Equal(line.TrimEnd(), line));

        // One row in the table of each case.
        Assert.Equal(report.Cases.Count, lines.Count(static line => line.StartsWith("arraypool ", StringComparison.Ordinal)));
        Assert.Single(lines, static line => line.StartsWith("pair-64 · 16 threads ", StringComparison.Ordinal) && line.Contains(" 11.0 ns", StringComparison.Ordinal));
        Assert.Contains(lines, static line => line.StartsWith("allocator ", StringComparison.Ordinal) && line.Contains("rss +10 s", StringComparison.Ordinal));
    }

    [Fact]
    public void Names_that_look_like_something_else_do_no_harm_to_the_tables()
    {
        AllocatorSpec[] allocators = [BenchSamples.Allocator("a|b<c", AllocatorFamily.Kmem), BenchSamples.Allocator("x|<y\u001b[31m", AllocatorFamily.ManagedPeer), BenchSamples.Allocator("[red]z[/]")];
        string saved = _folder.Write("saved", JsonSerializer.Serialize(BenchSamples.Report(allocators, BenchSamples.Case(allocators)), ToolJsonContext.Default.BenchReport));
        ToolRun run = ToolRun.Of("bench", "--load", saved);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.DoesNotContain('\u001b', run.Output);
        Assert.Contains("\na|b<c ", run.Output, StringComparison.Ordinal);
        Assert.Contains("\nx|<y\uFFFD[31m ", run.Output, StringComparison.Ordinal);
        Assert.Contains("\n[red]z[/] ", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Scales_and_ticks_stay_inside_of_the_axis()
    {
        Scale log = Scale.Log(10, 1000, 0, 100);
        Assert.Equal([0, 50, 100, 0, 100], ((double[])[10, 100, 1000, 0, 1e9]).Select(log.At));
        Assert.Equal(["0", "5 ns", "10 ns"], Ticks.Linear(0, 12, 1, AxisText.Duration).Where(static tick => tick.Value % 5 == 0).Select(static tick => tick.Text));
        Assert.Equal(["10 ns", "100 ns", "1 µs", "10 µs", "100 µs"], Ticks.Log(8, 120_000, AxisText.Duration).Select(static tick => tick.Text));
        Assert.Equal(["0", "100 MiB", "200 MiB"], Ticks.Linear(0, 250 << 20, AxisText.ByteUnit(250 << 20), AxisText.Bytes).Where(static tick => tick.Value % (100 << 20) == 0).Select(static tick => tick.Text));
        Assert.Equal((0, 1, 2), (Nines.Place(0), Math.Round(Nines.Place(90), 9), Math.Round(Nines.Place(99), 9)));
    }
}
