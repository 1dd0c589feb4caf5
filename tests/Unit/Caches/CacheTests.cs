using System;
using System.Collections.Generic;
using System.Linq;
using Xunit;

namespace Kmem.Tests.Unit.Caches;

public sealed unsafe class CacheTests
{
    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Objects_are_distinct_aligned_and_hold_what_is_written(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        foreach (nuint size in new nuint[] { 1, 8, 24, 100, 512, 3000, 4096, 10_000, 100_000, 1 << 20 })
        {
            using KmemCache cache = new("objects", size, new KmemCacheOptions { Heap = heap });
            int count = size > 50_000 ? 20 : 700;
            nint[] objects = new nint[count];
            for (int index = 0; index < count; index++)
            {
                objects[index] = (nint)cache.Alloc();
                new Span<byte>((void*)objects[index], (int)size).Fill((byte)index);
            }

            Assert.Equal(count, objects.Distinct().Count());
            Assert.All(objects, each => Assert.Equal(0, each % (nint)cache.Layout.AlignmentBytes));
            Assert.Equal(count, cache.GetStatistics().LiveObjects);
            Ledger.AssertWhole(heap);
            for (int index = 0; index < count; index++)
            {
                Assert.Equal(-1, new Span<byte>((void*)objects[index], (int)size).IndexOfAnyExcept((byte)index));
                cache.Free((void*)objects[index]);
            }

            Assert.Equal(0, cache.GetStatistics().LiveObjects);
            Ledger.AssertWhole(heap);
        }

        Ledger.AssertEmptyAfterTrim(heap);
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void What_was_freed_last_is_handed_out_first(KmemFrontEnd frontEnd) => OneCpu.Run(() =>
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache cache = new("lifo", 64, new KmemCacheOptions { Heap = heap });
        void* first = cache.Alloc();
        void* second = cache.Alloc();
        cache.Free(first);
        cache.Free(second);
        Assert.True(cache.Alloc() == second);
        Assert.True(cache.TryAlloc() == first);
        cache.Free(first);
        cache.Free(second);
    });

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void A_heaps_free_takes_objects_of_caches_too(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache cache = new("objects", 200, new KmemCacheOptions { Heap = heap });
        void* pointer = cache.Alloc();
        Assert.Equal((nuint)200, heap.UsableSize(pointer));
        heap.Free(pointer);
        Assert.Equal(0, cache.GetStatistics().LiveObjects);
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Bulk_calls_take_and_give_any_number(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        foreach (KmemCacheFlags flags in new[] { KmemCacheFlags.None, KmemCacheFlags.NoMagazines, KmemCacheFlags.ZeroOnAlloc })
        {
            using KmemCache cache = new("bulk", 48, new KmemCacheOptions { Heap = heap, Flags = flags });
            HashSet<nint> held = [];
            List<nint[]> batches = [];
            foreach (int count in new[] { 0, 1, 2, 13, 14, 15, 30, 62, 63, 300, 5000, 1 })
            {
                nint[] batch = new nint[count];
                Assert.True(cache.AllocBulk(batch));
                Assert.All(batch, each => Assert.True(held.Add(each)));
                batches.Add(batch);
                Assert.Equal(held.Count, cache.GetStatistics().LiveObjects);
                foreach (nint each in batch)
                {
                    Assert.True((flags & KmemCacheFlags.ZeroOnAlloc) == 0 || *(ulong*)each == 0);
                    *(ulong*)each = ulong.MaxValue;
                }
            }

            Ledger.AssertWhole(heap);
            foreach (nint[] batch in batches)
            {
                cache.FreeBulk(batch);
                held.ExceptWith(batch);
                Assert.Equal(held.Count, cache.GetStatistics().LiveObjects);
            }

            Ledger.AssertWhole(heap);
        }

        Ledger.AssertEmptyAfterTrim(heap);
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void A_bulk_allocation_is_all_or_nothing(KmemFrontEnd frontEnd)
    {
        KmemHeapOptions options = Heaps.Options(frontEnd);
        options.ReserveBytes = 8 << 20;
        options.Growable = false;
        using KmemHeap heap = new(options);
        using KmemCache cache = new("bulk", 4096, new KmemCacheOptions { Heap = heap });
        nint[] tooMany = new nint[3000];
        Assert.False(cache.AllocBulk(tooMany));
        Assert.All(tooMany, each => Assert.Equal(0, each));
        Assert.Equal(0, cache.GetStatistics().LiveObjects);
        Ledger.AssertWhole(heap);
        nint[] enough = new nint[1500];
        Assert.True(cache.AllocBulk(enough));
        cache.FreeBulk(enough);
        Ledger.AssertEmptyAfterTrim(heap);
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Zeroed_objects_are_zero_however_they_are_allocated(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        foreach (KmemCacheFlags flags in new[] { KmemCacheFlags.ZeroOnAlloc, KmemCacheFlags.ZeroOnAlloc | KmemCacheFlags.NoMagazines })
        {
            using KmemCache cache = new("zeroed", 72, new KmemCacheOptions { Heap = heap, Flags = flags });
            nint[] one = new nint[1];
            for (int round = 0; round < 200; round++)
            {
                void* pointer = (round % 4) switch
                {
                    0 => cache.Alloc(),
                    1 => cache.TryAlloc(),
                    2 => cache.AllocZeroed(),
                    _ => cache.AllocBulk(one) ? (void*)one[0] : null,
                };
                Span<byte> bytes = new(pointer, 72);
                Assert.Equal(-1, bytes.IndexOfAnyExcept((byte)0));
                bytes.Fill(0xFF);
                cache.Free(pointer);
            }
        }

        using KmemCache plain = new("plain", 72, new KmemCacheOptions { Heap = heap });
        void* dirty = plain.Alloc();
        new Span<byte>(dirty, 72).Fill(0xEE);
        plain.Free(dirty);
        void* clean = plain.AllocZeroed();
        Assert.Equal(-1, new Span<byte>(clean, 72).IndexOfAnyExcept((byte)0));
        plain.Free(clean);
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void A_cache_without_magazines_has_none(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache cache = new("direct", 64, new KmemCacheOptions { Heap = heap, Flags = KmemCacheFlags.NoMagazines });
        void* pointer = cache.Alloc();
        KmemCacheStatistics statistics = cache.GetStatistics();
        Assert.Equal((0, 0, 0, 1), (statistics.MagazineCapacity, statistics.MagazineObjects, statistics.DepotObjects, statistics.LiveObjects));
        cache.Free(pointer);
        statistics = cache.GetStatistics();
        Assert.Equal((0, 1, 1), (statistics.MagazineObjects, statistics.AllocFromSlab, statistics.FreeToSlab));
        Assert.Equal(1, statistics.FreeSlabs);
    }

    [Theory]
    [InlineData(0, 8)]
    [InlineData(1, 8)]
    [InlineData(8, 8)]
    [InlineData(16, 16)]
    [InlineData(64, 64)]
    [InlineData(512, 512)]
    [InlineData(4096, 4096)]
    public void Objects_are_aligned_as_asked(int asked, int expected)
    {
        using KmemHeap heap = Heaps.Create(FrontEnds.All[0]);
        foreach (nuint size in new nuint[] { 1, 40, 512, 700, 5000 })
        {
            using KmemCache cache = new("aligned", size, new KmemCacheOptions { Heap = heap, AlignmentBytes = (nuint)asked });
            Assert.Equal((nuint)expected, cache.Layout.AlignmentBytes);
            nint[] objects = new nint[100];
            Assert.True(cache.AllocBulk(objects));
            Assert.All(objects, each => Assert.Equal(0, each % expected));
            cache.FreeBulk(objects);
        }
    }

    [Fact]
    public void Cache_line_alignment_keeps_objects_on_lines_of_their_own()
    {
        using KmemHeap heap = Heaps.Create(FrontEnds.All[0]);
        using KmemCache large = new("large", 65, new KmemCacheOptions { Heap = heap, Flags = KmemCacheFlags.CacheLineAligned });
        Assert.Equal(((nuint)64, (nuint)128), (large.Layout.AlignmentBytes, large.StrideBytes));
        using KmemCache small = new("small", 20, new KmemCacheOptions { Heap = heap, Flags = KmemCacheFlags.CacheLineAligned });
        Assert.Equal(((nuint)32, (nuint)32), (small.Layout.AlignmentBytes, small.StrideBytes));
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Shrink_empties_the_magazines_and_gives_the_slabs_back(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache cache = new("shrunk", 128, new KmemCacheOptions { Heap = heap });
        nint[] objects = new nint[32 * 20];
        Assert.True(cache.AllocBulk(objects));
        long slabs = cache.GetStatistics().Slabs;
        Assert.InRange(slabs, 20, 24);
        cache.FreeBulk(objects.AsSpan(1));
        Assert.InRange(cache.Shrink(), 1, (int)slabs - 1);
        KmemCacheStatistics statistics = cache.GetStatistics();
        Assert.Equal((1, 1, 0, 0), (statistics.Slabs, statistics.LiveObjects, statistics.MagazineObjects, statistics.DepotObjects));
        cache.Free((void*)objects[0]);
        Assert.Equal(1, cache.Shrink());
        Assert.Equal(0, cache.Shrink());
        Assert.Equal(0, cache.GetStatistics().Slabs);
        Ledger.AssertEmptyAfterTrim(heap);
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Dispose_with_live_objects_lists_them_and_the_cache_lives_on(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        KmemCache cache = new("busy", 128, new KmemCacheOptions { Heap = heap });
        nint[] objects = new nint[20];
        Assert.True(cache.AllocBulk(objects));
        void* freed = cache.Alloc();
        cache.Free(freed);
        Array.Sort(objects);

        KmemMisuseException refused = Assert.Throws<KmemMisuseException>(cache.Dispose);
        Assert.Equal(KmemMisuse.LiveObjects, refused.Misuse);
        Assert.Equal((nuint)objects[0], refused.Address);
        Assert.Contains("'busy' of the heap 'test': 20 live object(s) of 128 bytes", refused.Message, StringComparison.Ordinal);
        Assert.Contains("and 4 more", refused.Message, StringComparison.Ordinal);
        Assert.All(objects.Take(16), each => Assert.Contains($"0x{each:x}", refused.Message, StringComparison.Ordinal));
        Assert.DoesNotContain($"0x{(nint)freed:x}", refused.Message, StringComparison.Ordinal);

        void* another = cache.Alloc();
        Assert.Equal(21, cache.GetStatistics().LiveObjects);
        cache.Free(another);
        Ledger.AssertWhole(heap);
        cache.FreeBulk(objects);
        cache.Dispose();
        cache.Dispose();
        Ledger.AssertEmptyAfterTrim(heap);
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void After_dispose_every_call_says_so(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        KmemCache cache = new("gone", 128, new KmemCacheOptions { Heap = heap });
        void* pointer = cache.Alloc();
        cache.Free(pointer);
        cache.Dispose();
        AssertDisposed(cache, pointer);

        // The same where the heap goes first.
        KmemHeap other = Heaps.Create(frontEnd);
        KmemCache orphan = new("orphan", 128, new KmemCacheOptions { Heap = other });
        void* live = orphan.Alloc();
        other.Dispose();
        AssertDisposed(orphan, live);
        orphan.Dispose();
        Assert.Throws<ObjectDisposedException>(() => new KmemCache("late", 8, new KmemCacheOptions { Heap = other }));
    }

    [Fact]
    public void A_typed_cache_hands_out_values()
    {
        using KmemHeap heap = Heaps.Create(FrontEnds.All[0]);
        using KmemCache<Guid> cache = new(options: new KmemCacheOptions { Heap = heap });
        Assert.Equal("Guid", cache.Name);
        Guid* value = cache.Alloc();
        *value = Guid.NewGuid();
        Guid* zero = cache.AllocZeroed();
        Assert.Equal(Guid.Empty, *zero);
        Assert.Equal((nuint)16, cache.Untyped.ObjectSizeBytes);
        cache.Free(value);
        cache.Free(zero);
        cache.Validate();
    }

    [Fact]
    public void Arguments_out_of_range_are_refused_with_the_caches_name()
    {
        using KmemHeap heap = Heaps.Create(FrontEnds.All[0]);
        long before = heap.GetStatistics().Caches.Count;
        Assert.Throws<ArgumentNullException>(() => new KmemCache(null!, 8));
        Assert.Throws<ArgumentException>(() => new KmemCache("", 8));
        Assert.Throws<ArgumentException>(() => new KmemCache("two words", 8));
        Assert.Throws<ArgumentException>(() => new KmemCache("a\u0001", 8));
        Assert.Throws<ArgumentException>(() => new KmemCache(new string('x', 64), 8));
        Assert.Throws<ArgumentException>(() => new KmemCache(new string('ä', 32), 8));
        Assert.Contains("'huge'", Assert.Throws<ArgumentOutOfRangeException>(() => new KmemCache("huge", 0)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => new KmemCache("huge", KmemCache.ObjectSizeBytesMax + 1));
        foreach (nuint alignment in new nuint[] { 3, 24, 8192, nuint.MaxValue })
        {
            Assert.Throws<ArgumentException>(() => new KmemCache("odd", 8, new KmemCacheOptions { Heap = heap, AlignmentBytes = alignment }));
        }

        Assert.Throws<ArgumentException>(() => new KmemCache("odd", 8, new KmemCacheOptions { Heap = heap, Flags = (KmemCacheFlags)64 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => new KmemCache("odd", 8, new KmemCacheOptions { Heap = heap, MagazineCapacity = -1 }));
        using ObjectLife life = new();
        Assert.Throws<ArgumentException>(() => new KmemCache("odd", 16, life.Options(heap, KmemCacheFlags.ZeroOnAlloc)));
        Assert.Equal(before, heap.GetStatistics().Caches.Count);
        using KmemCache longest = new(new string('ä', 31), 8, new KmemCacheOptions { Heap = heap });
        Assert.Equal(new string('ä', 31), longest.GetStatistics().Name);
    }

    [Fact]
    public void A_kernel_rule_of_its_own_is_possible()
    {
        using KmemHeap heap = Heaps.Create(FrontEnds.All[0]);
        using KmemCache cache = new("ruled", 2048, new KmemCacheOptions { Heap = heap, SlabRule = KmemSlabRule.Kernel });
        Assert.Equal((3, 16), (cache.Order, cache.ObjectsPerSlab));
        Assert.Equal(KmemSlabLayout.Compute(2048, 0, KmemSlabRule.Kernel, Environment.ProcessorCount), cache.Layout);
    }

    private static void AssertDisposed(KmemCache cache, void* pointer)
    {
        nint address = (nint)pointer;
        Assert.Throws<ObjectDisposedException>(() => { cache.Alloc(); });
        Assert.Throws<ObjectDisposedException>(() => { cache.TryAlloc(); });
        Assert.Throws<ObjectDisposedException>(() => { cache.AllocZeroed(); });
        Assert.Throws<ObjectDisposedException>(() => cache.Free((void*)address));
        Assert.Throws<ObjectDisposedException>(() => cache.AllocBulk(new nint[1]));
        Assert.Throws<ObjectDisposedException>(() => cache.FreeBulk([address]));
        Assert.Throws<ObjectDisposedException>(() => cache.Shrink());
        Assert.Throws<ObjectDisposedException>(cache.Validate);
        Assert.Throws<ObjectDisposedException>(cache.GetStatistics);
    }
}
