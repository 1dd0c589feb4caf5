using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Kmem.Engine.Caches;
using Kmem.Engine.Primitives;
using Xunit;

namespace Kmem.Tests.Unit.Caches;

public sealed unsafe class RegistryTests
{
    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void A_thousand_caches_live_side_by_side(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        List<KmemCache> caches = [];
        List<nint> objects = [];
        for (int index = 0; index < 1000; index++)
        {
            KmemCache cache = new(string.Create(CultureInfo.InvariantCulture, $"cache-{index}"), (nuint)(8 + index), new KmemCacheOptions { Heap = heap });
            caches.Add(cache);
            void* pointer = cache.Alloc();
            *(int*)pointer = index;
            objects.Add((nint)pointer);
        }

        Assert.Equal(1000, objects.Distinct().Count());
        KmemStatistics statistics = Ledger.AssertWhole(heap);
        Assert.Equal(1000, statistics.Caches.Count(cache => !cache.IsSizeClass && !cache.IsInternal));
        for (int index = 999; index >= 0; index--)
        {
            Assert.Equal(index, *(int*)objects[index]);
            caches[index].Free((void*)objects[index]);
            caches[index].Dispose();
        }

        Ledger.AssertEmptyAfterTrim(heap);
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void The_place_of_a_disposed_cache_is_used_again_and_starts_clean(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache before = new("before", 64, new KmemCacheOptions { Heap = heap });
        int count = -1;
        for (int round = 0; round < 300; round++)
        {
            KmemCache cache = new("round", (nuint)(16 + (round % 7 * 100)), new KmemCacheOptions { Heap = heap });
            KmemCacheStatistics fresh = cache.GetStatistics();
            Assert.Equal((0, 0, 0, 0), (fresh.AllocMisses, fresh.FreeMisses, fresh.SlabsCreated, fresh.MagazineObjects));
            cache.Free(cache.Alloc());
            Cache* core = MagazineTests.CacheOf(heap, "round");
            Assert.NotEqual(SlotWord.None, Enumerable.Range(0, heap.Core->Registry.CpuCount).Aggregate(0ul, (sum, cpu) => sum | *Cache.WordOf(core, cpu)));
            cache.Dispose();
            count = count < 0 ? heap.Core->Registry.Count : count;
            Assert.Equal(count, heap.Core->Registry.Count);
        }

        Ledger.AssertEmptyAfterTrim(heap);
    }

    [Fact]
    public void There_are_8192_places_and_the_next_cache_is_refused()
    {
        using KmemHeap heap = Heaps.Create(FrontEnds.All[0]);
        List<KmemCache> caches = [];
        int room = CacheRegistry.CachesMax - heap.Core->Registry.Count;
        for (int index = 0; index < room; index++)
        {
            caches.Add(new KmemCache("many", 64, new KmemCacheOptions { Heap = heap, Flags = index % 100 == 0 ? KmemCacheFlags.None : KmemCacheFlags.NoMagazines }));
        }

        OutOfMemoryException refused = Assert.Throws<OutOfMemoryException>(() => new KmemCache("straw", 64, new KmemCacheOptions { Heap = heap }));
        Assert.Contains("'straw' (8192 caches at most)", refused.Message, StringComparison.Ordinal);
        void* pointer = caches[^1].Alloc();
        caches[^1].Free(pointer);
        Ledger.AssertAddsUp(heap.GetStatistics());
        caches[17].Dispose();
        using KmemCache again = new("straw", 64, new KmemCacheOptions { Heap = heap });
        Assert.Equal(CacheRegistry.CachesMax, heap.Core->Registry.Count);
    }

    [Fact]
    public void Structures_have_the_sizes_that_the_areas_are_cut_by()
    {
        Assert.Equal(CpuSlot.SizeBytes, sizeof(CpuSlot));
        Assert.Equal(128, CpuSlot.SizeBytes);
        Assert.True((nuint)sizeof(Cache) <= CacheRegistry.CacheBytes);
        nuint areaBytes = CacheRegistry.CpuSlotsOffset + (CacheRegistry.CachesMax * CpuSlot.SizeBytes);
        Assert.True(areaBytes <= (nuint)1 << RestartableSequence.CpuAreaShift);
    }
}
