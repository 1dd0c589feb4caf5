using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Threading;
using Kmem.Pooling;

namespace Kmem.Diagnostics;

/// <summary>
/// The meter <c>Kmem</c>: what <see cref="KmemHeap.GetStatistics"/> and <see cref="SlabMemoryPool.GetStatistics"/> tell, for whoever collects metrics. <see cref="KmemMetrics"/> has the names.
/// </summary>
/// <remarks>
/// <para>A listener collects by asking one instrument after the other, in one thread. They must agree with each other, and a walk over all heaps for each would cost too much. So
/// the first instrument that is asked takes a <see cref="MetricSnapshot"/>, and the others of the same thread are served from it. An instrument that is asked again is asked by the next collection, which
/// gets its own; and so does what comes later than <see cref="CollectionMilliseconds"/>, for listeners that want different instruments.</para>
/// <para>A heap cannot be disposed while it is read. Who collects waits for maintenance, and so must not be a destructor of a cache.</para>
/// </remarks>
internal static class KmemMeter
{
    /// <summary>Longer than a collection takes, even where its thread waits for a CPU.</summary>
    private const int CollectionMilliseconds = 1000;

    private static readonly Lock s_lock = new();
    private static readonly MetricNames s_names = new();
    private static readonly List<Collection> s_collections = [];
    private static int s_started;
    private static Meter? s_meter;
    private static int s_instruments;
    private static long s_walks;

    /// <summary>Values of the tag <see cref="KmemMetrics.MemoryKindTag"/>.</summary>
    public static readonly string[] MemoryKinds = ["requested", "size_class", "rounding", "magazine", "depot", "free_in_slab", "empty_slab", "slab_tail", "free_page", "metadata"];

    private static readonly string[] s_pageStates = ["allocated", "free", "listed", "purged"];
    private static readonly string[] s_slabStates = ["full", "partial", "free"];
    private static readonly string[] s_objectStates = ["live", "magazine", "depot", "waiting", "free", "damaged"];
    private static readonly string[] s_rungs = ["previous", "depot", "slab"];

    private delegate void HeapReader(HeapSums heap, Span<long> values);

    private sealed class Collection
    {
        public required int ThreadId { get; init; }

        public required long Start { get; init; }

        public required MetricSnapshot Snapshot { get; init; }

        /// <summary>A bit for each instrument that was asked.</summary>
        public ulong Served { get; set; }
    }

    /// <summary>How many there are once the meter is made.</summary>
    internal const int Instruments = 26;

    /// <summary>Walks over all heaps so far.</summary>
    internal static long Walks => Interlocked.Read(ref s_walks);

