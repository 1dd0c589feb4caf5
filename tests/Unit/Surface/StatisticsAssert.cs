using System.Linq;
using Xunit;

namespace Kmem.Tests.Unit.Surface;

/// <summary>The equations of docs/STATS.md. They hold whenever no other thread uses the heap.</summary>
internal static class StatisticsAssert
{
    public static void AddsUp(KmemStatistics statistics)
    {
        ulong parts = statistics.RequestedBytes
            + statistics.SizeClassBytes
            + statistics.RoundingBytes
            + statistics.MagazineBytes
            + statistics.DepotBytes
            + statistics.FreeInSlabBytes
            + statistics.EmptySlabBytes
            + statistics.SlabTailBytes
            + statistics.FreePageBytes
            + statistics.MetadataBytes;
        Assert.Equal(statistics.CommittedBytes, parts);
        Assert.True(statistics.ReservedBytes >= statistics.CommittedBytes, "more is committed than reserved");
        foreach (KmemCacheStatistics cache in statistics.Caches)
        {
            AddsUp(cache);
        }

        KmemPageStatistics pages = statistics.Pages;
        Assert.Equal(pages.TotalPages, pages.FreePages + pages.AllocatedPages);
        Assert.InRange(pages.ListedPages + pages.PurgedPages, 0, pages.FreePages);
        long ofSlabs = statistics.Caches.Sum(static cache => cache.Slabs << cache.Order);
        Assert.InRange(ofSlabs + statistics.PagesInUse, 0, pages.AllocatedPages);
    }

    public static void AddsUp(KmemCacheStatistics cache)
    {
        Assert.Equal(cache.TotalObjects, cache.LiveObjects + cache.MagazineObjects + cache.DepotObjects + cache.FreeObjects);
        Assert.Equal(cache.TotalObjects, cache.Slabs * cache.ObjectsPerSlab);
        Assert.Equal(cache.Slabs, cache.FullSlabs + cache.PartialSlabs + cache.FreeSlabs);
        Assert.Equal(cache.Slabs, cache.SlabsCreated - cache.SlabsDestroyed);
        Assert.Equal(cache.AllocMisses, cache.AllocFromPrevious + cache.AllocFromDepot + cache.AllocFromSlab);
        Assert.Equal(cache.FreeMisses, cache.FreeToPrevious + cache.FreeToDepot + cache.FreeToSlab);
    }

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
