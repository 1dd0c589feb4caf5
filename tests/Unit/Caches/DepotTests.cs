using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using Kmem.Engine.Caches;
using Xunit;

namespace Kmem.Tests.Unit.Caches;

public sealed unsafe class DepotTests : IDisposable
{
    private readonly Depot* _depot = (Depot*)NativeMemory.AllocZeroed((nuint)sizeof(Depot));
    private readonly List<nint> _memory = [];

    public DepotTests() => Depot.Initialize(_depot, strideBytes: 1024, cpuCount: 1);

    public void Dispose()
    {
        NativeMemory.Free(_depot);
        _memory.ForEach(each => NativeMemory.Free((void*)each));
    }

    [Fact]
    public void What_goes_in_full_comes_out_full_last_in_first_out()
    {
        Magazine* first = NewMagazine();
        Magazine* second = NewMagazine();
        Assert.True(Depot.TakeFull(_depot) == null);
        Assert.True(Depot.TryPutFull(_depot, first, 14));
        Assert.True(Depot.TryPutFull(_depot, second, 9));
        Assert.Equal((2, 23), (_depot->FullCount, _depot->Rounds));
        Assert.True(Depot.IsValid(_depot));
        Assert.True(Depot.TakeFull(_depot) == second);
        Assert.Equal(9, second->Rounds);
        Assert.True(second->Next == null, "a push compares the word before the first round");
        Assert.True(Depot.TakeFull(_depot) == first);
        Assert.Equal((0, 0), (_depot->FullCount, _depot->Rounds));
    }

    [Fact]
    public void Empty_magazines_have_a_list_of_their_own()
    {
        Magazine* magazine = NewMagazine();
        magazine->Rounds = 5;
        Assert.True(Depot.TakeEmpty(_depot) == null);
        Depot.PutEmpty(_depot, magazine);
        Assert.Equal(0, magazine->Rounds);
        Assert.True(Depot.TakeFull(_depot) == null);
        Assert.True(Depot.IsValid(_depot));
        Assert.True(Depot.TakeEmpty(_depot) == magazine && magazine->Next == null);
    }

    [Fact]
    public void More_rounds_than_the_bound_are_refused()
    {
        Assert.Equal(2048, _depot->RoundsMax);
        for (int index = 0; index < 2048 / 14; index++)
        {
            Assert.True(Depot.TryPutFull(_depot, NewMagazine(), 14));
        }

        Assert.False(Depot.TryPutFull(_depot, NewMagazine(), 14));
        Assert.True(Depot.TryPutFull(_depot, NewMagazine(), 4));
        Assert.Equal(2048, _depot->Rounds);
        Assert.True(Depot.IsValid(_depot));
    }

    [Theory]
    [InlineData(8, 1, 262144)]
    [InlineData(8, 64, 16 * 262144)]
    [InlineData(65536, 1, 32)]
    [InlineData(1 << 22, 2, 8)]
    public void The_bound_follows_from_size_and_CPUs_and_lets_a_few_magazines_in(int stride, int cpus, long rounds)
    {
        Depot depot;
        Depot.Initialize(&depot, (uint)stride, cpus);
        Assert.Equal(rounds, depot.RoundsMax);
    }

    [Fact]
    public void An_interval_tells_what_was_never_needed()
    {
        for (int index = 0; index < 5; index++)
        {
            Assert.True(Depot.TryPutFull(_depot, NewMagazine(), 14));
        }

        Depot.CloseInterval(_depot, out long full, out long empty);
        Assert.Equal((0, 0), (full, empty));
        Magazine* one = Depot.TakeFull(_depot);
        Magazine* two = Depot.TakeFull(_depot);
        Depot.TryPutFull(_depot, one, 14);
        Depot.PutEmpty(_depot, two);
        Depot.CloseInterval(_depot, out full, out empty);
        Assert.Equal((3, 0), (full, empty));
        Depot.CloseInterval(_depot, out full, out empty);
        Assert.Equal((4, 1), (full, empty));
    }

    [Fact]
    public void A_round_in_a_full_magazine_is_found()
    {
        Magazine* magazine = NewMagazine();
        for (int index = 0; index < 14; index++)
        {
            Magazine.RoundsOf(magazine)[index] = (nuint)(index + 100);
        }

        Depot.TryPutFull(_depot, magazine, 10);
        Assert.True(Depot.Contains(_depot, 100) && Depot.Contains(_depot, 109));
        Assert.False(Depot.Contains(_depot, 110) || Depot.Contains(_depot, 99));
    }

    private Magazine* NewMagazine()
    {
        Magazine* magazine = (Magazine*)NativeMemory.AllocZeroed(128);
        _memory.Add((nint)magazine);
        magazine->Capacity = 14;
        return magazine;
    }
}
