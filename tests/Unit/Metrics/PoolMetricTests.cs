using System;
using System.Buffers;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Threading;
using Kmem.Pooling;
using Xunit;

namespace Kmem.Tests.Unit.Metrics;

/// <summary>Memory pools in the meter: counted while they can have a lease, and not kept alive by it. Each test has a process without other pools.</summary>
public sealed class PoolMetricTests
{
    [Theory]
    [InlineData(nameof(Child_values_of_pools_are_those_of_their_statistics))]
    [InlineData(nameof(Child_pools_of_one_name_are_added_up_and_their_flow_does_not_fall))]
    [InlineData(nameof(Child_a_pool_that_nobody_has_leaves))]
    [InlineData(nameof(Child_a_disposed_pool_stays_until_its_last_lease))]
    [InlineData(nameof(Child_the_pools_of_a_disposed_heap_leave))]
    [InlineData(nameof(Child_a_rent_that_fails_does_not_let_the_flow_fall))]
    [InlineData(nameof(Child_lost_leases_are_counted))]
    [InlineData(nameof(Child_the_flow_never_falls_beside_pools_that_come_and_go))]
    public void In_a_process_of_its_own(string test)
    {
        (int exitCode, string output) = ChildTest.Run(test);
        Assert.True(exitCode == 0, output);
    }

    private static KmemHeap Make(string name) => new(new KmemHeapOptions { Name = name, MaintenanceIntervalMilliseconds = 0 });

    private static SlabMemoryPool Make(KmemHeap heap, string name) => new(new SlabMemoryPoolOptions { Name = name, Heap = heap });

    private static void RentAndReturn(SlabMemoryPool pool, int times)
    {
        for (int count = 0; count < times; count++)
        {
            pool.Rent(100).Dispose();
        }
    }

    private static void AssertNone(MetricReader reader, string pool) =>
        Assert.DoesNotContain(reader.Collect().Keys, key => key.StartsWith("kmem.memory_pool", StringComparison.Ordinal) && key.EndsWith($",{pool}}}", StringComparison.Ordinal));

    [Fact(Explicit = true)]
    public void Child_values_of_pools_are_those_of_their_statistics()
    {
        using KmemHeap heap = Make("values");
        using SlabMemoryPool frames = new(new SlabMemoryPoolOptions { Name = "frames", Heap = heap, BlockBytes = 8192 });
        using SlabMemoryPool any = Make(heap, "any");
        using SlabMemoryPool unused = Make(heap, "unused");
        IMemoryOwner<byte>[] held = [frames.Rent(), frames.Rent(), frames.Rent(), any.Rent(100_000)];
        RentAndReturn(frames, 50);
        RentAndReturn(any, 7);
        using MetricReader reader = new();
        IReadOnlyDictionary<string, long> values = reader.Collect();
        foreach (SlabMemoryPool pool in new[] { frames, any })
        {
            SlabMemoryPoolStatistics expected = pool.GetStatistics();
            string tags = $"{{values,{pool.Name}}}";
            Assert.Equal(expected.RentedBlocks, values["kmem.memory_pool.lease.count" + tags]);
            Assert.Equal(expected.RentedBytes, values["kmem.memory_pool.lease.size" + tags]);
            Assert.Equal(expected.PooledOwners, values["kmem.memory_pool.owner.count" + tags]);
            Assert.Equal(expected.TotalRents, values["kmem.memory_pool.rents" + tags]);
            Assert.Equal(0, values["kmem.memory_pool.lease.losses" + tags]);
        }

        Assert.Equal(3, values["kmem.memory_pool.lease.count{values,frames}"]);
        Assert.Equal(3 * 8192, values["kmem.memory_pool.lease.size{values,frames}"]);
        Assert.Equal(53, values["kmem.memory_pool.rents{values,frames}"]);

        // Not used yet: not there.
        AssertNone(reader, "unused");
        AssertNone(reader, "shared");
        SlabMemoryPool shared = SlabMemoryPool.Shared;
        AssertNone(reader, "shared");
        using (shared.Rent(10))
        {
            Assert.Equal(1, reader.Collect()["kmem.memory_pool.lease.count{shared,shared}"]);
        }

        Assert.Equal(1, reader.Collect()["kmem.memory_pool.rents{shared,shared}"]);
        Array.ForEach(held, static each => each.Dispose());
        Assert.Equal(0, reader.Collect()["kmem.memory_pool.lease.size{values,frames}"]);
    }

    [Fact(Explicit = true)]
    public void Child_pools_of_one_name_are_added_up_and_their_flow_does_not_fall()
    {
        using KmemHeap heap = Make("sums");
        using MetricReader reader = new();
        using SlabMemoryPool stays = Make(heap, "kestrel");
        RentAndReturn(stays, 10);
        using (SlabMemoryPool goes = Make(heap, "kestrel"))
        {
            RentAndReturn(goes, 100);
            using IMemoryOwner<byte> one = stays.Rent(10);
            using IMemoryOwner<byte> two = goes.Rent(10);
            IReadOnlyDictionary<string, long> values = reader.Collect();
            Assert.Equal(2, values["kmem.memory_pool.lease.count{sums,kestrel}"]);
            Assert.Equal(112, values["kmem.memory_pool.rents{sums,kestrel}"]);
        }

        Assert.Equal(112, reader.Collect()["kmem.memory_pool.rents{sums,kestrel}"]);
        RentAndReturn(stays, 1);
        Assert.Equal(113, reader.Collect()["kmem.memory_pool.rents{sums,kestrel}"]);

        // After the last one of the name it begins anew.
        stays.Dispose();
        AssertNone(reader, "kestrel");
        using SlabMemoryPool later = Make(heap, "kestrel");
        RentAndReturn(later, 5);
        Assert.Equal(5, reader.Collect()["kmem.memory_pool.rents{sums,kestrel}"]);
    }