    /// <summary>
    /// Makes the meter, once. A static constructor must not wait for it: listeners are called meanwhile, which may want what that constructor makes.
    /// </summary>
    /// <param name="inBackground">Whether to return at once.</param>
    public static void Start(bool inBackground)
    {
        if (Interlocked.Exchange(ref s_started, 1) != 0)
        {
            return;
        }

        if (inBackground)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static _ => Make(), null);
        }
        else
        {
            Make();
        }
    }

    /// <summary>Tests give another name.</summary>
    internal static void Make(string name = KmemMetrics.MeterName)
    {
        Meter meter = new(new MeterOptions(name) { Version = typeof(KmemMeter).Assembly.GetName().Version?.ToString(3) });
        Volatile.Write(ref s_meter, meter);
        AddLevels(meter);
        AddFlows(meter);
        AddCaches(meter);
        AddPools(meter);
    }

    private static void AddLevels(Meter meter)
    {
        Level(meter, KmemMetrics.MemoryCommitted, "By", "Memory that heaps have from the operating system, by what it is.", Heaps(KmemMetrics.MemoryKindTag, MemoryKinds, static (heap, values) => heap.Committed.CopyTo(values)));
        Level(meter, KmemMetrics.MemoryReserved, "By", "Address space that heaps have reserved.", Heaps(static heap => heap.Reserved));
        Level(meter, KmemMetrics.PageCount, "{page}", "Pages that heaps have grown to, by state.", Heaps(KmemMetrics.PageStateTag, s_pageStates, static (heap, values) => heap.Pages.CopyTo(values)));
        Level(meter, KmemMetrics.SlabCount, "{slab}", "Slabs, by state.", Heaps(KmemMetrics.SlabStateTag, s_slabStates, static (heap, values) =>
            (values[0], values[1], values[2]) = (heap.Caches.FullSlabs, heap.Caches.PartialSlabs, heap.Caches.FreeSlabs)));
        Level(meter, KmemMetrics.ObjectCount, "{object}", "Objects in slabs, by where they are.", Heaps(KmemMetrics.ObjectStateTag, s_objectStates, static (heap, values) =>
        {
            (values[0], values[1], values[2]) = (heap.Caches.Live, heap.Caches.InMagazines, Math.Max(0, heap.Caches.InDepot - heap.Caches.Waiting));
            (values[3], values[4], values[5]) = (heap.Caches.Waiting, heap.Caches.Free, heap.Caches.Damaged);
        }));
        Level(meter, KmemMetrics.LargeAllocationCount, "{allocation}", "Live allocations that have pages of their own.", Heaps(static heap => heap.LargeAllocations));
        Level(meter, KmemMetrics.GuardedObjectCount, "{object}", "Live objects on guarded pages.", Heaps(static heap => heap.LiveGuarded));
    }

    private static void AddFlows(Meter meter)
    {
        Flow(meter, KmemMetrics.AllocationMisses, "{miss}", "Allocations that no loaded magazine served, by the rung that did.", Heaps(KmemMetrics.RungTag, s_rungs, static (heap, values) =>
            (values[0], values[1], values[2]) = (heap.Caches.AllocFromPrevious, heap.Caches.AllocFromDepot, heap.Caches.AllocFromSlab)));
        Flow(meter, KmemMetrics.FreeMisses, "{miss}", "Frees that no loaded magazine took, by the rung that did.", Heaps(KmemMetrics.RungTag, s_rungs, static (heap, values) =>
            (values[0], values[1], values[2]) = (heap.Caches.FreeToPrevious, heap.Caches.FreeToDepot, heap.Caches.FreeToSlab)));
        Flow(meter, KmemMetrics.DepotWaits, "{wait}", "Visits of depots that waited for another thread.", Heaps(static heap => heap.Caches.DepotWaits));
        Flow(meter, KmemMetrics.SlabCreations, "{slab}", "Slabs made.", Heaps(static heap => heap.Caches.SlabsCreated));
        Flow(meter, KmemMetrics.SlabDestructions, "{slab}", "Slabs given back to the page allocator.", Heaps(static heap => heap.Caches.SlabsDestroyed));
        Flow(meter, KmemMetrics.PagePurges, "{page}", "Pages given back to the operating system.", Heaps(static heap => heap.PagesPurged));
        Flow(meter, KmemMetrics.GuardedObjectAllocations, "{object}", "Allocations that got a guarded page.", Heaps(static heap => heap.GuardedEver));
        Flow(meter, KmemMetrics.GuardedObjectSkips, "{object}", "Allocations that were to get a guarded page and found all in use.", Heaps(static heap => heap.GuardsSkipped));
        Flow(meter, KmemMetrics.ProfileSamples, "{sample}", "Samples of the profile.", Heaps(static heap => heap.Samples));
        Flow(meter, KmemMetrics.Reports, "{report}", "Mistakes found, by kind.", ObserveReports);
    }

    private static void AddCaches(Meter meter)
    {
        Level(meter, KmemMetrics.CacheObjectCount, "{object}", "Live objects of a cache.", Caches(static cache => cache.LiveObjects));
        Level(meter, KmemMetrics.CacheSize, "By", "Bytes of the slabs of a cache.", Caches(static cache => cache.Bytes));
        Flow(meter, KmemMetrics.CacheAllocationMisses, "{miss}", "Allocations of a cache that no loaded magazine served.", Caches(static cache => cache.AllocMisses));
        Flow(meter, KmemMetrics.CacheSlabCreations, "{slab}", "Slabs made for a cache.", Caches(static cache => cache.SlabsCreated));
    }

    private static void AddPools(Meter meter)
    {
        Level(meter, KmemMetrics.MemoryPoolLeaseCount, "{lease}", "Leases of a memory pool that were not returned yet.", Pools(static pool => pool.Leases));
        Level(meter, KmemMetrics.MemoryPoolLeaseSize, "By", "Bytes of the leases of a memory pool.", Pools(static pool => pool.LeasedBytes));
        Level(meter, KmemMetrics.MemoryPoolOwnerCount, "{owner}", "Owner objects of a memory pool that wait for their next lease.", Pools(static pool => pool.Owners));
        Flow(meter, KmemMetrics.MemoryPoolRents, "{rent}", "Rents of a memory pool.", Pools(static pool => pool.Rents));
        Flow(meter, KmemMetrics.MemoryPoolLeaseLosses, "{lease}", "Leases of a memory pool that were dropped without a return.", Pools(static pool => pool.LostLeases));
    }

    private static void Level(Meter meter, string name, string unit, string description, Func<IEnumerable<Measurement<long>>> observe) =>
        Publish(() => meter.CreateObservableUpDownCounter(name, observe, unit, description));

    private static void Flow(Meter meter, string name, string unit, string description, Func<IEnumerable<Measurement<long>>> observe) =>
        Publish(() => meter.CreateObservableCounter(name, observe, unit, description));

    /// <summary>Listeners are called. One that throws must not take the heap with it that is being made, nor the process.</summary>
    private static void Publish(Func<Instrument> create)
    {
        try
        {
            _ = create();
        }
        catch (Exception exception)
        {
            Console.Error.WriteLine($"Kmem: a listener of metrics threw {exception.GetType()}: {exception.Message}");
        }
    }

    private static Func<IEnumerable<Measurement<long>>> Heaps(Func<HeapSums, long> read)
    {
        int instrument = s_instruments++;
        return () =>
        {
            List<Measurement<long>> measurements = [];
            foreach ((string heap, HeapSums sums) in SnapshotFor(instrument).Heaps)
            {
                measurements.Add(new Measurement<long>(read(sums), new KeyValuePair<string, object?>(KmemMetrics.HeapTag, heap)));
            }

            return measurements;
        };
    }

    private static Func<IEnumerable<Measurement<long>>> Heaps(string tag, string[] tagValues, HeapReader read)
    {
        int instrument = s_instruments++;
        return () =>
        {
            List<Measurement<long>> measurements = [];
            Span<long> values = stackalloc long[tagValues.Length];
            foreach ((string heap, HeapSums sums) in SnapshotFor(instrument).Heaps)
            {
                read(sums, values);
                for (int index = 0; index < tagValues.Length; index++)
                {
                    measurements.Add(new Measurement<long>(values[index], new(KmemMetrics.HeapTag, heap), new KeyValuePair<string, object?>(tag, tagValues[index])));
                }
            }

            return measurements;
        };
    }

    private static Func<IEnumerable<Measurement<long>>> Caches(Func<CacheSums, long> read) => Named(KmemMetrics.CacheTag, static snapshot => snapshot.Caches, read);

    private static Func<IEnumerable<Measurement<long>>> Pools(Func<PoolSums, long> read) => Named(KmemMetrics.MemoryPoolTag, static snapshot => snapshot.Pools, read);

    /// <summary>What has a name within its heap.</summary>
    private static Func<IEnumerable<Measurement<long>>> Named<TSums>(string tag, Func<MetricSnapshot, IReadOnlyDictionary<(string Heap, string Name), TSums>> all, Func<TSums, long> read)
    {
        int instrument = s_instruments++;
        return () =>
        {
            List<Measurement<long>> measurements = [];
            foreach (((string heap, string name), TSums sums) in all(SnapshotFor(instrument)))
            {
                measurements.Add(new Measurement<long>(read(sums), new(KmemMetrics.HeapTag, heap), new KeyValuePair<string, object?>(tag, name)));
            }

            return measurements;
        };
    }

    /// <summary>Kinds that were never found are left out.</summary>
    private static List<Measurement<long>> ObserveReports()
    {
        List<Measurement<long>> measurements = [];
        foreach (KmemMisuse misuse in Enum.GetValues<KmemMisuse>())
        {
            long count = ReportCounts.Of(misuse);
            if (count != 0)
            {
                measurements.Add(new Measurement<long>(count, new KeyValuePair<string, object?>(KmemMetrics.MisuseTag, ReportCounts.NameOf(misuse))));
            }
        }

        return measurements;
    }

    private static MetricSnapshot SnapshotFor(int instrument)
    {
        int thread = Environment.CurrentManagedThreadId;
        lock (s_lock)
        {
            Collection? current = s_collections.Find(each => each.ThreadId == thread);
            if (current != null && !IsOver(current) && (current.Served & (1UL << instrument)) == 0)
            {
                current.Served |= 1UL << instrument;
                return current.Snapshot;
            }
        }

        // Without the lock: who holds up a heap holds up who asks, and no other thread's collection.
        List<HeapReading> readings = MetricSnapshot.ReadHeaps();
        List<PoolReading> pools = PoolDirectory.Read();
        Interlocked.Increment(ref s_walks);
        lock (s_lock)
        {
            MetricSnapshot snapshot = new(readings, pools, s_names);
            s_collections.RemoveAll(each => each.ThreadId == thread || IsOver(each));
            s_collections.Add(new Collection { ThreadId = thread, Start = Stopwatch.GetTimestamp(), Snapshot = snapshot, Served = 1UL << instrument });
            return snapshot;
        }
    }

    private static bool IsOver(Collection collection) => Stopwatch.GetElapsedTime(collection.Start).TotalMilliseconds > CollectionMilliseconds;
}
