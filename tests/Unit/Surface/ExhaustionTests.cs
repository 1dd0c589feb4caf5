using System;
using System.Collections.Generic;
using System.Linq;
using Xunit;

namespace Kmem.Tests.Unit.Surface;

/// <summary>A heap that is full says so, and works again as soon as something is freed.</summary>
public sealed unsafe class ExhaustionTests
{
    private const nuint KiB = SurfaceHeap.KiB;
    private const nuint MiB = SurfaceHeap.MiB;

    public static TheoryData<KmemFrontEnd> FrontEnds => [KmemFrontEnd.RestartableSequences, KmemFrontEnd.TryLock];

    [Theory]
    [InlineData(KmemFrontEnd.RestartableSequences, 16)]
    [InlineData(KmemFrontEnd.RestartableSequences, 1000)]
    [InlineData(KmemFrontEnd.RestartableSequences, 32 * 1024)]
    [InlineData(KmemFrontEnd.RestartableSequences, 100_000)]
    [InlineData(KmemFrontEnd.TryLock, 16)]
    [InlineData(KmemFrontEnd.TryLock, 1000)]
    [InlineData(KmemFrontEnd.TryLock, 32 * 1024)]
    [InlineData(KmemFrontEnd.TryLock, 100_000)]
    public void A_full_heap_refuses_works_again_after_one_free_and_gives_everything_back(KmemFrontEnd frontEnd, int size)
    {
        using KmemHeap heap = MakeSmall(frontEnd);
        heap.Trim();
        ulong committedBefore = heap.GetStatistics().CommittedBytes;
        List<nint> live = Fill(() => heap.TryAlloc((nuint)size));
        Assert.InRange((long)live.Count * size, 5_000_000, 8 * 1024 * 1024);
        OutOfMemoryException refusal = Assert.Throws<OutOfMemoryException>(() => heap.Alloc((nuint)size));
        Assert.Contains($"{size} bytes", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("'small'", refusal.Message, StringComparison.Ordinal);
        Assert.True(heap.TryAlloc((nuint)size) == null);
        StatisticsAssert.AddsUp(heap.GetStatistics());
        heap.Validate();

        for (int round = 0; round < 10; round++)
        {
            heap.Free((void*)live[round]);
            live[round] = (nint)heap.Alloc((nuint)size);
            Assert.True(heap.TryAlloc((nuint)size) == null, "only what was freed is there");
        }

        Assert.Equal(live.Count, new HashSet<nint>(live).Count);
        FreeAll(heap, live);
        heap.Trim();
        heap.Validate();
        KmemStatistics trimmed = heap.GetStatistics();
        StatisticsAssert.AddsUp(trimmed);
        StatisticsAssert.NothingIsKept(trimmed);
        Assert.Equal(0UL, trimmed.FreePageBytes);
        Assert.True(trimmed.CommittedBytes < committedBefore + MiB, $"{trimmed.CommittedBytes} bytes stay committed, {committedBefore} before");

        // What was given back can be had again.
        List<nint> again = Fill(() => heap.TryAlloc((nuint)size));
        Assert.Equal(live.Count, again.Count);
        FreeAll(heap, again);
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void Memory_that_one_size_no_longer_needs_serves_another(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = MakeSmall(frontEnd);
        foreach (nuint size in (ReadOnlySpan<nuint>)[64, 100_000, 2000, 16, 32 * KiB, 512])
        {
            nuint each = size;
            List<nint> live = Fill(() => heap.TryAlloc(each));
            Assert.True((nuint)live.Count * size > 5 * MiB, $"{live.Count} of {size} bytes");
            FreeAll(heap, live);
        }

        heap.Validate();
        StatisticsAssert.NothingIsOut(heap.GetStatistics());
        StatisticsAssert.AddsUp(heap.GetStatistics());
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void Every_way_to_ask_refuses_in_a_full_heap_and_leaves_it_whole(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = MakeSmall(frontEnd);
        using KmemCache cache = new("inodes", 3000, new KmemCacheOptions { Heap = heap });
        void* held = heap.Alloc(40_000);
        SurfaceHeap.FillPattern(held, 40_000, 1);
        List<nint> pages = Fill(() => heap.Pages.TryAlloc(0));
        KmemStatistics full = heap.GetStatistics();

        foreach (Action ask in new Action[]
        {
            () => heap.Alloc(3000),
            () => heap.Alloc(3 * MiB),
            () => heap.AllocZeroed(3000),
            () => heap.AllocAligned(100_000, 64 * KiB),
            () => heap.Realloc(held, MiB),
            () => heap.Pages.Alloc(0),
            () => heap.Pages.Alloc(PageAllocator.MaxOrder),
            () => cache.Alloc(),
        })
        {
            OutOfMemoryException refusal = Assert.Throws<OutOfMemoryException>(ask);
            Assert.Contains("'small'", refusal.Message, StringComparison.Ordinal);
        }

        nint[] bulk = [1, 2, 3];
        Assert.False(cache.AllocBulk(bulk));
        Assert.Equal([0, 0, 0], bulk);
        Assert.True(cache.TryAlloc() == null);
        Assert.True(heap.TryAlloc(3000) == null);
        StatisticsAssert.AddsUp(heap.GetStatistics());
        Assert.Equal(full.RequestedBytes, heap.GetStatistics().RequestedBytes);
        SurfaceHeap.AssertPattern(held, 40_000, 1);

        // Shrinking always works, also where it would move.
        Assert.True(heap.Realloc(held, 35_000) == held);
        void* tiny = heap.Realloc(held, 10);
        SurfaceHeap.AssertPattern(tiny, 10, 1);
        heap.Free(tiny);
        foreach (nint page in pages)
        {
            heap.Pages.Free((void*)page, 0);
        }

        cache.Free(cache.Alloc());
        heap.Trim();
        heap.Validate();
        StatisticsAssert.NothingIsKept(heap.GetStatistics());
        StatisticsAssert.AddsUp(heap.GetStatistics());
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void A_reallocation_uses_what_magazines_and_empty_slabs_hold(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = MakeSmall(frontEnd);
        void* held = heap.Alloc(1000);
        SurfaceHeap.FillPattern(held, 1000, 1);
        List<nint> live = Fill(() => heap.TryAlloc(32 * KiB));
        AssertKeepsPagesFrom(heap, live);
        void* moved = heap.Realloc(held, 40_000);
        SurfaceHeap.AssertPattern(moved, 1000, 1);
        heap.Free(moved);
        FreeAll(heap, live);
        heap.Validate();
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void A_bulk_allocation_uses_what_magazines_and_empty_slabs_of_others_hold(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = MakeSmall(frontEnd);
        using KmemCache cache = new("inodes", 32 * KiB, new KmemCacheOptions { Heap = heap, Flags = KmemCacheFlags.NoMagazines });
        List<nint> held = [(nint)cache.Alloc()];
        List<nint> live = Fill(() => heap.TryAlloc(32 * KiB));
        held.AddRange(Fill(cache.TryAlloc));
        AssertKeepsPagesFrom(heap, live);
        nint[] objects = new nint[1];
        Assert.True(cache.AllocBulk(objects));
        cache.FreeBulk(objects);
        FreeAll(heap, held);
        FreeAll(heap, live);
        heap.Validate();
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void A_growable_heap_grows_into_further_ranges_and_frees_across_them(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = SurfaceHeap.Make(frontEnd, static options => options.ReserveBytes = 4 * SurfaceHeap.MiB);
        using KmemCache cache = new("inodes", 5000, new KmemCacheOptions { Heap = heap });
        Random random = SurfaceHeap.MakeRandom();
        ulong reserved = heap.GetStatistics().ReservedBytes;
        List<nint> live = [];
        for (int step = 0; step < 4000; step++)
        {
            live.Add((nint)(step % 4 == 0 ? cache.Alloc() : heap.Alloc((nuint)random.Next(1, 40_000))));
        }

        KmemStatistics grown = heap.GetStatistics();
        Assert.True(grown.ReservedBytes > reserved + (16 * MiB), $"{reserved} → {grown.ReservedBytes} bytes reserved");
        StatisticsAssert.AddsUp(grown);
        heap.Validate();
        nuint first = (nuint)heap.FirstBase;
        Assert.Contains(live, each => (nuint)each - first >= 4 * MiB);
        Assert.Contains(live, each => (nuint)each - first < 4 * MiB);

        // Mistakes are named in further ranges as in the first.
        nuint far = (nuint)live.Find(each => (nuint)each - first >= 4 * MiB);
        Assert.Equal(KmemMisuse.InteriorPointer, Assert.Throws<KmemMisuseException>(() => heap.Free((void*)(far + 1))).Misuse);

        random.Shuffle(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(live));
        FreeAll(heap, live);
        heap.Trim();
        heap.Validate();
        StatisticsAssert.NothingIsKept(heap.GetStatistics());
        StatisticsAssert.AddsUp(heap.GetStatistics());
        Assert.Equal(0UL, heap.GetStatistics().FreePageBytes);
        heap.Free(heap.Alloc(3 * MiB));
    }

    /// <summary>Frees the objects of one slab, so few that magazines or the list of empty slabs keep them all.</summary>
    private static void AssertKeepsPagesFrom(KmemHeap heap, List<nint> live)
    {
        _ = Fill(() => heap.Pages.TryAlloc(0));
        KmemCacheStatistics largest = heap.GetStatistics().Caches.First(static cache => cache.Name == "kmalloc-32768");
        nint slabMask = ~((4096 << largest.Order) - 1);
        List<nint> slab = live.GroupBy(each => each & slabMask).First(group => group.Count() == largest.ObjectsPerSlab).ToList();
        live.RemoveAll(slab.Contains);
        FreeAll(heap, slab);
        KmemStatistics kept = heap.GetStatistics();
        Assert.True(kept.FreePageBytes < (4096UL << largest.Order), $"{kept.FreePageBytes} bytes of free pages: the test proves nothing");
    }

    private static KmemHeap MakeSmall(KmemFrontEnd frontEnd) => SurfaceHeap.Make(frontEnd, static options =>
    {
        options.Name = "small";
        options.ReserveBytes = 8 * SurfaceHeap.MiB;
        options.Growable = false;
    });

    private delegate void* Ask();

    private static List<nint> Fill(Ask ask)
    {
        List<nint> live = [];
        for (void* memory; (memory = ask()) != null;)
        {
            live.Add((nint)memory);
        }

        return live;
    }

    private static void FreeAll(KmemHeap heap, List<nint> live)
    {
        foreach (nint each in live)
        {
            heap.Free((void*)each);
        }
    }
}
