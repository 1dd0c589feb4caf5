using System.Linq;
using Xunit;

namespace Kmem.Tests.Unit.Surface;

/// <summary>The equations of docs/STATS.md. They hold whenever no other thread uses the heap.</summary>
internal static class StatisticsAssert
{
    public static void AddsUp(KmemStatistics statistics) => Ledger.AssertAddsUp(statistics);

    public static void AddsUp(KmemCacheStatistics cache) => Ledger.AssertAddsUp(cache);

    /// <summary>Every byte figure and every object is where it was.</summary>
    public static void IsUnchanged(KmemStatistics before, KmemStatistics after)
    {
        Assert.Equal(Figures(before), Figures(after));
        Assert.Equal(before.Caches.Select(Figures), after.Caches.Select(Figures));
    }

    /// <summary>Nobody holds anything.</summary>
    public static void NothingIsOut(KmemStatistics statistics)
    {
        Assert.Equal(0UL, statistics.RequestedBytes);
        Assert.Equal(0UL, statistics.SizeClassBytes);
        Assert.Equal(0UL, statistics.RoundingBytes);
        Assert.Equal(0, statistics.LargeAllocations);
        Assert.Equal(0UL, statistics.LargeRequestedBytes);
        Assert.Equal(0, statistics.PagesInUse);
    }

    /// <summary>Nobody holds anything, and nothing is kept for later: the state after a trim.</summary>
    public static void NothingIsKept(KmemStatistics statistics)
    {
        NothingIsOut(statistics);
        Assert.All(statistics.Caches, static cache => Assert.True(cache.Slabs == 0, $"{cache.Name} has {cache.Slabs} slabs"));
        Assert.Equal(0UL, statistics.MagazineBytes + statistics.DepotBytes + statistics.FreeInSlabBytes + statistics.EmptySlabBytes);
    }

    private static string Figures(KmemStatistics s) =>
        $"requested {s.RequestedBytes}, classes {s.SizeClassBytes}, rounding {s.RoundingBytes}, magazines {s.MagazineBytes}, depots {s.DepotBytes}, "
        + $"free in slabs {s.FreeInSlabBytes}, empty slabs {s.EmptySlabBytes}, tails {s.SlabTailBytes}, free pages {s.FreePageBytes}, "
        + $"metadata {s.MetadataBytes}, committed {s.CommittedBytes}, reserved {s.ReservedBytes}, large {s.LargeAllocations} of {s.LargeRequestedBytes}, pages {s.PagesInUse}";

    private static string Figures(KmemCacheStatistics c) =>
        $"{c.Name}: live {c.LiveObjects}, total {c.TotalObjects}, magazines {c.MagazineObjects}, depot {c.DepotObjects}, free {c.FreeObjects}, slabs {c.Slabs}";
}
