using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using Kmem.Tool.Views;

namespace Kmem.Tool.Bench.Report.Page;

/// <summary>
/// The page of <c>--html</c>: one file without anything from outside. On top what it was measured on and how, then all
/// ratios at a glance, then each workload with its plots and figures.
/// </summary>
internal static class BenchPage
{
    public static string Create(BenchReport report)
    {
        PageWriter page = new();
        page.Raw("<!DOCTYPE html>\n").Open("html", ("lang", "en"));
        WriteHead(page, report);
        page.Open("body").Open("main");
        WriteHeader(page, report);
        WriteTrouble(page, report);
        WriteChips(page, report);
        IReadOnlyList<(string Workload, IReadOnlyList<BenchCase> Cases)> workloads =
            [.. report.Cases.GroupBy(static each => each.Workload).Select(static group => (group.Key, (IReadOnlyList<BenchCase>)[.. group.OrderBy(static each => each.Threads)]))];
        string Anchor(string workload) => "w" + workloads.Select(static each => each.Workload).ToList().IndexOf(workload).ToString(CultureInfo.InvariantCulture);
        page.Open("section").Element("h2", "Overview");
        HeatTable.Write(page, report, each => "#" + Anchor(each.Workload));
        page.Close();
        foreach ((string workload, IReadOnlyList<BenchCase> cases) in workloads)
        {
            page.Open("section", ("id", Anchor(workload)));
            WriteWorkload(page, report, cases);
            page.Close();
        }

        page.Close().Element("div", "", ("id", "tip"), ("role", "tooltip"));
        page.Open("script").Raw("\n" + Resource("Page.js")).Close().Close().Close();
        return page.ToString();
    }

    private static void WriteHead(PageWriter page, BenchReport report)
    {
        page.Open("head")
            .Empty("meta", ("charset", "utf-8"))
            .Empty("meta", ("name", "viewport"), ("content", "width=device-width, initial-scale=1"))
            .Empty("meta", ("name", "color-scheme"), ("content", "light dark"))
            .Element("title", $"kmem bench, {report.Machine.Date}")
            .Open("style").Raw("\n" + Resource("Page.css") + Palette.Rules(report.Allocators)).Close()
            .Close();
    }

    private static void WriteHeader(PageWriter page, BenchReport report)
    {
        BenchMachine machine = report.Machine;
        page.Open("header").Element("h1", "kmem bench").Element("p", BenchView.Method(report), ("class", "method")).Open("dl");
        foreach ((string name, string value) in ((string, string)[])
        [
            ("Processor", $"{machine.Processor}, {Units.Of(machine.Cpus, "CPU")}"), ("Memory", Units.Bytes((ulong)machine.MemoryBytes)),
            ("Kernel", machine.Kernel), ("C library", machine.CLibrary), ("Runtime", machine.Runtime),
            ("Kmem", ShortCommit(machine.Kmem)), ("Date", machine.Date.Replace('T', ' ').Replace("Z", " UTC", StringComparison.Ordinal)),
        ])
        {
            page.Open("div").Element("dt", name).Element("dd", value).Close();
        }

        page.Close().Close();
    }

    /// <summary>Version and the first digits of the commit, which are enough to find it.</summary>
    private static string ShortCommit(string version)
    {
        int plus = version.IndexOf('+', StringComparison.Ordinal);
        return plus >= 0 && version.Length > plus + 12 ? $"{version[..plus]}, commit {version.AsSpan(plus + 1, 12)}" : version;
    }

    /// <summary>What would make the figures worthless comes before them.</summary>
    private static void WriteTrouble(PageWriter page, BenchReport report)
    {
        List<string> lines = [];
        foreach (BenchCase each in report.Cases)
        {
            if (each.Hashes().Count > 1)
            {
                lines.Add($"{each.Label()}: the allocators did not do the same work. {each.HashLine()}");
            }

            lines.AddRange(each.Outcomes.Where(static outcome => outcome.Failure != null).Select(outcome => $"{each.Label()}: {outcome.Allocator}: {outcome.Failure}"));
        }

        if (lines.Count == 0)
        {
            return;
        }

        page.Open("section", ("class", "trouble")).Element("h2", "Failures").Open("ul");
        foreach (string line in lines)
        {
            page.Element("li", line);
        }

        page.Close().Close();
    }

    /// <summary>One button for each allocator: pointing at it shows it in all plots, pressing it hides it.</summary>
    private static void WriteChips(PageWriter page, BenchReport report)
    {
        page.Open("div", ("class", "chips"));
        for (int index = 0; index < report.Allocators.Count; index++)
        {
            BenchAllocator allocator = report.Allocators[index];
            string key = Palette.ClassOf(index);
            page.Element("button", allocator.Name, ("type", "button"), ("class", "chip " + key), ("data-allocator", key), ("aria-pressed", "true"), ("data-tip", $"{allocator.Description}\npress to hide"));
        }

        page.Element("button", "all figures", ("type", "button"), ("id", "tables"), ("aria-pressed", "false"), ("data-tip", "opens or closes all tables")).Close();
    }

    private static void WriteWorkload(PageWriter page, BenchReport report, IReadOnlyList<BenchCase> cases)
    {
        page.Element("h2", cases[0].Workload).Element("p", cases[0].Summary);
        if (cases.Count > 1)
        {
            page.Open("div", ("class", "plots"));
            ScalingPlot.Write(page, report, cases);
            page.Close();
        }

        foreach (BenchCase each in cases)
        {
            if (cases.Count > 1 || each.Threads > 1)
            {
                page.Element("h3", Units.Of(each.Threads, "thread"));
            }

            CasePlots.Write(page, report, each);
            FigureTable.Write(page, each);
            page.Element("p", each.HashLine(), ("class", each.Hashes().Count > 1 ? "hash differs" : "hash"));
        }
    }

    private static string Resource(string name)
    {
        using Stream stream = typeof(BenchPage).Assembly.GetManifestResourceStream(name) ?? throw new InvalidOperationException($"{name} is not in the assembly");
        using StreamReader reader = new(stream, Encoding.UTF8);
        return reader.ReadToEnd();
    }
}
