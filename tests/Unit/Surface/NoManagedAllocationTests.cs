using System;
using Xunit;

namespace Kmem.Tests.Unit.Surface;

/// <summary>Neither the fast path nor the rungs below it leave anything for the garbage collector.</summary>
public sealed unsafe class NoManagedAllocationTests
{
    private const int Pairs = 100_000;
    private const int BatchLength = 2000;

    public static TheoryData<KmemFrontEnd> FrontEnds => [KmemFrontEnd.RestartableSequences, KmemFrontEnd.TryLock];

    [Fact]
    public void The_shared_heap()
    {
        AssertNothing(static () => Kmalloc.Free(Kmalloc.Alloc(100)), Pairs);
        AssertNothing(static () => Kmalloc.Free(Kmalloc.TryAlloc(1000), 1000), Pairs);
        AssertNothing(static () => Kmalloc.Free(Kmalloc.AllocZeroed(64)), Pairs);
        AssertNothing(static () => Kmalloc.Free(Kmalloc.AllocAligned(100, 64)), Pairs);
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void A_heap_one_at_a_time(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = SurfaceHeap.Make(frontEnd);
        AssertNothing(() => heap.Free(heap.Alloc(100)), Pairs);
        AssertNothing(() => heap.Free(heap.AllocZeroed(100)), Pairs);
        AssertNothing(() => heap.Free(heap.Realloc(heap.Alloc(100), 1000), 1000), Pairs);
        AssertNothing(() => heap.Free(heap.Alloc(0)), Pairs);
        AssertNothing(() => heap.Free(heap.Alloc(40_000)), Pairs);
        AssertNothing(() => heap.Pages.Free(heap.Pages.Alloc(0), 0), Pairs);
        AssertNothing(() => _ = heap.UsableSize(null) + heap.RoundUpSize(100), Pairs);
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void A_heap_in_batches_that_go_down_to_the_slabs(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = SurfaceHeap.Make(frontEnd);
        nint[] batch = new nint[BatchLength];
        AssertNothing(
            () =>
            {
                for (int index = 0; index < batch.Length; index++)
                {
                    batch[index] = (nint)heap.Alloc(200);
                }

                foreach (nint each in batch)
                {
                    heap.Free((void*)each);
                }
            },
            Pairs / BatchLength);
        KmemCacheStatistics sized = FindCache(heap, "kmalloc-208");
        Assert.True(sized.AllocMisses > 100 && sized.FreeMisses > 100, $"misses: {sized.AllocMisses}, {sized.FreeMisses}");
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void A_cache_one_at_a_time_typed_or_not(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = SurfaceHeap.Make(frontEnd);
        using KmemCache cache = new("plain", 96, new KmemCacheOptions { Heap = heap });
        using KmemCache bare = new("bare", 96, new KmemCacheOptions { Heap = heap, Flags = KmemCacheFlags.NoMagazines | KmemCacheFlags.ZeroOnAlloc });
        using KmemCache<Guid> typed = new(options: new KmemCacheOptions { Heap = heap });
        AssertNothing(() => cache.Free(cache.Alloc()), Pairs);
        AssertNothing(() => cache.Free(cache.TryAlloc()), Pairs);
        AssertNothing(() => cache.Free(cache.AllocZeroed()), Pairs);
        AssertNothing(() => bare.Free(bare.Alloc()), Pairs);
        AssertNothing(() => typed.Free(typed.Alloc()), Pairs);
        AssertNothing(() => typed.Free(typed.AllocZeroed()), Pairs);
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void A_cache_in_batches_that_go_down_to_the_slabs_constructors_included(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = SurfaceHeap.Make(frontEnd);
        using KmemCache plain = new("plain", 96, new KmemCacheOptions { Heap = heap, MagazineCapacity = 8 });
        using KmemCache constructed = new("constructed", 96, new KmemCacheOptions { Heap = heap, MagazineCapacity = 8, Constructor = &Construct, Destructor = &Destroy });
        nint[] batch = new nint[BatchLength];
        foreach (KmemCache cache in new[] { plain, constructed })
        {
            AssertNothing(
                () =>
                {
                    for (int index = 0; index < batch.Length; index++)
                    {
                        batch[index] = (nint)cache.Alloc();
                    }

                    foreach (nint each in batch)
                    {
                        cache.Free((void*)each);
                    }

                    cache.Shrink();
                },
                Pairs / BatchLength);
            KmemCacheStatistics statistics = cache.GetStatistics();
            Assert.True(statistics.AllocMisses > 1000 && statistics.FreeMisses > 1000 && statistics.SlabsDestroyed > 100, statistics.ToString());
        }
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void A_cache_in_bulk(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = SurfaceHeap.Make(frontEnd);
        using KmemCache cache = new("plain", 96, new KmemCacheOptions { Heap = heap });
        using KmemCache<Guid> typed = new(options: new KmemCacheOptions { Heap = heap });
        nint[] few = new nint[10];
        nint[] many = new nint[BatchLength];
        AssertNothing(() => UseBulk(cache, few), Pairs / few.Length);
        AssertNothing(() => UseBulk(cache, many), Pairs / many.Length);
        AssertNothing(() => UseBulk(typed.Untyped, many), Pairs / many.Length);
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void Maintenance_and_trimming(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = SurfaceHeap.Make(frontEnd);
        AssertNothing(
            () =>
            {
                heap.Free(heap.Alloc(100));
                heap.Free(heap.Alloc(100_000));
                heap.Maintain();
                heap.Trim();
            },
            100);
    }

    private static void UseBulk(KmemCache cache, nint[] objects)
    {
        if (!cache.AllocBulk(objects))
        {
            throw new InvalidOperationException("no memory");
        }

        cache.FreeBulk(objects);
    }

    /// <summary>After warm-up the thread allocates not one byte. A second look forgives what the runtime itself does once, when it compiles anew.</summary>
    private static void AssertNothing(Action action, int times)
    {
        long bytes = long.MaxValue;
        for (int look = 0; look < 3 && bytes != 0; look++)
        {
            for (int warm = 0; warm < 50; warm++)
            {
                action();
            }

            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int time = 0; time < times; time++)
            {
                action();
            }

            bytes = GC.GetAllocatedBytesForCurrentThread() - before;
        }

        Assert.Equal(0, bytes);
    }

    private static KmemCacheStatistics FindCache(KmemHeap heap, string name)
    {
        foreach (KmemCacheStatistics cache in heap.GetStatistics().Caches)
        {
            if (cache.Name == name)
            {
                return cache;
            }
        }

        throw new InvalidOperationException($"no cache {name}");
    }

    private static bool Construct(void* item, void* context)
    {
        *(ulong*)item = 1;
        return true;
    }

    private static void Destroy(void* item, void* context) => *(ulong*)item = 0;
}
