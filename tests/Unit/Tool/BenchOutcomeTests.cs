using System;
using System.Collections.Generic;
using System.Linq;
using Kmem.Tool.Bench.Allocators;
using Kmem.Tool.Bench.Report;
using Xunit;

namespace Kmem.Tests.Unit.Tool;

public sealed class BenchOutcomeTests
{
    private static readonly AllocatorSpec[] s_two = [BenchSamples.Allocator("a"), BenchSamples.Allocator("b")];

    private static IReadOnlyList<BenchOutcome> Build(IReadOnlyList<Measurement> first, IReadOnlyList<Measurement> second, string? secondFailure = null) =>
        OutcomeBuilder.Build(s_two, [first, second], [null, secondFailure]);

    [Fact]
    public void The_median_of_the_runs_stands_between_the_lowest_and_the_highest()
    {
        IReadOnlyList<BenchOutcome> outcomes = Build(
            [BenchSamples.Run(30), BenchSamples.Run(10), BenchSamples.Run(11)],
            [BenchSamples.Run(40), BenchSamples.Run(20), BenchSamples.Run(21), BenchSamples.Run(23)]);
        Assert.Equal(new BenchRange(11, 10, 30), outcomes[0].NanosecondsPerOperation);
        Assert.Equal(new BenchRange(22, 20, 40), outcomes[1].NanosecondsPerOperation);
    }

    [Fact]
    public void A_ratio_is_below_1_where_the_first_is_faster()
    {
        IReadOnlyList<BenchOutcome> outcomes = Build([BenchSamples.Run(10)], [BenchSamples.Run(40)]);
        Assert.Equal([1.0, 0.25], outcomes.Select(static outcome => outcome.TimeRatio!.Value));
    }

    [Fact]
    public void Without_a_time_of_the_first_there_are_no_ratios()
    {
        IReadOnlyList<BenchOutcome> outcomes = OutcomeBuilder.Build(s_two, [[], [BenchSamples.Run(10)]], ["it broke", null]);
        Assert.Equal("it broke", outcomes[0].Failure);
        Assert.Null(outcomes[1].TimeRatio);
        Assert.Equal(10, outcomes[1].Time());
    }

    [Fact]
    public void A_time_of_zero_has_no_ratio()
    {
        Assert.All(Build([BenchSamples.Run(10)], [BenchSamples.Run(0)]).Skip(1), static outcome => Assert.Null(outcome.TimeRatio));
        Assert.All(Build([BenchSamples.Run(0)], [BenchSamples.Run(10)]), static outcome => Assert.Null(outcome.TimeRatio));
    }

    [Fact]
    public void A_failure_leaves_no_figures()
    {
        BenchOutcome broken = Build([BenchSamples.Run(10)], [BenchSamples.Run(10)], "it broke")[1];
        Assert.Equal(("it broke", null, null), (broken.Failure, broken.NanosecondsPerOperation, broken.TimeRatio));
        Assert.Equal("was not run", Build([BenchSamples.Run(10)], [])[1].Failure);
    }

    [Fact]
    public void Runs_with_different_hashes_are_a_failure()
    {
        BenchOutcome outcome = Build([BenchSamples.Run(10)], [BenchSamples.Run(10, "01"), BenchSamples.Run(10, "02")])[1];
        Assert.Equal("its runs have different hashes: 01, 02", outcome.Failure);
        Assert.Null(outcome.NanosecondsPerOperation);
    }

    [Fact]
    public void Allocators_with_different_hashes_are_named()
    {
        BenchCase each = BenchSamples.Case(s_two);
        Assert.Equal("hash 00000000000000aa, the same for all 2 allocators", each.HashLine());
        each = each with { Outcomes = Build([BenchSamples.Run(10, "01")], [BenchSamples.Run(10, "02")]) };
        Assert.Equal(["01", "02"], each.Hashes());
        Assert.Equal("HASHES DIFFER: 01: a; 02: b", each.HashLine());
    }

    [Fact]
    public void Small_memory_is_not_compared()
    {
        IReadOnlyList<BenchOutcome> outcomes = Build([BenchSamples.Run(10, requestedBytes: 1 << 20)], [BenchSamples.Run(10, requestedBytes: 64 << 20)]);
        Assert.Null(outcomes[0].PeakOverRequested);
        Assert.Equal(65.0 / 64, outcomes[1].PeakOverRequested!.Value.Median);
    }

    [Fact]
    public void The_tail_is_the_median_of_the_runs_too()
    {
        BenchOutcome outcome = Build([BenchSamples.Run(1, hasLatency: true), BenchSamples.Run(2, hasLatency: true), BenchSamples.Run(9, hasLatency: true)], [BenchSamples.Run(1)])[0];
        Assert.Equal(new BenchRange(140, 70, 630), outcome.P50Nanoseconds);
        Assert.Equal(new BenchRange(240, 120, 1080), outcome.MaxNanoseconds);
    }

    [Fact]
    public void The_best_of_a_family_is_found_among_those_that_ran()
    {
        AllocatorSpec[] allocators =
        [
            BenchSamples.Allocator("a", AllocatorFamily.Kmem), BenchSamples.Allocator("b", AllocatorFamily.NativePeer), BenchSamples.Allocator("c", AllocatorFamily.NativePeer),
        ];
        BenchCase each = BenchSamples.Case(allocators);
        BenchReport report = BenchSamples.Report(allocators, each);
        Assert.Equal("b", report.BestOf(each, AllocatorFamily.NativePeer)!.Allocator);
        Assert.Null(report.BestOf(each, AllocatorFamily.ManagedPeer));
        each = each with { Outcomes = [each.Outcomes[0], new BenchOutcome { Allocator = "b", Failure = "it broke" }, each.Outcomes[2]] };
        Assert.Equal("c", report.BestOf(each, AllocatorFamily.NativePeer)!.Allocator);
    }

    [Fact]
    public void Ratios_have_a_geometric_mean()
    {
        Assert.Equal(1, ReportReading.GeometricMean([0.5, 2])!.Value, 12);
        Assert.Null(ReportReading.GeometricMean([]));
    }

    [Theory]
    [InlineData(1, 2, 2, 3, true)]
    [InlineData(1, 2, 2.5, 3, false)]
    [InlineData(2, 3, 0, 5, true)]
    public void Ranges_overlap_where_they_share_a_value(double min, double max, double otherMin, double otherMax, bool overlap)
    {
        Assert.Equal(overlap, new BenchRange(min, min, max).Overlaps(new BenchRange(otherMin, otherMin, otherMax)));
        Assert.Equal(overlap, new BenchRange(otherMin, otherMin, otherMax).Overlaps(new BenchRange(min, min, max)));
    }
}
