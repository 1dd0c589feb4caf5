using System.Collections.Generic;
using Kmem.Engine.Caches;
using Kmem.Pooling;

namespace Kmem.Diagnostics;

/// <summary>All heaps at one moment, as the meter shows them: by the names of heaps, caches and memory pools, of which several may have one.</summary>
internal sealed class MetricSnapshot
{
    private readonly Dictionary<string, HeapSums> _heaps = [];
    private readonly Dictionary<(string Heap, string Cache), CacheSums> _caches = [];
    private readonly Dictionary<(string Heap, string Pool), PoolSums> _pools = [];

    public IReadOnlyDictionary<string, HeapSums> Heaps => _heaps;

    /// <summary>Those that were ever used.</summary>
    public IReadOnlyDictionary<(string Heap, string Cache), CacheSums> Caches => _caches;

    /// <summary>Those that were ever used.</summary>
    public IReadOnlyDictionary<(string Heap, string Pool), PoolSums> Pools => _pools;

    /// <summary>Walks over all heaps.</summary>
    public static List<HeapReading> ReadHeaps()
    {
        List<HeapReading> readings = [];
        foreach (KmemHeap heap in HeapDirectory.All())
        {
            HeapReading? reading = heap.TryRead();
            if (reading != null)
            {
                readings.Add(reading);
            }
        }

        return readings;
    }

    /// <summary>Adds up what was read. A pool whose heap is not among the heaps came later, or its heap has ended.</summary>
    public MetricSnapshot(List<HeapReading> readings, List<PoolReading> pools, MetricNames names)
    {
        names.UpdateHeaps(readings.ConvertAll(static reading => reading.Statistics.HeapName));
        List<(string Heap, string Cache)> used = [];
        foreach ((string heap, string cache, _) in UsedCaches(readings, names))
        {
            used.Add((heap, cache));
        }

        names.UpdateCaches(used);
        foreach (HeapReading reading in readings)
        {
            string name = names.Heap(reading.Statistics.HeapName);
            if (!_heaps.TryGetValue(name, out HeapSums? sums))
            {
                _heaps.Add(name, sums = new HeapSums());
            }

            sums.Add(reading);
        }

        foreach ((string heap, string cache, KmemCacheStatistics statistics) in UsedCaches(readings, names))
        {
            string name = names.Cache(heap, cache);
            if (!_caches.TryGetValue((heap, name), out CacheSums? sums))
            {
                _caches.Add((heap, name), sums = new CacheSums());
            }

            sums.Add(statistics);
        }

        AddPools(readings, pools, names);
    }

    private void AddPools(List<HeapReading> readings, List<PoolReading> pools, MetricNames names)
    {
        HashSet<string> heaps = [.. readings.ConvertAll(static reading => reading.Statistics.HeapName)];
        List<PoolReading> present = pools.FindAll(pool => heaps.Contains(pool.Heap));
        names.UpdatePools(present.ConvertAll(pool => (names.Heap(pool.Heap), pool.Pool)));
        foreach (PoolReading pool in present)
        {
            string heap = names.Heap(pool.Heap);
            string name = names.Pool(heap, pool.Pool);
            if (!_pools.TryGetValue((heap, name), out PoolSums? sums))
            {
                _pools.Add((heap, name), sums = new PoolSums());
            }

            sums.Add(pool);
        }
    }

    private static IEnumerable<(string Heap, string Cache, KmemCacheStatistics Statistics)> UsedCaches(List<HeapReading> readings, MetricNames names)
    {
        foreach (HeapReading reading in readings)
        {
            string heap = names.Heap(reading.Statistics.HeapName);
            for (int index = 0; index < reading.CacheNames.Count; index++)
            {
                KmemCacheStatistics cache = reading.Statistics.Caches[index];
                if (!cache.IsInternal && cache.SlabsCreated != 0)
                {
                    yield return (heap, reading.CacheNames[index], cache);
                }
            }
        }
    }
}

/// <summary>What there is of heaps of one name.</summary>
internal sealed class HeapSums
{
    /// <summary>In the order of <see cref="KmemMeter.MemoryKinds"/>.</summary>
    public long[] Committed { get; } = new long[10];

    public long Reserved { get; private set; }

    /// <summary>Allocated, free, listed, purged: each page in one.</summary>
    public long[] Pages { get; } = new long[4];

    public long LargeAllocations { get; private set; }

    public long LiveGuarded { get; private set; }

    public long GuardedEver { get; private set; }

    public long GuardsSkipped { get; private set; }

    public long PagesPurged { get; private set; }

    public long Samples { get; private set; }

    private CacheFigures _caches;

    /// <summary>Sums of the caches.</summary>
    public ref readonly CacheFigures Caches => ref _caches;

    public unsafe void Add(HeapReading reading)
    {
        KmemStatistics all = reading.Statistics;
        AddTo(Committed, [
            (long)all.RequestedBytes, (long)all.SizeClassBytes, (long)all.RoundingBytes, (long)all.MagazineBytes, (long)all.DepotBytes,
            (long)all.FreeInSlabBytes, (long)all.EmptySlabBytes, (long)all.SlabTailBytes, (long)all.FreePageBytes, (long)all.MetadataBytes]);
        KmemPageStatistics pages = all.Pages;
        AddTo(Pages, [pages.AllocatedPages, pages.FreePages - pages.ListedPages - pages.PurgedPages, pages.ListedPages, pages.PurgedPages]);
        Reserved += (long)all.ReservedBytes;
        LargeAllocations += all.LargeAllocations;
        LiveGuarded += reading.Guards.LiveObjects;
        GuardedEver += reading.Guards.AllocatedObjects;
        GuardsSkipped += reading.Guards.SkippedObjects;
        PagesPurged += reading.PagesPurged;
        Samples += reading.Samples;
        CacheFigures sum = _caches;
        CacheFigures more = reading.Sums;
        CacheFigures.Add(&sum, &more);
        _caches = sum;
    }

    private static void AddTo(long[] sums, System.ReadOnlySpan<long> more)
    {
        for (int index = 0; index < sums.Length; index++)
        {
            sums[index] += more[index];
        }
    }
}

/// <summary>What there is of caches of one name in heaps of one name.</summary>
internal sealed class CacheSums
{
    public long LiveObjects { get; private set; }

    public long Bytes { get; private set; }

    public long AllocMisses { get; private set; }

    public long SlabsCreated { get; private set; }

    public void Add(KmemCacheStatistics cache)
    {
        LiveObjects += cache.LiveObjects;
        Bytes += cache.Slabs << (cache.Order + Engine.Primitives.Address.PageShift);
        AllocMisses += cache.AllocMisses;
        SlabsCreated += cache.SlabsCreated;
    }
}

/// <summary>What there is of memory pools of one name in heaps of one name.</summary>
internal sealed class PoolSums
{
    public long Leases { get; private set; }

    public long LeasedBytes { get; private set; }

    public long Owners { get; private set; }

    public long Rents { get; private set; }

    public long LostLeases { get; private set; }

    public void Add(PoolReading pool)
    {
        Leases += pool.Leases;
        LeasedBytes += pool.LeasedBytes;
        Owners += pool.Owners;
        Rents += pool.Rents;
        LostLeases += pool.LostLeases;
    }
}
