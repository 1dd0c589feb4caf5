using System;
using System.Collections.Generic;
using System.Linq;
using Kmem.Tool.Bench.Allocators;

namespace Kmem.Tool.Bench.Report;

/// <summary>Turns the runs of a case into figures and compares them with the first allocator's.</summary>
internal static class OutcomeBuilder
{
    /// <summary>Below it the runtime's own memory is too large a part of the growth.</summary>
    private const long RequestedBytesToCompare = 16 << 20;

    public static IReadOnlyList<BenchOutcome> Build(IReadOnlyList<AllocatorSpec> allocators, IReadOnlyList<Measurement>[] runs, string?[] failures)
    {
        BenchOutcome[] outcomes = [.. allocators.Select((allocator, index) => Outcome(allocator.Name, runs[index], failures[index]))];
        double? first = outcomes[0].NanosecondsPerOperation?.Median;
        return [.. outcomes.Select(outcome => outcome with { TimeRatio = RatioOf(first, outcome.NanosecondsPerOperation?.Median) })];
    }

    /// <summary>No ratio where the clock saw no time at all: neither JSON nor a plot has a place for infinity.</summary>
    private static double? RatioOf(double? first, double? other) => first > 0 && other > 0 ? first / other : null;

    private static BenchOutcome Outcome(string allocator, IReadOnlyList<Measurement> runs, string? failure)
    {
        string[] hashes = [.. runs.Select(static run => run.Hash).Distinct()];
        if (failure != null || runs.Count == 0)
        {
            return new BenchOutcome { Allocator = allocator, Failure = failure ?? "was not run" };
        }

        if (hashes.Length != 1)
        {
            return new BenchOutcome { Allocator = allocator, Failure = $"its runs have different hashes: {string.Join(", ", hashes)}", Runs = runs };
        }

        return new BenchOutcome
        {
            Allocator = allocator,
            NanosecondsPerOperation = RangeOf(runs, static run => run.NanosecondsPerOperation),
            OperationsPerSecond = RangeOf(runs, static run => run.OperationsPerSecond),
            P50Nanoseconds = LatencyOf(runs, 50),
            P99Nanoseconds = LatencyOf(runs, 99),
            P999Nanoseconds = LatencyOf(runs, 99.9),
            MaxNanoseconds = LatencyOf(runs, 100),
            PeakOverRequested = runs[0].RequestedPeakBytes >= RequestedBytesToCompare
                ? RangeOf(runs, static run => (double)run.PeakRssBytes / run.RequestedPeakBytes)
                : null,
            PeakRssBytes = RangeOf(runs, static run => run.PeakRssBytes),
            PageFaults = RangeOf(runs, static run => run.PageFaults),
            Hash = hashes[0],
            Runs = runs,
        };
    }

    private static BenchRange? LatencyOf(IReadOnlyList<Measurement> runs, double percentile) => runs[0].Latency == null
        ? null
        : RangeOf(runs, run => run.Latency!.First(point => point.Percentile == percentile).Nanoseconds);

    public static BenchRange RangeOf(IReadOnlyList<Measurement> runs, Func<Measurement, double> figure)
    {
        double[] figures = [.. runs.Select(figure).Order()];
        int middle = figures.Length / 2;
        double median = figures.Length % 2 == 1 ? figures[middle] : (figures[middle - 1] + figures[middle]) / 2;
        return new BenchRange(median, figures[0], figures[^1]);
    }
}
