using System;
using System.Linq;
using Kmem.Engine.Caches;
using Xunit;

namespace Kmem.Tests.Unit.Caches;

/// <summary>What the magazines of a CPU, the depot and maintenance do, by their counters.</summary>
public sealed unsafe class MagazineTests
{
    [Theory]
    [InlineData(1, 2)]
    [InlineData(2, 2)]
    [InlineData(3, 2)]
    [InlineData(4, 4)]
    [InlineData(12, 8)]
    [InlineData(13, 13)]
    [InlineData(28, 13)]
    [InlineData(29, 29)]
    [InlineData(61, 61)]
    [InlineData(252, 125)]
    [InlineData(253, 253)]
    [InlineData(100_000, 253)]
    public void A_capacity_is_a_step_at_or_below_what_was_asked(int asked, int expected)
    {
        Assert.Equal(expected, MagazineSizing.Nearest(asked));
        using KmemHeap heap = Heaps.Create(FrontEnds.All[0]);
        using KmemCache cache = new("fixed", 64, new KmemCacheOptions { Heap = heap, MagazineCapacity = asked });
        Assert.Equal(expected, cache.GetStatistics().MagazineCapacity);
    }

    [Fact]
    public void Steps_up_and_down_are_each_others_inverse_and_fit_into_their_memory()
    {
        int[] steps = [2, 4, 8, 13, 29, 61, 125, 253];
        for (int index = 0; index < steps.Length; index++)
        {
            Assert.Equal(steps[Math.Min(index + 1, steps.Length - 1)], MagazineSizing.Larger(steps[index]));
            Assert.Equal(steps[Math.Max(index - 1, 0)], MagazineSizing.Smaller(steps[index]));
            int sizeClass = MagazineSizing.SizeClassFor(steps[index]);
            Assert.InRange(sizeClass, 0, MagazineSizing.SizeClasses - 1);
            Assert.True((nuint)(Magazine.HeaderBytes + (8 * steps[index])) <= MagazineSizing.BytesOf(sizeClass));
        }

        for (uint stride = 8; stride <= 1 << 22; stride *= 2)
        {
            Assert.Contains(MagazineSizing.StartFor(stride), steps);
            Assert.InRange(MagazineSizing.LargestFor(stride), MagazineSizing.StartFor(stride), 253);
        }
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void A_batch_misses_the_loaded_magazine_once_in_a_magazines_worth(KmemFrontEnd frontEnd) => OneCpu.Run(() =>
    {
        const int Capacity = 29;
        const int Batch = 3000;
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache cache = new("batch", 64, new KmemCacheOptions { Heap = heap, MagazineCapacity = Capacity });
        void*[] objects = new void*[Batch];
        for (int round = 0; round < 3; round++)
        {
            KmemCacheStatistics before = cache.GetStatistics();
            for (int index = 0; index < Batch; index++)
            {
                objects[index] = cache.Alloc();
            }

            for (int index = 0; index < Batch; index++)
            {
                cache.Free(objects[index]);
            }

            KmemCacheStatistics after = cache.GetStatistics();

            // A refill ends at the end of a slab, so that the first batch also misses once in a slab's worth.
            long atSlabEnds = round == 0 ? Batch / cache.ObjectsPerSlab : 0;
            Assert.InRange(after.AllocMisses - before.AllocMisses, 1, (Batch / Capacity) + atSlabEnds + 3);
            Assert.InRange(after.FreeMisses - before.FreeMisses, 1, (Batch / Capacity) + 3);
            Ledger.AssertAddsUp(after);
        }
    });

    /// <summary>The worst pattern for one magazine: to and fro over its edge. Two magazines bound it.</summary>
    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void To_and_fro_over_a_magazines_edge_misses_rarely(KmemFrontEnd frontEnd) => OneCpu.Run(() =>
    {
        const int Capacity = 13;
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache cache = new("edge", 64, new KmemCacheOptions { Heap = heap, MagazineCapacity = Capacity });
        void*[] held = new void*[200];
        for (int start = 0; start < 3 * Capacity; start++)
        {
            held[start] = cache.Alloc();
            KmemCacheStatistics before = cache.GetStatistics();
            for (int round = 0; round < 20 * Capacity; round++)
            {
                void* first = cache.Alloc();
                void* second = cache.Alloc();
                cache.Free(second);
                cache.Free(first);
            }

            KmemCacheStatistics after = cache.GetStatistics();
            long operations = 80 * Capacity;
            long visits = Visits(after) - Visits(before);
            Assert.True(visits <= (operations / Capacity) + 2, $"{visits} visits of depot and slabs in {operations} operations");
        }

        for (int index = 0; index < 3 * Capacity; index++)
        {
            cache.Free(held[index]);
        }
    });

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void A_pair_of_allocate_and_free_never_misses(KmemFrontEnd frontEnd) => OneCpu.Run(() =>
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache cache = new("pair", 64, new KmemCacheOptions { Heap = heap });
        cache.Free(cache.Alloc());
        KmemCacheStatistics before = cache.GetStatistics();
        for (int round = 0; round < 10_000; round++)
        {
            cache.Free(cache.Alloc());
        }

        KmemCacheStatistics after = cache.GetStatistics();
        Assert.Equal((before.AllocMisses, before.FreeMisses), (after.AllocMisses, after.FreeMisses));
    });

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Capacity_grows_with_visits_and_shrinks_a_step_in_each_idle_pass(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache cache = new("adaptive", 64, new KmemCacheOptions { Heap = heap });
        int start = cache.GetStatistics().MagazineCapacity;
        Assert.Equal(61, start);
        nint[] objects = new nint[20_000];
        int capacity = start;
        for (int round = 0; round < 20; round++)
        {
            for (int index = 0; index < objects.Length; index++)
            {
                objects[index] = (nint)cache.Alloc();
            }

            foreach (nint each in objects)
            {
                cache.Free((void*)each);
            }

            int now = cache.GetStatistics().MagazineCapacity;
            Assert.True(now >= capacity);
            capacity = now;
        }

        Assert.Equal(253, capacity);
        Ledger.AssertWhole(heap);
        heap.Maintain();
        int[] shrinking = [.. Enumerable.Range(0, 6).Select(_ =>
        {
            heap.Maintain();
            return cache.GetStatistics().MagazineCapacity;
        })];
        Assert.Equal(13, shrinking[^1]);
        for (int pass = 1; pass < shrinking.Length; pass++)
        {
            Assert.Contains(shrinking[pass], new[] { shrinking[pass - 1], MagazineSizing.Smaller(shrinking[pass - 1]) });
        }

        // Magazines of all capacities are about; they mix.
        Assert.True(cache.AllocBulk(objects));
        cache.FreeBulk(objects);
        Ledger.AssertWhole(heap);
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void A_fixed_capacity_stays(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache cache = new("fixed", 64, new KmemCacheOptions { Heap = heap, MagazineCapacity = 13 });
        nint[] objects = [.. Enumerable.Range(0, 3000).Select(_ => (nint)cache.Alloc())];
        Array.ForEach(objects, each => cache.Free((void*)each));
        Assert.Equal(13, cache.GetStatistics().MagazineCapacity);
        heap.Maintain();
        heap.Maintain();
        Assert.Equal(13, cache.GetStatistics().MagazineCapacity);
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Freed_batches_wait_in_the_depot_and_are_allocated_from_there(KmemFrontEnd frontEnd) => OneCpu.Run(() =>
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache cache = new("depot", 64, new KmemCacheOptions { Heap = heap, MagazineCapacity = 61 });
        void*[] objects = new void*[620];
        Fill(cache, objects);
        Empty(cache, objects);
        KmemCacheStatistics freed = Ledger.AssertWhole(heap).Caches.Single(each => each.Name == "depot");
        Assert.InRange(freed.DepotObjects, 620 - (2 * 61), 620);
        Fill(cache, objects);
        KmemCacheStatistics again = cache.GetStatistics();
        Assert.InRange(again.AllocFromDepot - freed.AllocFromDepot, 7, 10);
        Assert.InRange(again.AllocFromSlab - freed.AllocFromSlab, 0, 1);
        Empty(cache, objects);
    });

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void The_depot_is_bounded_in_bytes_and_the_rest_goes_to_the_slabs(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache cache = new("bounded", 1024, new KmemCacheOptions { Heap = heap });
        long most = (2048 + 512) * 1024 * Math.Min(Engine.Face.CpuCountMax(), 16);
        nint[] objects = [.. Enumerable.Range(0, (int)(most / 1024) * 2).Select(_ => (nint)cache.Alloc())];
        Array.ForEach(objects, each => cache.Free((void*)each));
        KmemCacheStatistics statistics = Ledger.AssertWhole(heap).Caches.Single(each => each.Name == "bounded");
        Assert.InRange(statistics.DepotObjects * 1024, most / 2, most);
        Assert.True(statistics.FreeToSlab > 0);
        Assert.InRange(statistics.Slabs, 1, (long)((most * 2 / (1024 * statistics.ObjectsPerSlab)) + 20));
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Maintenance_reaps_what_the_depot_never_ran_short_of(KmemFrontEnd frontEnd) => OneCpu.Run(() =>
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache cache = new("working-set", 64, new KmemCacheOptions { Heap = heap, MagazineCapacity = 61 });
        void*[] objects = new void*[61 * 10];
        Fill(cache, objects);
        Empty(cache, objects);
        heap.Maintain();
        long kept = cache.GetStatistics().DepotObjects;
        Assert.InRange(kept, 61 * 8, 61 * 10);

        // An interval in which four magazines are in use: the others go.
        void*[] working = new void*[61 * 4];
        for (int round = 0; round < 3; round++)
        {
            Fill(cache, working);
            Empty(cache, working);
        }

        heap.Maintain();
        long left = cache.GetStatistics().DepotObjects;
        Assert.InRange(left, 61 * 2, 61 * 5);

        // An interval in which nothing happens: all go.
        heap.Maintain();
        Assert.Equal(0, cache.GetStatistics().DepotObjects);
        Ledger.AssertWhole(heap);
    });

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Magazines_of_a_CPU_are_emptied_when_five_passes_found_them_untouched(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache cache = new("idle", 64, new KmemCacheOptions { Heap = heap });
        cache.Free(cache.Alloc());
        for (int pass = 0; pass < 5; pass++)
        {
            heap.Maintain();
            Assert.NotEqual(0, cache.GetStatistics().MagazineObjects);
        }

        heap.Maintain();
        Assert.Equal(0, cache.GetStatistics().MagazineObjects);

        // A cache in use keeps its own.
        for (int pass = 0; pass < 20; pass++)
        {
            void* pointer = cache.Alloc();
            heap.Maintain();
            cache.Free(pointer);
            heap.Maintain();
        }

        Assert.NotEqual(0, cache.GetStatistics().MagazineObjects);
        Ledger.AssertWhole(heap);
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Free_slabs_that_nobody_needed_go_to_the_pages(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache cache = new("free-slabs", 64, new KmemCacheOptions { Heap = heap, Flags = KmemCacheFlags.NoMagazines });
        nint[] objects = new nint[64 * 4];
        Assert.True(cache.AllocBulk(objects));
        cache.FreeBulk(objects);
        Assert.Equal(4, cache.GetStatistics().FreeSlabs);
        heap.Maintain();
        Assert.Equal(4, cache.GetStatistics().FreeSlabs);
        void* pointer = cache.Alloc();
        cache.Free(pointer);
        heap.Maintain();
        Assert.Equal(1, cache.GetStatistics().FreeSlabs);
        heap.Maintain();
        Assert.Equal(0, cache.GetStatistics().Slabs);
    }

    [Fact]
    public void A_depot_whose_counts_are_wrong_is_named()
    {
        using KmemHeap heap = Heaps.Create(FrontEnds.All[0]);
        using KmemCache cache = new("damaged", 4096, new KmemCacheOptions { Heap = heap, MagazineCapacity = 13 });

        // More than a CPU's shelf takes.
        nint[] objects = [.. Enumerable.Range(0, 300).Select(_ => (nint)cache.Alloc())];
        Array.ForEach(objects, each => cache.Free((void*)each));
        Cache* core = CacheOf(heap, "damaged");
        Depot* depot = &core->Depot;
        Assert.True(depot->FullCount > 0);
        Shelf* shelf = null;
        for (int cpu = 0; cpu < core->Registry->CpuCount; cpu++)
        {
            Shelf* each = &Cache.CpuSlotOf(core, cpu)->Shelf;
            shelf = each->FullCount > 0 ? each : shelf;
        }

        Assert.True(shelf != null);
        foreach (nint counter in new[] { (nint)(&shelf->FullCount), (nint)(&shelf->EmptyCount) })
        {
            (*(ushort*)counter)++;
            InvalidOperationException found = Assert.ThrowsAny<InvalidOperationException>(heap.Validate);
            Assert.Contains("the depot of the cache 'damaged' is broken", found.Message, StringComparison.Ordinal);
            (*(ushort*)counter)--;
            heap.Validate();
        }

        foreach (nint counter in new[] { (nint)(&depot->FullCount), (nint)(&depot->EmptyCount), (nint)(&depot->Rounds) })
        {
            foreach (long change in new[] { 1L, -1L })
            {
                *(long*)counter += change;
                InvalidOperationException found = Assert.ThrowsAny<InvalidOperationException>(heap.Validate);
                Assert.Contains("the depot of the cache 'damaged' is broken", found.Message, StringComparison.Ordinal);
                *(long*)counter -= change;
                heap.Validate();
            }
        }
    }

    internal static Cache* CacheOf(KmemHeap heap, string name)
    {
        CacheRegistry* registry = &heap.Core->Registry;
        for (int index = CacheRegistry.FirstOrdinary; index < registry->Count; index++)
        {
            Cache* cache = CacheRegistry.At(registry, index);
            if (cache->State == CacheState.Live && new string((sbyte*)cache->Name) == name)
            {
                return cache;
            }
        }

        throw new ArgumentException(name);
    }

    private static long Visits(KmemCacheStatistics statistics) =>
        statistics.AllocFromDepot + statistics.AllocFromSlab + statistics.FreeToDepot + statistics.FreeToSlab;

    private static void Fill(KmemCache cache, void*[] objects)
    {
        for (int index = 0; index < objects.Length; index++)
        {
            objects[index] = cache.Alloc();
        }
    }

    private static void Empty(KmemCache cache, void*[] objects)
    {
        foreach (void* each in objects)
        {
            cache.Free(each);
        }
    }
}
