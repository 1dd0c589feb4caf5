using System;
using System.Collections.Generic;
using System.Linq;
using Kmem.Tool.Bench.Report;

namespace Kmem.Tool.Bench.Measuring;

/// <summary>How often Kmem left its magazines during a measurement: the reasons behind its times.</summary>
internal sealed class KmemCounters
{
    private readonly Counts? _before;

    private KmemCounters(Counts? before) => _before = before;

    /// <summary>Counts from now on; nothing where another allocator is measured.</summary>
    public static KmemCounters Start(AllocatorFamily family) => new(family == AllocatorFamily.Kmem ? Counts.Of(KmemHeap.Shared.GetStatistics()) : null);

    /// <summary>What was counted, for each million operations, and where the heap's bytes are now.</summary>
    public IEnumerable<KeyValuePair<string, double>> PerMillion(long operations)
    {
        if (_before is not { } before)
        {
            return [];
        }

        KmemStatistics heap = KmemHeap.Shared.GetStatistics();
        Counts after = Counts.Of(heap);
        double scale = 1e6 / Math.Max(1, operations);
        return
        [
            new("previous_magazine_per_million", (after.Previous - before.Previous) * scale),
            new("depot_visits_per_million", (after.Depot - before.Depot) * scale),
            new("depot_waits_per_million", (after.Waits - before.Waits) * scale),
            new("slab_visits_per_million", (after.Slab - before.Slab) * scale),
            new("committed_bytes", heap.CommittedBytes),
            new("magazine_bytes", heap.MagazineBytes),
            new("depot_bytes", heap.DepotBytes),
            new("free_in_slab_bytes", heap.FreeInSlabBytes),
            new("empty_slab_bytes", heap.EmptySlabBytes),
            new("slab_tail_bytes", heap.SlabTailBytes),
            new("free_page_bytes", heap.FreePageBytes),
            new("metadata_bytes", heap.MetadataBytes),
        ];
    }

    private readonly record struct Counts(long Previous, long Depot, long Waits, long Slab)
    {
        public static Counts Of(KmemStatistics heap)
        {
            IReadOnlyList<KmemCacheStatistics> caches = heap.Caches;
            return new Counts(
                caches.Sum(static cache => cache.AllocFromPrevious + cache.FreeToPrevious),
                caches.Sum(static cache => cache.AllocFromDepot + cache.FreeToDepot),
                caches.Sum(static cache => cache.DepotWaits),
                caches.Sum(static cache => cache.AllocFromSlab + cache.FreeToSlab));
        }
    }
}
