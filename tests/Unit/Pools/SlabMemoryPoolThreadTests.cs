using System;
using System.Buffers;
using System.Collections.Concurrent;
using System.Linq;
using System.Runtime.ExceptionServices;
using System.Threading;
using Xunit;

namespace Kmem.Tests.Unit.Pools;

/// <summary>Leases that go from thread to thread, and what renting leaves for the garbage collector.</summary>
public sealed class SlabMemoryPoolThreadTests
{
    public static TheoryData<string> Kinds => [.. TestPool.All];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Renting_allocates_nothing_managed_once_it_is_warm(string kind)
    {
        using TestPool test = new(kind);
        AssertNothing(() =>
        {
            using IMemoryOwner<byte> owner = test.Pool.Rent(1000);
            owner.Memory.Span[0] = 1;
            using MemoryHandle pin = owner.Memory.Pin();
        });
        IMemoryOwner<byte>[] many = new IMemoryOwner<byte>[500];
        AssertNothing(() =>
        {
            for (int index = 0; index < many.Length; index++)
            {
                many[index] = test.Pool.Rent();
            }

            foreach (IMemoryOwner<byte> owner in many)
            {
                owner.Dispose();
            }
        });
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Leases_that_another_thread_returns_need_no_new_owners_either(string kind)
    {
        using TestPool test = new(kind);
        using BlockingCollection<IMemoryOwner<byte>> line = new(64);
        Thread returner = new(() =>
        {
            foreach (IMemoryOwner<byte> owner in line.GetConsumingEnumerable())
            {
                owner.Dispose();
            }
        });
        returner.Start();
        for (int turn = 0; turn < 100_000; turn++)
        {
            line.Add(test.Pool.Rent(100), TestContext.Current.CancellationToken);
        }

        line.CompleteAdding();
        returner.Join();

        // Those under way, those that wait in each shard, and a batch in each hand.
        long most = 64 + 2 + ((Pooling.LeaseShard.CountMax + (2 * Pooling.LeaseShard.Window)) * Environment.ProcessorCount);
        Assert.InRange(test.Pool.GetStatistics().OwnersCreated, 1, most);
        Assert.Equal(0, test.Pool.GetStatistics().RentedBlocks);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Threads_that_hand_leases_over_lose_no_byte_and_no_lease(string kind)
    {
        const int Threads = 6;
        const int Turns = 20_000;
        using TestPool test = new(kind);
        int seed = Random.Shared.Next();
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}");
        ConcurrentQueue<(IMemoryOwner<byte> Owner, byte Mark)> queue = new();
        ExceptionDispatchInfo? failure = null;
        Thread[] threads = [.. Enumerable.Range(0, Threads).Select(number => new Thread(() =>
        {
            try
            {
                Random random = new(seed + number);
                for (int turn = 0; turn < Turns && failure == null; turn++)
                {
                    if (random.Next(2) == 0 && queue.Count < 1000)
                    {
                        IMemoryOwner<byte> owner = test.Pool.Rent(random.Next(4097));
                        byte mark = (byte)random.Next(256);
                        owner.Memory.Span.Fill(mark);
                        queue.Enqueue((owner, mark));
                    }
                    else if (queue.TryDequeue(out (IMemoryOwner<byte> Owner, byte Mark) next))
                    {
                        Assert.Equal(-1, next.Owner.Memory.Span.IndexOfAnyExcept(next.Mark));
                        next.Owner.Dispose();
                    }

                    if (turn % 5000 == 0)
                    {
                        test.Pool.ChecksLeases = !test.Pool.ChecksLeases;
                        test.Heap.Maintain();
                    }
                }
            }
#pragma warning disable CA1031 // It is thrown in the test's thread.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                failure = ExceptionDispatchInfo.Capture(exception);
            }
        }))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        failure?.Throw();
        Assert.Equal(queue.Count, test.Pool.GetStatistics().RentedBlocks);
        foreach ((IMemoryOwner<byte> owner, byte mark) in queue)
        {
            Assert.Equal(-1, owner.Memory.Span.IndexOfAnyExcept(mark));
            owner.Dispose();
        }

        Assert.Equal(0, test.Pool.GetStatistics().RentedBlocks);
        Assert.Equal(0, test.Pool.GetStatistics().RentedBytes);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_pool_may_be_disposed_while_others_rent_and_return(string kind)
    {
        for (int turn = 0; turn < 30; turn++)
        {
            using TestPool test = new(kind);
            using ManualResetEventSlim underWay = new();
            ExceptionDispatchInfo? failure = null;
            Thread[] threads = [.. Enumerable.Range(0, 4).Select(_ => new Thread(() =>
            {
                try
                {
                    for (int index = 0; ; index++)
                    {
                        using IMemoryOwner<byte> first = test.Pool.Rent(100);
                        using IMemoryOwner<byte> second = test.Pool.Rent(200);
                        second.Memory.Span.Fill(1);
                        first.Memory.Span.Fill(1);
                        if (index == 100)
                        {
                            underWay.Set();
                        }
                    }
                }
                catch (ObjectDisposedException exception) when (exception.Message.Contains("it rents no more", StringComparison.Ordinal))
                {
                }
#pragma warning disable CA1031 // It is thrown in the test's thread.
                catch (Exception exception)
#pragma warning restore CA1031
                {
                    failure = ExceptionDispatchInfo.Capture(exception);
                }
            }))];
            Array.ForEach(threads, thread => thread.Start());
            underWay.Wait(TestContext.Current.CancellationToken);
            test.Pool.Dispose();
            Array.ForEach(threads, thread => thread.Join());
            failure?.Throw();
            Assert.Equal(0, test.Pool.GetStatistics().RentedBlocks);
            Assert.DoesNotContain(test.Heap.GetStatistics().Caches, cache => cache.Name == "test-pool");
        }
    }

    /// <summary>A second look forgives what the runtime itself does once, and owners that another CPU's shard still wants.</summary>
    private static void AssertNothing(Action action)
    {
        long bytes = long.MaxValue;
        for (int look = 0; look < 5 && bytes != 0; look++)
        {
            for (int warm = 0; warm < 200; warm++)
            {
                action();
            }

            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int time = 0; time < 2000; time++)
            {
                action();
            }

            bytes = GC.GetAllocatedBytesForCurrentThread() - before;
        }

        Assert.Equal(0, bytes);
    }
}
