using System;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Threading;
using Kmem.Engine.Primitives;
using Xunit;

namespace Kmem.Tests.Unit.Primitives;

public sealed unsafe class RankedLockTests : IDisposable
{
    private readonly RankedLock* _lock = (RankedLock*)NativeMemory.AllocZeroed(64);

    /// <summary>The word of the lock: 0 free, 1 held, 2 held and somebody sleeps.</summary>
    private int Word => Volatile.Read(ref *(int*)_lock);

    public void Dispose() => NativeMemory.Free(_lock);

    [Fact]
    public void Zeroed_memory_is_a_free_lock_and_a_held_one_is_not_entered_twice()
    {
        Assert.False(RankedLock.IsHeld(_lock));
        RankedLock.Enter(_lock, LockRank.Zone);
        Assert.True(RankedLock.IsHeld(_lock));
        Assert.False(RankedLock.TryEnter(_lock, LockRank.Zone));
        RankedLock.Exit(_lock, LockRank.Zone);
        Assert.True(RankedLock.TryEnter(_lock, LockRank.Zone));
        RankedLock.Exit(_lock, LockRank.Zone);
        Assert.Equal(0, Word);
    }

    [Fact]
    public void Only_one_thread_is_inside()
    {
        const int Threads = 6;
        const int Rounds = 20_000;
        long inside = 0;
        long violations = 0;
        long total = 0;
        Thread[] threads = new Thread[Threads];
        for (int index = 0; index < Threads; index++)
        {
            bool tries = index == 0;
            threads[index] = new Thread(() =>
            {
                for (int round = 0; round < Rounds; round++)
                {
                    if (!tries || !RankedLock.TryEnter(_lock, LockRank.Slabs))
                    {
                        RankedLock.Enter(_lock, LockRank.Slabs);
                    }

                    // Not atomic on purpose: two threads inside would lose counts.
                    violations += ++inside == 1 ? 0 : 1;
                    total++;
                    inside--;
                    RankedLock.Exit(_lock, LockRank.Slabs);
                }
            });
        }

        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        Assert.Equal(0, violations);
        Assert.Equal(Threads * Rounds, total);
        Assert.Equal(0, Word);
    }

    [Fact]
    public void Who_waits_long_sleeps_and_is_woken_by_the_exit()
    {
        const int Sleepers = 3;
        RankedLock.Enter(_lock, LockRank.Slabs);
        int entered = 0;
        Thread[] threads = new Thread[Sleepers];
        for (int index = 0; index < Sleepers; index++)
        {
            threads[index] = new Thread(() =>
            {
                RankedLock.Enter(_lock, LockRank.Slabs);
                Interlocked.Increment(ref entered);
                RankedLock.Exit(_lock, LockRank.Slabs);
            });
            threads[index].Start();
        }

        Stopwatch watch = Stopwatch.StartNew();
        while (Word != 2 && watch.Elapsed < TimeSpan.FromSeconds(30))
        {
            Thread.Yield();
        }

        Assert.Equal(2, Word);
        Assert.Equal(0, Volatile.Read(ref entered));
        RankedLock.Exit(_lock, LockRank.Slabs);
        foreach (Thread thread in threads)
        {
            Assert.True(thread.Join(TimeSpan.FromSeconds(30)));
        }

        Assert.Equal(Sleepers, entered);
        Assert.Equal(0, Word);
    }

#if DEBUG
    /// <summary>The process ends, so it happens in a child: this program again, with the explicit test below.</summary>
    [Fact]
    public void A_lock_of_a_higher_rank_under_a_lower_one_ends_the_process()
    {
        (int exitCode, string output) = ChildTest.Run(nameof(Child_that_takes_locks_in_the_wrong_order));
        Assert.NotEqual(0, exitCode);
        Assert.Contains("lock Registry taken while Slabs is held", output, StringComparison.Ordinal);
    }

    [Fact(Explicit = true)]
    public void Child_that_takes_locks_in_the_wrong_order()
    {
        RankedLock other = default;
        RankedLock.Enter(_lock, LockRank.Slabs);
        RankedLock.Enter(&other, LockRank.Registry);
    }

    [Fact]
    public void A_sibling_may_be_taken_under_a_lock_of_its_own_rank()
    {
        RankedLock other = default;
        RankedLock.EnterSibling(_lock, LockRank.Slabs);
        RankedLock.EnterSibling(&other, LockRank.Slabs);
        Assert.True(RankedLock.IsHeld(_lock) && RankedLock.IsHeld(&other));
        RankedLock.Exit(&other, LockRank.Slabs);
        RankedLock.Exit(_lock, LockRank.Slabs);
    }

    [Fact]
    public void A_second_lock_of_the_same_rank_ends_the_process()
    {
        (int exitCode, string output) = ChildTest.Run(nameof(Child_that_takes_two_locks_of_one_rank));
        Assert.NotEqual(0, exitCode);
        Assert.Contains("lock Slabs taken while Slabs is held", output, StringComparison.Ordinal);
    }

    [Fact(Explicit = true)]
    public void Child_that_takes_two_locks_of_one_rank()
    {
        RankedLock other = default;
        RankedLock.Enter(_lock, LockRank.Slabs);
        RankedLock.Enter(&other, LockRank.Slabs);
    }

    [Fact]
    public void A_destructor_that_reads_statistics_while_its_heap_is_trimmed_ends_the_process_instead_of_waiting_for_itself()
    {
        (int exitCode, string output) = ChildTest.Run(nameof(Child_whose_destructor_takes_the_lock_of_the_trim_around_it));
        Assert.NotEqual(0, exitCode);
        Assert.Contains("lock Reaper taken while Reaper is held", output, StringComparison.Ordinal);
    }

    [Fact(Explicit = true)]
    public void Child_whose_destructor_takes_the_lock_of_the_trim_around_it()
    {
        s_trimmed = new KmemHeap(new KmemHeapOptions { MaintenanceIntervalMilliseconds = 0 });
        KmemCache cache = new("reader", 64, new KmemCacheOptions { Heap = s_trimmed, Destructor = &ReadStatistics });
        cache.Free(cache.Alloc());
        _ = s_trimmed.Trim();
    }

    private static KmemHeap? s_trimmed;

    private static void ReadStatistics(void* item, void* context) => _ = s_trimmed!.GetStatistics();
#endif
}
