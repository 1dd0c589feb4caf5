using System;
using System.Buffers;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using Xunit;

namespace Kmem.Tests.Unit.Pools;

/// <summary>What every memory pool promises, and what this one adds.</summary>
public sealed unsafe class SlabMemoryPoolTests
{
    private static readonly int[] s_sizes = [0, 1, 15, 16, 17, 100, 1000, 4095, 4096, 4097, 32768, 40_000, 1_000_000];

    public static TheoryData<string> Kinds => [.. TestPool.All];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_lease_has_at_least_what_was_asked_for(string kind)
    {
        using TestPool test = new(kind);
        foreach (int size in s_sizes.Where(size => size <= test.Pool.MaxBufferSize))
        {
            using IMemoryOwner<byte> owner = test.Pool.Rent(size);
            Assert.True(owner.Memory.Length >= Math.Max(size, 1), $"{owner.Memory.Length} for {size}");
            owner.Memory.Span.Fill(0xA5);
            Assert.Equal(owner.Memory.Length, owner.Memory.Span.Length);
            Assert.Equal(-1, owner.Memory.Span.IndexOfAnyExcept((byte)0xA5));
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Without_a_size_it_is_4096(string kind)
    {
        using TestPool test = new(kind);
        using IMemoryOwner<byte> owner = test.Pool.Rent();
        Assert.Equal(4096, owner.Memory.Length);
        using IMemoryOwner<byte> second = test.Pool.Rent(-1);
        Assert.Equal(4096, second.Memory.Length);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Sizes_out_of_range_are_refused_by_name(string kind)
    {
        using TestPool test = new(kind);
        ArgumentOutOfRangeException negative = Assert.Throws<ArgumentOutOfRangeException>(() => test.Pool.Rent(-2));
        Assert.Contains("'test-pool'", negative.Message, StringComparison.Ordinal);
        if (test.Pool.MaxBufferSize < int.MaxValue)
        {
            Assert.Throws<ArgumentOutOfRangeException>(() => test.Pool.Rent(test.Pool.MaxBufferSize + 1));
            Assert.Throws<ArgumentOutOfRangeException>(() => test.Pool.Rent(int.MaxValue));
        }

        Assert.Equal(0, test.Pool.GetStatistics().TotalRents);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_pin_is_the_memory_itself(string kind)
    {
        using TestPool test = new(kind);
        using IMemoryOwner<byte> owner = test.Pool.Rent();
        Memory<byte> memory = owner.Memory;
        using MemoryHandle whole = memory.Pin();
        using MemoryHandle slice = memory[100..].Pin();
        fixed (byte* start = memory.Span)
        {
            Assert.Equal((nint)start, (nint)whole.Pointer);
            Assert.Equal((nint)start + 100, (nint)slice.Pointer);
        }

        Assert.False(MemoryMarshal.TryGetArray<byte>(memory, out _));
        Assert.True(MemoryMarshal.TryGetMemoryManager<byte, MemoryManager<byte>>(memory, out MemoryManager<byte>? manager));
        Assert.Throws<ArgumentOutOfRangeException>(() => manager.Pin(memory.Length + 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => manager.Pin(-1));
    }

    [Fact]
    public void Leases_of_a_pool_of_blocks_are_objects_of_the_cache_with_its_name()
    {
        using TestPool test = new("blocks");
        using IMemoryOwner<byte> owner = test.Pool.Rent(10);
        Assert.Equal("test-pool", test.Pool.Cache!.Name);
        Assert.Equal(1, test.Pool.Cache.GetStatistics().LiveObjects);
        fixed (byte* start = owner.Memory.Span)
        {
            Assert.Equal(0u, (nuint)start % 4096);
            Assert.Contains("test-pool", test.Heap.Describe(start), StringComparison.Ordinal);
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Counts_follow_rents_and_returns(string kind)
    {
        using TestPool test = new(kind);
        List<IMemoryOwner<byte>> owners = [];
        long bytes = 0;
        for (int index = 0; index < 300; index++)
        {
            owners.Add(test.Pool.Rent(1 + (index * 13)));
            bytes += owners[^1].Memory.Length;
        }

        SlabMemoryPoolStatistics full = test.Pool.GetStatistics();
        Assert.Equal(300, full.RentedBlocks);
        Assert.Equal(bytes, full.RentedBytes);
        Assert.Equal(300, full.TotalRents);
        Assert.Equal(300, full.OwnersCreated);
        owners.ForEach(owner => owner.Dispose());

        SlabMemoryPoolStatistics empty = test.Pool.GetStatistics();
        Assert.Equal(0, empty.RentedBlocks);
        Assert.Equal(0, empty.RentedBytes);
        Assert.Equal(300, empty.TotalReturns);
        Assert.Equal(300, empty.PooledOwners);
        Assert.Equal(0, empty.LostLeases);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_disposed_pool_rents_no_more_and_its_leases_stay_valid(string kind)
    {
        using TestPool test = new(kind);
        IMemoryOwner<byte> first = test.Pool.Rent(3000);
        IMemoryOwner<byte> second = test.Pool.Rent(3000);
        first.Memory.Span.Fill(7);
        test.Pool.Dispose();
        test.Pool.Dispose();
        ObjectDisposedException late = Assert.Throws<ObjectDisposedException>(() => test.Pool.Rent());
        Assert.Contains("'test-pool'", late.Message, StringComparison.Ordinal);
        Assert.Equal(-1, first.Memory.Span.IndexOfAnyExcept((byte)7));
        first.Dispose();
        second.Memory.Span.Fill(8);
        Assert.Equal(1, test.Pool.GetStatistics().RentedBlocks);
        second.Dispose();
        Assert.Equal(0, test.Pool.GetStatistics().RentedBlocks);
        Assert.Equal(0, test.Pool.GetStatistics().PooledOwners);
        Assert.Equal(kind == "cache" ? 1 : 0, test.Heap.GetStatistics().Caches.Count(cache => cache.Name is "test-pool" or "blocks"));
    }

    [Fact]
    public void The_memory_of_a_lease_is_in_the_heap_again_when_it_was_returned()
    {
        using TestPool test = new("any");
        IMemoryOwner<byte>[] owners = [.. Enumerable.Range(0, 100).Select(_ => test.Pool.Rent(1_000_000))];
        foreach (IMemoryOwner<byte> owner in owners)
        {
            owner.Memory.Span.Fill(1);
            owner.Dispose();
        }

        Assert.True(test.Heap.Trim() >= 90_000_000);
        Assert.Equal(0, test.Heap.GetStatistics().LargeAllocations);
    }

    [Fact]
    public void The_shared_pool_is_not_disposed()
    {
        SlabMemoryPool.Shared.Dispose();
        using IMemoryOwner<byte> owner = SlabMemoryPool.Shared.Rent(100);
        Assert.True(owner.Memory.Length >= 100);
        Assert.Same(KmemHeap.Shared, SlabMemoryPool.Shared.Heap);
    }

    [Fact]
    public void Settings_out_of_range_are_refused()
    {
        using KmemHeap heap = new();
        using KmemHeap other = new();
        using KmemCache cache = new("small", 64, new KmemCacheOptions { Heap = heap });
        Assert.Throws<ArgumentException>(() => new SlabMemoryPool(new() { Name = "" }));
        Assert.Throws<ArgumentException>(() => new SlabMemoryPool(new() { Name = "a b" }));
        Assert.Throws<ArgumentOutOfRangeException>(() => new SlabMemoryPool(new() { BlockBytes = -1 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => new SlabMemoryPool(new() { BlockBytes = 15 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => new SlabMemoryPool(new() { BlockBytes = (4 << 20) + 1 }));
        Assert.Throws<ArgumentException>(() => new SlabMemoryPool(new() { Cache = cache, Heap = other }));
        Assert.Throws<ArgumentException>(() => new SlabMemoryPool(new() { Cache = cache, BlockBytes = 65 }));
        other.Dispose();
        Assert.Throws<ObjectDisposedException>(() => new SlabMemoryPool(new() { Heap = other }));
    }

    [Fact]
    public void No_memory_leaves_no_lease_behind()
    {
        using KmemHeap heap = new(new KmemHeapOptions { ReserveBytes = 16 << 20, Growable = false, MaintenanceIntervalMilliseconds = 0 });
        using SlabMemoryPool pool = new(new SlabMemoryPoolOptions { Heap = heap });
        Assert.Throws<OutOfMemoryException>(() => pool.Rent(1 << 30));
        Assert.Equal(0, pool.GetStatistics().RentedBlocks);
        Assert.Equal(0, pool.GetStatistics().RentedBytes);
        using IMemoryOwner<byte> owner = pool.Rent(1 << 20);
        Assert.Equal(1, pool.GetStatistics().RentedBlocks);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Random_leases_keep_their_bytes(string kind)
    {
        using TestPool test = new(kind);
        Random random = Surface.SurfaceHeap.MakeRandom();
        List<(IMemoryOwner<byte> Owner, byte Mark, int Length)> live = [];
        long rents = 0;
        for (int step = 0; step < 20_000; step++)
        {
            if (live.Count < 400 && random.Next(2) == 0)
            {
                IMemoryOwner<byte> owner = test.Pool.Rent(random.Next(random.Next(10) == 0 ? test.Pool.MaxBufferSize < 100_000 ? 4097 : 100_000 : 2000));
                byte mark = (byte)random.Next(256);
                owner.Memory.Span.Fill(mark);
                live.Add((owner, mark, owner.Memory.Length));
                rents++;
            }
            else if (live.Count != 0)
            {
                int index = random.Next(live.Count);
                (IMemoryOwner<byte> owner, byte mark, int length) = live[index];
                Assert.Equal(length, owner.Memory.Length);
                Assert.Equal(-1, owner.Memory.Span.IndexOfAnyExcept(mark));
                owner.Dispose();
                live[index] = live[^1];
                live.RemoveAt(live.Count - 1);
            }
        }

        SlabMemoryPoolStatistics statistics = test.Pool.GetStatistics();
        Assert.Equal(live.Count, statistics.RentedBlocks);
        Assert.Equal(live.Sum(each => (long)each.Length), statistics.RentedBytes);
        Assert.Equal(rents, statistics.TotalRents);
        live.ForEach(each => each.Owner.Dispose());
    }
}
