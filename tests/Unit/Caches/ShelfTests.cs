using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using Kmem.Engine.Caches;
using Xunit;

namespace Kmem.Tests.Unit.Caches;

public sealed unsafe class ShelfTests : IDisposable
{
    private const int RoundsMax = 100;

    private readonly Shelf* _shelf = (Shelf*)NativeMemory.AllocZeroed((nuint)sizeof(Shelf));
    private readonly List<nint> _memory = [];

    public void Dispose()
    {
        NativeMemory.Free(_shelf);
        _memory.ForEach(each => NativeMemory.Free((void*)each));
    }

    [Fact]
    public void What_a_slot_keeps_fits_into_its_two_lines() => Assert.True(
        (int)Marshal.OffsetOf<CpuSlot>(nameof(CpuSlot.Shelf)) + sizeof(Shelf) <= (int)Marshal.OffsetOf<CpuSlot>(nameof(CpuSlot.ShelfVisits)));

    [Fact]
    public void Full_magazines_come_off_last_in_first_out()
    {
        Magazine* first = NewMagazine();
        Magazine* second = NewMagazine();
        Assert.True(Shelf.TakeFull(_shelf) == null);
        Assert.True(Shelf.TryPutFull(_shelf, first, 13, RoundsMax) && Shelf.TryPutFull(_shelf, second, 9, RoundsMax));
        Assert.Equal((2, 22), (_shelf->FullCount, _shelf->Rounds));
        Assert.True(Shelf.IsValid(_shelf));
        Assert.True(Shelf.TakeFull(_shelf) == second);
        Assert.Equal(9, second->Rounds);
        Assert.True(second->Next == null, "a push compares the word before the first round");
        Assert.True(Shelf.TakeFull(_shelf) == first);
        Assert.Equal((0, 0), (_shelf->FullCount, _shelf->Rounds));
    }

    [Fact]
    public void More_rounds_and_more_empty_ones_than_the_bounds_are_refused()
    {
        for (int index = 0; index < RoundsMax / 13; index++)
        {
            Assert.True(Shelf.TryPutFull(_shelf, NewMagazine(), 13, RoundsMax));
        }

        Assert.False(Shelf.TryPutFull(_shelf, NewMagazine(), 13, RoundsMax));
        Assert.True(Shelf.TryPutFull(_shelf, NewMagazine(), 9, RoundsMax));
        Assert.Equal(RoundsMax, _shelf->Rounds);
        int empty = 0;
        while (Shelf.TryPutEmpty(_shelf, NewMagazine()))
        {
            empty++;
        }

        Assert.Equal((32, 32), (empty, _shelf->EmptyCount));
        Assert.True(Shelf.IsValid(_shelf));
    }

    [Theory]
    [InlineData(64, 8192)]
    [InlineData(1024, 512)]
    [InlineData(32 * 1024, 16)]
    [InlineData(1 << 20, 4)]
    public void The_bound_follows_from_the_size_and_lets_two_magazines_in(uint stride, int rounds) => Assert.Equal(rounds, Shelf.RoundsMaxFor(stride));

    [Fact]
    public void What_nobody_took_in_an_interval_comes_off()
    {
        for (int index = 0; index < 5; index++)
        {
            Assert.True(Shelf.TryPutFull(_shelf, NewMagazine(), 13, RoundsMax));
        }

        Assert.True(Shelf.TakeUnneeded(_shelf) == null);
        Magazine* one = Shelf.TakeFull(_shelf);
        Magazine* two = Shelf.TakeFull(_shelf);
        Assert.True(Shelf.TryPutFull(_shelf, one, 13, RoundsMax) && Shelf.TryPutEmpty(_shelf, two));
        Assert.Equal(3, Length(Shelf.TakeUnneeded(_shelf)));
        Assert.Equal((1, 1), (_shelf->FullCount, _shelf->EmptyCount));
        Assert.Equal(2, Length(Shelf.TakeUnneeded(_shelf)));
        Assert.Equal((0, 0, 0), (_shelf->FullCount, _shelf->EmptyCount, _shelf->Rounds));
        Assert.True(Shelf.IsValid(_shelf));
    }

    [Fact]
    public void Everything_comes_off_at_once()
    {
        Assert.True(Shelf.TryPutFull(_shelf, NewMagazine(), 13, RoundsMax) && Shelf.TryPutEmpty(_shelf, NewMagazine()));
        Assert.Equal(2, Length(Shelf.TakeAll(_shelf)));
        Assert.True(Shelf.TakeAll(_shelf) == null && Shelf.IsValid(_shelf));
    }

    [Fact]
    public void A_round_in_a_full_magazine_is_found()
    {
        Magazine* magazine = NewMagazine();
        for (int index = 0; index < 13; index++)
        {
            Magazine.RoundsOf(magazine)[index] = (nuint)(index + 100);
        }

        Assert.True(Shelf.TryPutFull(_shelf, magazine, 10, RoundsMax));
        Assert.True(Shelf.Contains(_shelf, 100) && Shelf.Contains(_shelf, 109));
        Assert.False(Shelf.Contains(_shelf, 110) || Shelf.Contains(_shelf, 99));
    }

    /// <summary>What two CPUs free and allocate again in large batches reaches the depot no more than once, when the shelves fill.</summary>
    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Batches_that_a_shelf_holds_never_meet_in_the_depot(KmemFrontEnd frontEnd) => OneCpu.Run(() =>
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache cache = new("batch", 64, new KmemCacheOptions { Heap = heap, MagazineCapacity = 61 });
        Cache* core = MagazineTests.CacheOf(heap, "batch");
        nint[] objects = new nint[1000];
        for (int round = 0; round < 50; round++)
        {
            for (int index = 0; index < objects.Length; index++)
            {
                objects[index] = (nint)cache.Alloc();
            }

            Array.ForEach(objects, each => cache.Free((void*)each));
        }

        Assert.Equal((0, 0), (core->Depot.FullCount, core->Depot.EmptyCount));
        KmemCacheStatistics statistics = Ledger.AssertWhole(heap).Caches.Single(each => each.Name == "batch");
        Assert.InRange(statistics.DepotObjects, 1, 1000);
        heap.Maintain();
        heap.Maintain();
        Assert.Equal(0, cache.GetStatistics().DepotObjects);
    });

    private static int Length(Magazine* chain)
    {
        int length = 0;
        for (; chain != null; chain = chain->Next)
        {
            length++;
        }

        return length;
    }

    private Magazine* NewMagazine()
    {
        Magazine* magazine = (Magazine*)NativeMemory.AllocZeroed(128);
        _memory.Add((nint)magazine);
        magazine->Capacity = 13;
        return magazine;
    }
}
