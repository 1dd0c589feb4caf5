using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using Kmem.Engine.Caches;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Sized;
using Kmem.Tests.Unit.Sized;
using Xunit;

namespace Kmem.Tests.Unit.Caches;

/// <summary>Caches whose objects are addresses and nothing else.</summary>
public sealed unsafe class InaccessibleCacheTests
{
    private const nuint MiB = TestZone.MiB;
    private const CacheFlags Flags = CacheFlags.SizeClass | CacheFlags.Inaccessible;

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Every_object_is_an_address_of_its_own_that_cannot_be_accessed_and_has_no_bytes(KmemFrontEnd frontEnd)
    {
        using TestHeap heap = new(frontEnd);
        Cache* cache = heap.CreateCache(16, Flags);
        HashSet<nint> objects = [];
        for (int index = 0; index < 1000; index++)
        {
            void* each = Cache.Allocate(cache);
            Assert.True(each != null && Address.IsAligned(each, 16));
            Assert.True(objects.Add((nint)each));
            Assert.Equal((nuint)0, SizedHeap.UsableSize(heap, each, out Misuse misuse));
            Assert.Equal(Misuse.None, misuse);
            Assert.Equal(Misuse.None, SizedHeap.CheckSize(heap, each, 0));
        }

        Assert.All(objects.Select(each => each >> Address.PageShift).Distinct(), page => Assert.False(IsAccessible(page << Address.PageShift)));
        Assert.All(objects, each => Assert.Equal(Misuse.None, SizedHeap.Free(heap, (void*)each)));
        heap.AssertEmptyAfterTrim();
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Each_slab_is_protected_once_and_can_be_accessed_again_when_it_has_gone_back(KmemFrontEnd frontEnd)
    {
        using FailingOs os = new();
        using TestHeap heap = new(frontEnd, os, reserveBytes: 8 * MiB);
        Cache* cache = heap.CreateCache(16, Flags);
        os.FailAt(0, OsCalls.Protect, count: 0);
        List<nint> objects = [.. Enumerable.Range(0, 3000).Select(_ => (nint)Cache.Allocate(cache))];
        Assert.Equal(cache->Slabs.SlabsCreated, os.Calls);
        Assert.True(os.Calls > 1);
        objects.ForEach(each => Assert.True(Cache.Free(cache, (void*)each)));
        _ = Cache.Shrink(cache);
        Assert.Equal(0, cache->Slabs.Slabs);
        Assert.Equal(2 * cache->Slabs.SlabsCreated, os.Calls);
        AssertAllPagesAreAccessible(heap);
        heap.AssertEmptyAfterTrim();
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Where_the_system_refuses_to_protect_there_is_no_object_and_nothing_is_lost(KmemFrontEnd frontEnd)
    {
        using FailingOs os = new();
        using TestHeap heap = new(frontEnd, os);
        Cache* cache = heap.CreateCache(16, Flags);
        os.FailAllFrom(0, OsCalls.Protect);
        Assert.True(Cache.Allocate(cache) == null);
        Assert.NotEqual(0, os.Failures);
        Assert.Equal(0, cache->Slabs.Slabs);
        heap.AssertEmptyAfterTrim();
        os.FailNothing();
        void* memory = Cache.Allocate(cache);
        Assert.True(memory != null);
        Assert.True(Cache.Free(cache, memory));
        heap.AssertEmptyAfterTrim();
    }

    [Fact]
    public void A_slab_that_the_system_does_not_make_accessible_again_goes_to_nobody()
    {
        using FailingOs os = new();
        using TestHeap heap = new(KmemFrontEnd.TryLock, os, reserveBytes: 8 * MiB);
        Cache* cache = heap.CreateCache(16, Flags, hasMagazines: false);
        void* memory = Cache.Allocate(cache);
        Assert.True(Cache.Free(cache, memory));
        os.FailAllFrom(0, OsCalls.Protect);
        Assert.Equal(1, Cache.Shrink(cache));
        os.FailNothing();
        heap.AssertValid();
        Assert.Equal((0, 1), (cache->Slabs.Slabs, heap.Pages.AllocatedPages));
        AssertAllPagesAreAccessible(heap);
        Assert.False(IsAccessible((nint)memory));
    }

    /// <summary>Objects of 8 bytes have their free bits in a page of their own, and here is memory for the slab only.</summary>
    [Fact]
    public void A_slab_without_memory_for_its_bits_goes_back_accessible()
    {
        using TestHeap heap = new(KmemFrontEnd.TryLock, reserveBytes: 4 * MiB);
        Cache* cache = heap.CreateCache(8, Flags, hasMagazines: false);
        List<nint> pages = TakeAllPages(heap);
        Assert.Equal(Misuse.None, SizedHeap.FreePages(heap, (void*)pages[0], 0, 0));
        Assert.True(Cache.Allocate(cache) == null);
        void* page = SizedHeap.AllocatePages(heap, 0, Mobility.Unmovable, 0);
        Assert.Equal(pages[0], (nint)page);
        Assert.True(IsAccessible(pages[0]));
        pages.ForEach(each => Assert.Equal(Misuse.None, SizedHeap.FreePages(heap, (void*)each, 0, 0)));
        heap.AssertEmptyAfterTrim();
    }

    private static List<nint> TakeAllPages(TestHeap heap)
    {
        List<nint> pages = [];
        for (void* page; (page = SizedHeap.AllocatePages(heap, 0, Mobility.Unmovable, 0)) != null;)
        {
            pages.Add((nint)page);
        }

        Assert.NotEmpty(pages);
        return pages;
    }

    private static void AssertAllPagesAreAccessible(TestHeap heap)
    {
        List<nint> pages = TakeAllPages(heap);
        (nuint Start, nuint End)[] accessible = [.. Mappings().Where(each => each.IsAccessible).Select(each => (each.Start, each.End))];
        Assert.All(pages, page => Assert.Contains(accessible, each => (nuint)page >= each.Start && (nuint)page < each.End));
        pages.ForEach(each => Assert.Equal(Misuse.None, SizedHeap.FreePages(heap, (void*)each, 0, 0)));
    }

    private static bool IsAccessible(nint address) => Mappings().Single(each => (nuint)address >= each.Start && (nuint)address < each.End).IsAccessible;

    private static List<(nuint Start, nuint End, bool IsAccessible)> Mappings()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Only Linux tells how memory can be accessed.");
        return [.. File.ReadLines("/proc/self/maps").Select(static line =>
        {
            string[] range = line.Split(' ')[0].Split('-');
            return (nuint.Parse(range[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture), nuint.Parse(range[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture), line.Split(' ')[1].StartsWith("rw", StringComparison.Ordinal));
        })];
    }
}
