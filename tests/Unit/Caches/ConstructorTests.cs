using System;
using System.Linq;
using Xunit;

namespace Kmem.Tests.Unit.Caches;

public sealed unsafe class ConstructorTests : IDisposable
{
    private readonly ObjectLife _life = new();

    public void Dispose() => _life.Dispose();

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void An_object_is_constructed_once_and_stays_so_through_the_magazines(KmemFrontEnd frontEnd) => OneCpu.Run(() =>
    {
        using ObjectLife life = new();
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache cache = new("built", 64, life.Options(heap));
        for (int round = 0; round < 1000; round++)
        {
            void* pointer = cache.Alloc();
            Assert.True(ObjectLife.IsConstructed(pointer));
            ((ulong*)pointer)[4] = (ulong)round;
            cache.Free(pointer);
        }

        Assert.Equal(1, life.Constructed);
        Assert.Equal(0, life.Destroyed);
    });

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void As_many_are_destroyed_as_were_constructed(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        foreach (KmemCacheFlags flags in new[] { KmemCacheFlags.None, KmemCacheFlags.NoMagazines })
        {
            KmemCache cache = new("built", 64, _life.Options(heap, flags));
            nint[] objects = new nint[3000];
            Assert.True(cache.AllocBulk(objects));
            Assert.All(objects, each => Assert.True(ObjectLife.IsConstructed((void*)each)));
            KmemCacheStatistics statistics = cache.GetStatistics();
            _life.AssertBalanced(live: statistics.LiveObjects + statistics.MagazineObjects + statistics.DepotObjects);
            cache.FreeBulk(objects);
            statistics = cache.GetStatistics();
            _life.AssertBalanced(live: statistics.MagazineObjects + statistics.DepotObjects);
            cache.Shrink();
            _life.AssertBalanced();
            for (int index = 0; index < 100; index++)
            {
                objects[index] = (nint)cache.Alloc();
            }

            for (int index = 0; index < 100; index++)
            {
                cache.Free((void*)objects[index]);
            }

            cache.Dispose();
            _life.AssertBalanced();
        }

        Ledger.AssertEmptyAfterTrim(heap);
    }

