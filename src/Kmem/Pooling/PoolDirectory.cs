using System;
using System.Collections.Generic;
using System.Threading;

namespace Kmem.Pooling;

/// <summary>
/// All pools that can have a lease, for the meter. It keeps none of them alive: a pool leaves when it was disposed and has nothing rented any more, when the garbage collector found that
/// nobody has it, and when its heap was disposed.
/// </summary>
/// <remarks>
/// Pools of one name and heap are one series. What those rented that left stays in it while there is another of the name, so that a flow does not fall; the next pool after the last begins at 0.
/// The lock is taken by the finalizer's thread too: nothing under it waits.
/// </remarks>
internal static class PoolDirectory
{
    private static readonly Lock s_lock = new();
    private static readonly Dictionary<(string Heap, string Pool), PoolSeries> s_series = [];

    /// <summary>For the pool to keep: its end, or that of the pool, takes the pool out.</summary>
    public static PoolListing Add(SlabMemoryPool pool)
    {
        (string, string) key = (pool.Heap.Name, pool.Name);
        lock (s_lock)
        {
            if (!s_series.TryGetValue(key, out PoolSeries? series))
            {
                s_series.Add(key, series = new PoolSeries(key));
            }

            return new PoolListing(pool, series, series.Pools.AddLast(new WeakReference<SlabMemoryPool>(pool, trackResurrection: true)));
        }
    }

    /// <summary>The first time it takes the pool out.</summary>
    public static void Remove(SlabMemoryPool pool, PoolSeries series, LinkedListNode<WeakReference<SlabMemoryPool>> node)
    {
        lock (s_lock)
        {
            if (node.List != null)
            {
                TakeOutLocked(pool, series, node);
            }
        }
    }

    /// <summary>Pools that are in. For tests.</summary>
    internal static int Count
    {
        get
        {
            lock (s_lock)
            {
                int count = 0;
                foreach (PoolSeries series in s_series.Values)
                {
                    count += series.Pools.Count;
                }

                return count;
            }
        }
    }

    /// <summary>The counts of all series that were ever used.</summary>
    public static List<PoolReading> Read()
    {
        List<PoolReading> readings = [];
        lock (s_lock)
        {
            foreach (PoolSeries series in s_series.Values)
            {
                // Taking a series out does not disturb the enumeration of a dictionary.
                PoolReading reading = ReadLocked(series);
                if (reading.Rents != 0 && series.Pools.Count != 0)
                {
                    readings.Add(reading);
                }
            }
        }

        return readings;
    }

    private static PoolReading ReadLocked(PoolSeries series)
    {
        long leases = 0, bytes = 0, owners = 0, rents = 0;
        LinkedListNode<WeakReference<SlabMemoryPool>>? next = series.Pools.First;
        while (next is LinkedListNode<WeakReference<SlabMemoryPool>> node)
        {
            next = node.Next;
            if (!node.Value.TryGetTarget(out SlabMemoryPool? pool))
            {
                continue;
            }

            if (pool.IsHeapGone)
            {
                TakeOutLocked(pool, series, node);
                continue;
            }

            SlabMemoryPoolStatistics statistics = pool.GetStatistics();
            leases += statistics.RentedBlocks;
            bytes += statistics.RentedBytes;
            owners += statistics.PooledOwners;
            rents += statistics.TotalRents;
        }

        // A rent that came to nothing is taken back: the flow waits until there are as many again.
        series.RentsTold = Math.Max(series.RentsTold, rents + series.RentsOfGone);
        return new PoolReading(series.Key.Heap, series.Key.Pool, Math.Max(leases, 0), bytes, owners, series.RentsTold, series.LostLeases);
    }

    private static void TakeOutLocked(SlabMemoryPool pool, PoolSeries series, LinkedListNode<WeakReference<SlabMemoryPool>> node)
    {
        series.Pools.Remove(node);
        series.RentsOfGone += pool.GetStatistics().TotalRents;
        if (series.Pools.Count == 0)
        {
            s_series.Remove(series.Key);
        }
    }
}

/// <summary>The pools of one name in heaps of one name. Guarded by the directory's lock.</summary>
/// <param name="key">The names.</param>
internal sealed class PoolSeries((string Heap, string Pool) key)
{
    private long _lostLeases;

    public (string Heap, string Pool) Key { get; } = key;

    /// <summary>Those that are there. The references outlive finalizers, so that a pool whose end nobody has counted yet is still read.</summary>
    public LinkedList<WeakReference<SlabMemoryPool>> Pools { get; } = [];

    /// <summary>Rents of those that left.</summary>
    public long RentsOfGone { get; set; }

    /// <summary>The most that a reading told.</summary>
    public long RentsTold { get; set; }

    /// <summary>Without the lock: a lease may be found lost after its pool has left.</summary>
    public long LostLeases => Volatile.Read(ref _lostLeases);

    public void CountLost() => Interlocked.Increment(ref _lostLeases);
}

/// <summary>That a pool is in the directory. Only the pool has it, so that they end together.</summary>
/// <param name="pool">The pool.</param>
/// <param name="series">Where it is.</param>
/// <param name="node">Its place there.</param>
internal sealed class PoolListing(SlabMemoryPool pool, PoolSeries series, LinkedListNode<WeakReference<SlabMemoryPool>> node)
{
    ~PoolListing() => PoolDirectory.Remove(pool, series, node);

    public void CountLost() => series.CountLost();

    /// <summary>The pool has no lease and gets none. The second time it does nothing.</summary>
#pragma warning disable CA1816 // It is the pool that is disposed.
    public void End()
    {
        PoolDirectory.Remove(pool, series, node);
        GC.SuppressFinalize(this);
    }
#pragma warning restore CA1816
}

/// <summary>Counts of the pools of one name in heaps of one name.</summary>
internal readonly record struct PoolReading(string Heap, string Pool, long Leases, long LeasedBytes, long Owners, long Rents, long LostLeases);
