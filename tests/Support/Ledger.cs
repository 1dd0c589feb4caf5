using System.Linq;
using Xunit;

namespace Kmem.Tests;

/// <summary>What must be true of the figures of a heap in every state, while no other thread is at work.</summary>
internal static class Ledger
{
    private const ulong PageBytes = 4096;

    /// <summary>Every committed byte is in exactly one part, and every object of every cache is in one place.</summary>
    public static void AssertAddsUp(KmemStatistics statistics)
    {
        ulong parts = statistics.RequestedBytes + statistics.SizeClassBytes + statistics.RoundingBytes
            + statistics.MagazineBytes + statistics.DepotBytes + statistics.FreeInSlabBytes + statistics.EmptySlabBytes
            + statistics.SlabTailBytes + statistics.FreePageBytes + statistics.MetadataBytes;
        Assert.Equal(statistics.CommittedBytes, parts);
        Assert.True(statistics.CommittedBytes <= statistics.ReservedBytes, "more committed than reserved");
        Assert.True(statistics.LargeAllocations >= 0 && statistics.PagesInUse >= 0, "negative counts");

        foreach (KmemCacheStatistics cache in statistics.Caches)
        {
            AssertAddsUp(cache);
        }

        AssertAddsUp(statistics.Pages);

        // Pages handed out are slabs, tables of free bits (a page for at least one slab of objects of 8 bytes), large allocations and users' blocks.
        long slabPages = statistics.Caches.Sum(cache => cache.Slabs << cache.Order);
        long tablesMost = statistics.Caches.Sum(cache => cache.StrideBytes == 8 ? cache.SlabsCreated : 0);
        long largeLeast = (long)((statistics.LargeRequestedBytes + PageBytes - 1) / PageBytes);
        long others = statistics.Pages.AllocatedPages - slabPages - statistics.PagesInUse - statistics.GuardPages;
        Assert.InRange(others, largeLeast, largeLeast + statistics.LargeAllocations + tablesMost);
    }

    public static void AssertAddsUp(KmemCacheStatistics cache)
    {
        long[] counts =
        [
            cache.LiveObjects, cache.MagazineObjects, cache.DepotObjects, cache.FreeObjects,
            cache.FullSlabs, cache.PartialSlabs, cache.FreeSlabs,
        ];
        Assert.True(counts.All(count => count >= 0), $"{cache.Name}: a negative count: {cache}");
        Assert.Equal(cache.Slabs * cache.ObjectsPerSlab, cache.TotalObjects);
        Assert.Equal(cache.TotalObjects, cache.LiveObjects + cache.MagazineObjects + cache.DepotObjects + cache.FreeObjects + cache.DamagedObjects);
        Assert.Equal(cache.Slabs, cache.FullSlabs + cache.PartialSlabs + cache.FreeSlabs);
        Assert.Equal(cache.Slabs, cache.SlabsCreated - cache.SlabsDestroyed);
        Assert.Equal(cache.AllocMisses, cache.AllocFromPrevious + cache.AllocFromDepot + cache.AllocFromSlab);
        Assert.Equal(cache.FreeMisses, cache.FreeToPrevious + cache.FreeToDepot + cache.FreeToSlab);
        Assert.InRange(cache.FreeObjects, (cache.FreeSlabs * cache.ObjectsPerSlab) + cache.PartialSlabs, cache.TotalObjects);
    }

    public static void AssertAddsUp(KmemPageStatistics pages)
    {
        Assert.Equal(pages.TotalPages, pages.FreePages + pages.AllocatedPages);
        Assert.Equal(pages.FreePages, pages.FreeBlocks.Select((blocks, order) => blocks << order).Sum());
        Assert.InRange(pages.PurgedPages, 0, pages.FreePages - pages.ListedPages);
    }

    /// <summary>The heap is whole: every structure validates and every byte is accounted for. Returns the figures.</summary>
    public static KmemStatistics AssertWhole(KmemHeap heap)
    {
        heap.Validate();
        KmemStatistics statistics = heap.GetStatistics();
        AssertAddsUp(statistics);
        return statistics;
    }

    /// <summary>Nobody holds anything, and after a trim nothing but metadata and pages given back is left.</summary>
    public static void AssertEmptyAfterTrim(KmemHeap heap)
    {
        _ = heap.Trim();
        KmemStatistics statistics = AssertWhole(heap);
        Assert.All(statistics.Caches, cache => Assert.True(cache.Slabs == 0 && cache.LiveObjects == 0, $"left behind: {cache}"));
        Assert.Equal(0, statistics.LargeAllocations);
        Assert.Equal(0ul, statistics.LargeRequestedBytes);
        Assert.Equal(0, statistics.PagesInUse);
        Assert.Equal(statistics.Pages.FreePages, statistics.Pages.PurgedPages);
        Assert.Equal(statistics.MetadataBytes, statistics.CommittedBytes - (ulong)(statistics.Pages.FreePages - statistics.Pages.PurgedPages) * PageBytes);
    }

    public static KmemCacheStatistics Of(KmemHeap heap, string cache) => heap.GetStatistics().Caches.Single(each => each.Name == cache);
}