    [Fact(Explicit = true)]
    public void Child_a_pool_that_nobody_has_leaves()
    {
        using KmemHeap heap = Make("dropped");
        using MetricReader reader = new();
        using SlabMemoryPool stays = Make(heap, "kept");
        RentAndReturn(stays, 1);
        DropMany(heap, 200);
        Assert.True(
            SpinWait.SpinUntil(
                static () =>
                {
                    GC.Collect();
                    GC.WaitForPendingFinalizers();
                    return PoolDirectory.Count == 1;
                },
                TimeSpan.FromSeconds(30)),
            $"{PoolDirectory.Count} are there");

        // What they have rented stays, since there is one of the name.
        Assert.Equal(1 + (200 * 3), reader.Collect()["kmem.memory_pool.rents{dropped,kept}"]);
        AssertNone(reader, "lonely");
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void DropMany(KmemHeap heap, int pools)
    {
        for (int count = 0; count < pools; count++)
        {
            RentAndReturn(Make(heap, "kept"), 3);
            RentAndReturn(Make(heap, "lonely"), 40);
        }
    }

    [Fact(Explicit = true)]
    public void Child_a_disposed_pool_stays_until_its_last_lease()
    {
        using KmemHeap heap = Make("disposed");
        using MetricReader reader = new();
        SlabMemoryPool pool = Make(heap, "late");
        IMemoryOwner<byte> owner = pool.Rent(5000);
        pool.Dispose();
        Assert.Equal(1, reader.Collect()["kmem.memory_pool.lease.count{disposed,late}"]);
        Assert.Equal(owner.Memory.Length, reader.Collect()["kmem.memory_pool.lease.size{disposed,late}"]);
        owner.Dispose();
        AssertNone(reader, "late");
        Assert.Equal(0, PoolDirectory.Count);
        pool.Dispose();
        Assert.Equal(0, PoolDirectory.Count);
    }

    [Fact(Explicit = true)]
    public void Child_the_pools_of_a_disposed_heap_leave()
    {
        using KmemHeap other = Make("other");
        using MetricReader reader = new();
        KmemHeap heap = Make("ends");
        SlabMemoryPool pool = Make(heap, "orphan");
        _ = pool.Rent(10);
        Assert.Equal(1, reader.Collect()["kmem.memory_pool.lease.count{ends,orphan}"]);
        heap.Dispose();
        AssertNone(reader, "orphan");
        Assert.Equal(0, PoolDirectory.Count);
        pool.Dispose();
        Assert.Equal(0, PoolDirectory.Count);
    }

    [Fact(Explicit = true)]
    public void Child_a_rent_that_fails_does_not_let_the_flow_fall()
    {
        using KmemHeap heap = new(new KmemHeapOptions { Name = "full", ReserveBytes = 16 << 20, Growable = false, MaintenanceIntervalMilliseconds = 0 });
        using SlabMemoryPool pool = Make(heap, "greedy");
        using MetricReader reader = new();
        RentAndReturn(pool, 1);
        long before = 0;
        for (int times = 0; times < 20; times++)
        {
            Assert.Throws<OutOfMemoryException>(() => pool.Rent(64 << 20));
            long rents = reader.Collect()["kmem.memory_pool.rents{full,greedy}"];
            Assert.True(rents >= before, $"{before} → {rents}");
            before = rents;
        }

        Assert.Equal(1, before);
    }

    [Fact(Explicit = true)]
    public void Child_lost_leases_are_counted()
    {
        using KmemHeap heap = Make("losses");
        using SlabMemoryPool pool = Make(heap, "careless");
        using MetricReader reader = new();
        Lose(pool, 20);
        Assert.True(SpinWait.SpinUntil(
            () =>
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
                return pool.GetStatistics().LostLeases == 20;
            },
            TimeSpan.FromSeconds(30)));
        Assert.Equal(20, reader.Collect()["kmem.memory_pool.lease.losses{losses,careless}"]);
        Assert.Equal(20, reader.Collect()["kmem.memory_pool.lease.count{losses,careless}"]);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Lose(SlabMemoryPool pool, int leases)
    {
        for (int count = 0; count < leases; count++)
        {
            _ = pool.Rent(10);
        }
    }

    [Fact(Explicit = true)]
    public void Child_the_flow_never_falls_beside_pools_that_come_and_go()
    {
        using KmemHeap heap = Make("churn");
        using SlabMemoryPool stays = Make(heap, "kestrel");
        RentAndReturn(stays, 1);
        using MetricReader reader = new();
        using CancellationTokenSource stop = new();
        long rented = 1;
        Thread maker = new(() =>
        {
            for (int turn = 0; !stop.IsCancellationRequested; turn++)
            {
                SlabMemoryPool pool = Make(heap, "kestrel");
                RentAndReturn(pool, 10);
                rented += 10;

                // Some are dropped, and counted by the finalizer.
                if (turn % 3 != 0)
                {
                    pool.Dispose();
                }
            }
        });
        maker.Start();
        long before = 0;
        for (int times = 0; times < 200; times++)
        {
            if (times % 20 == 0)
            {
                GC.Collect();
            }

            long rents = reader.Collect()["kmem.memory_pool.rents{churn,kestrel}"];
            Assert.True(rents >= before, $"{before} → {rents}");
            before = rents;
        }

        stop.Cancel();
        maker.Join();
        Assert.Equal(rented, reader.Collect()["kmem.memory_pool.rents{churn,kestrel}"]);
        Assert.True(reader.Collect().Keys.Count(static key => key.StartsWith("kmem.memory_pool", StringComparison.Ordinal)) == 5);
    }
}