    /// <summary>Their callers make them what a destructor takes apart.</summary>
    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Without_a_constructor_only_those_are_destroyed_that_a_caller_had(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        KmemCacheOptions options = _life.Options(heap);
        options.Constructor = null;
        KmemCache cache = new("lazy", 64, options);
        for (int round = 1; round <= 3; round++)
        {
            nint[] objects = [(nint)cache.Alloc(), (nint)cache.Alloc()];
            Array.ForEach(objects, each => _life.ConstructAsCaller((void*)each));
            Array.ForEach(objects, each => cache.Free((void*)each));
            cache.Shrink();
            Assert.Equal(2 * round, _life.Destroyed);
            _life.AssertBalanced();
        }

        cache.Dispose();
        _life.AssertBalanced();
        Ledger.AssertEmptyAfterTrim(heap);
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void A_constructor_that_refuses_leaves_nothing_behind(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache cache = new("picky", 64, _life.Options(heap));
        _life.RefuseAfter(0);
        Assert.True(cache.TryAlloc() == null);
        InvalidOperationException refused = Assert.Throws<InvalidOperationException>(() => { cache.Alloc(); });
        Assert.Contains("constructor of the cache 'picky' refused", refused.Message, StringComparison.Ordinal);
        Assert.Equal((0, 0), (_life.Constructed, _life.Destroyed));
        Assert.Equal(0, cache.GetStatistics().LiveObjects);
        Ledger.AssertWhole(heap);

        // In the middle of a bulk: what was constructed waits in magazines or was destroyed.
        _life.RefuseAfter(50);
        nint[] objects = new nint[80];
        Assert.False(cache.AllocBulk(objects));
        Assert.All(objects, each => Assert.Equal(0, each));
        Assert.Equal(0, cache.GetStatistics().LiveObjects);
        _life.RefuseAfter(-1);
        Assert.True(cache.AllocBulk(objects));
        cache.FreeBulk(objects);
        cache.Shrink();
        _life.AssertBalanced();
        Ledger.AssertWhole(heap);
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void What_a_constructor_throws_comes_through_and_leaves_nothing_behind(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache cache = new("thrower", 64, _life.Options(heap));
        _life.ThrowAfter(0);
        Assert.Equal("thrown by the constructor", Assert.Throws<TimeoutException>(() => { cache.Alloc(); }).Message);
        Assert.Throws<TimeoutException>(() => { cache.TryAlloc(); });
        _life.ThrowAfter(7);
        nint[] objects = new nint[20];
        Assert.Throws<TimeoutException>(() => cache.AllocBulk(objects));
        Assert.Equal(0, cache.GetStatistics().LiveObjects);
        Ledger.AssertWhole(heap);

        // The thread's next calls are not troubled by it.
        _life.ThrowAfter(-1);
        void* pointer = cache.Alloc();
        cache.Free(pointer);
        using KmemCache plain = new("plain", 64, new KmemCacheOptions { Heap = heap });
        plain.Free(plain.Alloc());
        cache.Shrink();
        _life.AssertBalanced();
        Ledger.AssertWhole(heap);
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Objects_that_maintenance_reaps_are_destroyed(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache cache = new("reaped", 64, _life.Options(heap));
        nint[] objects = new nint[2000];
        Assert.True(cache.AllocBulk(objects));
        cache.FreeBulk(objects);
        for (int pass = 0; pass < 8; pass++)
        {
            heap.Maintain();
        }

        KmemCacheStatistics statistics = cache.GetStatistics();
        Assert.Equal((0, 0, 0), (statistics.MagazineObjects, statistics.DepotObjects, statistics.Slabs));
        _life.AssertBalanced();
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void A_constructor_may_allocate_and_a_destructor_may_free_from_the_same_heap(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        System.Runtime.InteropServices.GCHandle handle = System.Runtime.InteropServices.GCHandle.Alloc(heap);
        KmemCache cache = new("owner", 32, new KmemCacheOptions
        {
            Heap = heap,
            Constructor = &Construct,
            Destructor = &Destroy,
            Context = (void*)System.Runtime.InteropServices.GCHandle.ToIntPtr(handle),
        });
        nint[] objects = new nint[500];
        Assert.True(cache.AllocBulk(objects));
        Assert.True(Ledger.Of(heap, "kmalloc-128").LiveObjects >= 500);
        cache.FreeBulk(objects);
        for (int pass = 0; pass < 8; pass++)
        {
            heap.Maintain();
        }

        Ledger.AssertEmptyAfterTrim(heap);
        Assert.True(cache.AllocBulk(objects));
        cache.FreeBulk(objects);
        cache.Dispose();
        Assert.Equal(0, Ledger.Of(heap, "kmalloc-128").LiveObjects);
        handle.Free();

        static bool Construct(void* pointer, void* context)
        {
            *(void**)pointer = Heap(context).Alloc(128);
            return true;
        }

        static void Destroy(void* pointer, void* context) => Heap(context).Free(*(void**)pointer);

        static KmemHeap Heap(void* context) => (KmemHeap)System.Runtime.InteropServices.GCHandle.FromIntPtr((nint)context).Target!;
    }

    [Fact]
    public void A_cache_with_a_constructor_refuses_to_clear_its_objects()
    {
        using KmemHeap heap = Heaps.Create(FrontEnds.All[0]);
        using KmemCache cache = new("built", 64, _life.Options(heap));
        Assert.Throws<InvalidOperationException>(() => { cache.AllocZeroed(); });
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Disposing_a_heap_runs_no_destructor(KmemFrontEnd frontEnd)
    {
        KmemHeap heap = Heaps.Create(frontEnd);
        KmemCache cache = new("built", 64, _life.Options(heap));
        nint[] objects = [.. Enumerable.Range(0, 10).Select(_ => (nint)cache.Alloc())];
        cache.Free((void*)objects[0]);
        heap.Dispose();
        Assert.Equal(0, _life.Destroyed);
    }
}
