using System;
using System.Collections.Generic;
using System.Linq;
using Kmem.Tool.Views;

namespace Kmem.Tool.Bench.Report;

/// <summary>What a reader of a report asks for, in tables and on the page alike.</summary>
internal static class ReportReading
{
    /// <summary>What is behind the name of a native library that is called without transition.</summary>
    private const string SuppressedSuffix = "+sgt";

    /// <summary>The workload, with its threads where they are several.</summary>
    public static string Label(this BenchCase each) => LabelOf(each.Workload, each.Threads);

    public static string LabelOf(string workload, int threads) => threads == 1 ? workload : $"{workload} · {Units.Of(threads, "thread")}";

    /// <summary>The median time; null where there is none.</summary>
    public static double? Time(this BenchOutcome outcome) => outcome.NanosecondsPerOperation?.Median;

    /// <summary>The fastest allocator of a family; null where none of it has a time.</summary>
    public static BenchOutcome? BestOf(this BenchReport report, BenchCase each, AllocatorFamily family)
    {
        HashSet<string> names = [.. report.Allocators.Where(allocator => allocator.Family == family).Select(static allocator => allocator.Name)];
        return each.Outcomes.Where(outcome => outcome.Time() != null && names.Contains(outcome.Allocator)).MinBy(static outcome => outcome.Time());
    }

    /// <summary>A name without what its column says already.</summary>
    public static string ShortName(string allocator, AllocatorFamily family) =>
        family == AllocatorFamily.NativePeerSuppressed && allocator.EndsWith(SuppressedSuffix, StringComparison.Ordinal)
            ? allocator[..^SuppressedSuffix.Length]
            : allocator;

    /// <summary>The hashes of a case: one, or the allocators did not do the same work.</summary>
    public static IReadOnlyList<string> Hashes(this BenchCase each) =>
        [.. each.Outcomes.Select(static outcome => outcome.Hash).OfType<string>().Distinct()];

    /// <summary>One sentence about the hashes of a case.</summary>
    public static string HashLine(this BenchCase each)
    {
        IReadOnlyList<string> hashes = each.Hashes();
        int allocators = each.Outcomes.Count(static outcome => outcome.Hash != null);
        return hashes.Count switch
        {
            0 => "no allocator has a hash",
            1 => $"hash {hashes[0]}, the same for {(allocators == 1 ? "the one allocator" : $"all {allocators} allocators")}",
            _ => "HASHES DIFFER: " + string.Join("; ", hashes.Select(hash => $"{hash}: {string.Join(", ", each.Outcomes.Where(outcome => outcome.Hash == hash).Select(static outcome => outcome.Allocator))}")),
        };
    }

    /// <summary>Whether two ranges have a value in common: which of the two is faster is then a matter of the process.</summary>
    public static bool Overlaps(this BenchRange one, BenchRange other) => one.Min <= other.Max && other.Min <= one.Max;

    /// <summary>The mean that suits ratios; null of none.</summary>
    public static double? GeometricMean(IReadOnlyCollection<double> ratios) =>
        ratios.Count == 0 ? null : Math.Exp(ratios.Average(Math.Log));

    /// <summary>A figure of all runs by its name; null where a run lacks it.</summary>
    public static BenchRange? Figure(this BenchOutcome outcome, string name) =>
        outcome.Runs.Count > 0 && outcome.Runs.All(run => run.Figures != null && run.Figures.ContainsKey(name))
            ? OutcomeBuilder.RangeOf(outcome.Runs, run => run.Figures![name])
            : null;

    /// <summary>The names of all figures of a case, in order of appearance.</summary>
    public static IReadOnlyList<string> FigureNames(this BenchCase each) =>
        [.. each.Outcomes.SelectMany(static outcome => outcome.Runs).SelectMany(static run => run.Figures?.Keys ?? []).Distinct()];
}
