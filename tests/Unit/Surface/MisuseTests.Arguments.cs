using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using Kmem.Engine.Caches;
using Xunit;

namespace Kmem.Tests.Unit.Surface;

/// <summary>What was disposed, and arguments that cannot be.</summary>
public sealed unsafe partial class MisuseTests
{
    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void A_disposed_cache_says_so_at_every_entry_point(KmemFrontEnd frontEnd)
    {
        using Bench bench = new(frontEnd);
        KmemCache cache = new("done", 64, new KmemCacheOptions { Heap = bench.Heap });
        cache.Free(cache.Alloc());
        cache.Dispose();
        AssertDisposed(cache, bench.Object);
        bench.AssertSound();
        using KmemCache next = new("next", 64, new KmemCacheOptions { Heap = bench.Heap });
        void* item = next.Alloc();
        Assert.Throws<ObjectDisposedException>(() => cache.Free(item));
        next.Free(item);
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void A_disposed_heap_says_so_at_every_entry_point(KmemFrontEnd frontEnd)
    {
        KmemHeap heap = SurfaceHeap.Make(frontEnd);
        KmemCache cache = new("taken-along", 64, new KmemCacheOptions { Heap = heap });
        KmemCache zeroing = new("zeroing", 64, new KmemCacheOptions { Heap = heap, Flags = KmemCacheFlags.ZeroOnAlloc });
        void* held = heap.Alloc(100);
        nuint item = (nuint)cache.Alloc();
        heap.Free(heap.Alloc(100));
        cache.Free(cache.Alloc());
        heap.Dispose();
        heap.Dispose();
        foreach (Action use in new Action[]
        {
            () => heap.Alloc(0),
            () => heap.Alloc(100),
            () => heap.Alloc(100_000),
            () => heap.TryAlloc(100),
            () => heap.AllocZeroed(100),
            () => heap.AllocAligned(100, 64),
            () => heap.Realloc(held, 10),
            () => heap.Realloc(null, 10),
            () => heap.Free(held),
            () => heap.Free(null),
            () => heap.Free(held, 100),
            () => heap.UsableSize(held),
            () => heap.RoundUpSize(100),
            heap.Maintain,
            () => heap.Trim(),
            heap.Validate,
            () => heap.GetStatistics(),
            () => heap.Describe(held),
            () => heap.Pages.Alloc(0),
            () => heap.Pages.TryAlloc(0),
            () => heap.Pages.Free(held),
            () => heap.Pages.Free(held, 0),
            () => heap.Pages.GetStatistics(),
            () => _ = new KmemCache("late", 8, new KmemCacheOptions { Heap = heap }),
        })
        {
            Assert.Throws<ObjectDisposedException>(use);
        }

        AssertDisposed(cache, item);
        AssertDisposed(zeroing, item);
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void Alignments_that_are_none_are_refused_by_name(KmemFrontEnd frontEnd)
    {
        using Bench bench = new(frontEnd);
        foreach (nuint alignment in (ReadOnlySpan<nuint>)[0, 3, 24, 4097, (nuint)1 << 31, nuint.MaxValue, (nuint)1 << 63])
        {
            nuint absurd = alignment;
            AssertNames<ArgumentException>("alignmentBytes", () => bench.Heap.AllocAligned(10, absurd));
            if (absurd != 0)
            {
                AssertNames<ArgumentException>("options", () => _ = new KmemCache("c", 10, new KmemCacheOptions { Heap = bench.Heap, AlignmentBytes = absurd }));
            }
        }

        AssertNames<ArgumentException>("options", () => _ = new KmemCache("c", 10, new KmemCacheOptions { Heap = bench.Heap, AlignmentBytes = 8192 }));
        bench.AssertSound();
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void Caches_that_cannot_be_are_refused_by_name(KmemFrontEnd frontEnd)
    {
        using Bench bench = new(frontEnd);
        foreach (nuint size in (ReadOnlySpan<nuint>)[0, (nuint)KmemCache.ObjectSizeBytesMax + 1, (nuint)1 << 32, ((nuint)1 << 32) + 64, nuint.MaxValue])
        {
            nuint absurd = size;
            AssertNames<ArgumentOutOfRangeException>("objectSizeBytes", () => _ = new KmemCache("c", absurd, new KmemCacheOptions { Heap = bench.Heap }));
        }

        AssertNames<ArgumentNullException>("name", () => _ = new KmemCache(null!, 10, new KmemCacheOptions { Heap = bench.Heap }));
        foreach (string name in new[] { "", " ", "two words", "tab\t", "line\n", "nul\0", "\u2003", new string('x', 64), new string('ä', 32) })
        {
            AssertNames<ArgumentException>("name", () => _ = new KmemCache(name, 10, new KmemCacheOptions { Heap = bench.Heap }));
        }

        foreach (Action<KmemCacheOptions> set in new Action<KmemCacheOptions>[]
        {
            static options => options.Flags = (KmemCacheFlags)16,
            static options => options.Flags = (KmemCacheFlags)(-1),
            static options => options.MagazineCapacity = -1,
            static options => options.MagazineCapacity = int.MinValue,
            static options => options.SlabRule = (KmemSlabRule)7,
            static options =>
            {
                options.Constructor = &Construct;
                options.Flags = KmemCacheFlags.ZeroOnAlloc;
            },
        })
        {
            KmemCacheOptions options = new() { Heap = bench.Heap };
            set(options);
            AssertNames<ArgumentException>("options", () => _ = new KmemCache("c", 10, options));
        }

        using (KmemCache longest = new(new string('x', 63), 10, new KmemCacheOptions { Heap = bench.Heap, MagazineCapacity = int.MaxValue }))
        {
            longest.Free(longest.Alloc());
            Assert.Equal(longest.Name, longest.GetStatistics().Name);
        }

        using KmemCache constructing = new("c", 10, new KmemCacheOptions { Heap = bench.Heap, Constructor = &Construct });
        Assert.Throws<InvalidOperationException>(() => constructing.AllocZeroed());
        bench.AssertSound();
    }

    [Fact]
    public void Heaps_that_cannot_be_are_refused_by_name()
    {
        foreach (Action<KmemHeapOptions> set in new Action<KmemHeapOptions>[]
        {
            static options => options.Name = null!,
            static options => options.Name = "",
            static options => options.Name = " \t",
            static options => options.PurgeDelayMilliseconds = -1,
            static options => options.MaintenanceIntervalMilliseconds = -1,
            static options => options.FrontEnd = (KmemFrontEnd)9,
            static options => options.SizeClasses = (KmemSizeClasses)9,
            static options => options.SlabRule = (KmemSlabRule)9,
            static options => options.MisusePolicy = (KmemMisusePolicy)9,
        })
        {
            KmemHeapOptions options = SurfaceHeap.Options(KmemFrontEnd.Auto);
            set(options);
            AssertNames<ArgumentException>("options", () => new KmemHeap(options).Dispose());
        }
    }

    [Fact]
    public void Address_space_that_no_machine_has_is_cut_down_or_refused()
    {
        foreach (nuint bytes in (ReadOnlySpan<nuint>)[nuint.MaxValue, nuint.MaxValue - (4 * SurfaceHeap.MiB), (nuint)1 << 63, (nuint)1 << 50, 1])
        {
            KmemHeapOptions options = SurfaceHeap.Options(KmemFrontEnd.Auto);
            options.ReserveBytes = bytes;
            try
            {
                using KmemHeap heap = new(options);
                heap.Free(heap.Alloc(100));
                heap.Validate();
                StatisticsAssert.AddsUp(heap.GetStatistics());
            }
            catch (OutOfMemoryException refusal)
            {
                Assert.Contains("'heap'", refusal.Message, StringComparison.Ordinal);
            }
        }
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void Orders_and_mobilities_that_are_none_are_refused_by_name(KmemFrontEnd frontEnd)
    {
        using Bench bench = new(frontEnd);
        PageAllocator pages = bench.Heap.Pages;
        foreach (int order in new[] { -1, 11, int.MinValue, int.MaxValue })
        {
            AssertNames<ArgumentOutOfRangeException>("order", () => pages.Alloc(order));
            AssertNames<ArgumentOutOfRangeException>("order", () => pages.TryAlloc(order));
            AssertNames<ArgumentOutOfRangeException>("order", () => pages.Free((void*)bench.Block, order));
        }

        AssertNames<ArgumentOutOfRangeException>("mobility", () => pages.Alloc(0, (KmemMobility)3));
        AssertNames<ArgumentOutOfRangeException>("mobility", () => pages.TryAlloc(0, (KmemMobility)(-1)));
        bench.AssertSound();
    }

    private static void AssertDisposed(KmemCache cache, nuint item)
    {
        foreach (Action use in new Action[]
        {
            () => cache.Alloc(),
            () => cache.TryAlloc(),
            () => cache.AllocZeroed(),
            () => cache.AllocBulk(new nint[3]),
            () => cache.Free((void*)item),
            () => cache.Free(null),
            () => cache.FreeBulk([(nint)item]),
            () => cache.Shrink(),
            cache.Validate,
            () => cache.GetStatistics(),
        })
        {
            Assert.Throws<ObjectDisposedException>(use);
        }

        cache.Dispose();
    }

    private static void AssertNames<T>(string parameter, Action action)
        where T : ArgumentException
    {
        ArgumentException refusal = Assert.ThrowsAny<ArgumentException>(action);
        Assert.IsType<T>(refusal, exactMatch: false);
        Assert.Equal(parameter, refusal.ParamName);
    }

    private static bool Construct(void* item, void* context) => true;
}
