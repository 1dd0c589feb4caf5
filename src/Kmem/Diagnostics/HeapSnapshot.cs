using System.Collections.Generic;
using Kmem.Engine.Caches;
using Kmem.Engine.Primitives;
using Kmem.Engine.Sized;
using Kmem.Engine.Slabs;

namespace Kmem.Diagnostics;

/// <summary>A heap at one moment, with what only the meter shows. Caches of Kmem's own are not in the sums.</summary>
internal sealed record HeapReading
{
    public required KmemStatistics Statistics { get; init; }

    /// <summary>For each of <see cref="KmemStatistics.Caches"/>: the cache's name without letters.</summary>
    public required IReadOnlyList<string> CacheNames { get; init; }

    /// <summary>Sums of the caches; the flows also of those that have ended.</summary>
    public required CacheFigures Sums { get; init; }

    /// <summary>Pages that went back to the OS, ever.</summary>
    public required long PagesPurged { get; init; }

    public required KmemGuardStatistics Guards { get; init; }

    /// <summary>Samples of the profile, ever.</summary>
    public required long Samples { get; init; }
}

/// <summary>Turns the engine's figures of a heap into the public record.</summary>
internal static unsafe class HeapSnapshot
{
    public static KmemStatistics Take(KmemHeap heap) => Read(heap).Statistics;

    /// <summary>The caller keeps the heap from being disposed.</summary>
    public static HeapReading Read(KmemHeap heap)
    {
        SizedHeap* core = heap.Core;
        CacheRegistry* registry = &core->Registry;
        List<KmemCacheStatistics> ordinary = [];
        List<KmemCacheStatistics> ofMagazines = [];
        List<string> names = [];
        List<string> namesOfMagazines = [];
        HeapFigures figures = default;

        RankedLock.Enter(&registry->ReaperLock, LockRank.Reaper);
        CacheFigures sums = registry->Retired;
        for (int index = 1; index < Atomic.Load(&registry->Count); index++)
        {
            Cache* cache = CacheRegistry.At(registry, index);
            if (cache->State == CacheState.Live)
            {
                CacheFigures each;
                CacheFigures.Read(cache, &each);
                HeapFigures.Add(&figures, cache, &each);
                KmemCacheStatistics statistics = Convert(cache, &each);
                (statistics.IsInternal ? ofMagazines : ordinary).Add(statistics);
                (statistics.IsInternal ? namesOfMagazines : names).Add(cache->IsTwin ? AddressDescription.NameOf(cache) : statistics.Name);
                if (!statistics.IsInternal)
                {
                    CacheFigures.Add(&sums, &each);
                }
            }
        }

        HeapFigures.Finish(&figures, core);
        RankedLock.Exit(&registry->ReaperLock, LockRank.Reaper);

        ordinary.AddRange(ofMagazines);
        names.AddRange(namesOfMagazines);
        KmemStatistics all = new()
        {
            HeapName = heap.Name,
            RequestedBytes = figures.Requested,
            SizeClassBytes = figures.SizeClass,
            RoundingBytes = figures.Rounding,
            MagazineBytes = figures.Magazine,
            DepotBytes = figures.Depot,
            FreeInSlabBytes = figures.FreeInSlab,
            EmptySlabBytes = figures.EmptySlab,
            SlabTailBytes = figures.SlabTail,
            FreePageBytes = figures.FreePage,
            MetadataBytes = figures.Metadata,
            CommittedBytes = figures.Committed,
            ReservedBytes = figures.Reserved,
            LargeAllocations = figures.LargeCount,
            LargeRequestedBytes = figures.LargeRequested,
            PagesInUse = figures.UserPages,
            GuardPages = figures.GuardPages,
            FrontEnd = heap.FrontEnd,
            Pages = PageStatisticsReader.Convert(&figures.Zone),
            Caches = ordinary,
        };
        return new HeapReading
        {
            Statistics = all,
            CacheNames = names,
            Sums = sums,
            PagesPurged = figures.Zone.PagesPurgedEver,
            Guards = GuardsOf(heap),
            Samples = heap.Profile.Samples,
        };
    }

    public static KmemGuardStatistics GuardsOf(KmemHeap heap)
    {
        GuardPool* pool = &heap.Core->Registry.Guards;
        return new KmemGuardStatistics
        {
            LiveObjects = Atomic.Load(&pool->Live),
            AllocatedObjects = Atomic.Load(&pool->Allocated),
            SkippedObjects = Atomic.Load(&pool->Skipped),
            MostObjects = pool->Start == 0 ? 0 : pool->Slots,
            PoolBytes = pool->PoolBytes + pool->TableBytes,
        };
    }

    /// <summary>The cache as its user knows it: with its checked objects.</summary>
    public static KmemCacheStatistics OfCache(Cache* cache)
    {
        CacheFigures figures;
        CacheFigures.Read(cache, &figures);
        for (int index = Atomic.Load(&cache->FirstTwin); index != 0; index = CacheRegistry.At(cache->Registry, index)->NextTwin)
        {
            CacheFigures ofTwin;
            CacheFigures.Read(CacheRegistry.At(cache->Registry, index), &ofTwin);
            CacheFigures.Add(&figures, &ofTwin);
        }

        return Convert(cache, &figures) with { Checks = (KmemChecks)CheckSwitch.Get(cache) };
    }

    /// <summary>Checked objects are in slabs of another layout, so that they have a line of their own: <c>kmalloc-64(FZPU)</c>.</summary>
    private static string NameOf(Cache* cache) =>
        cache->IsTwin ? $"{AddressDescription.NameOf(cache)}({CheckLetters.Of(cache->Checks)})" : AddressDescription.NameOf(cache);

    private static KmemCacheStatistics Convert(Cache* cache, CacheFigures* figures) => new()
    {
        Name = NameOf(cache),
        ObjectSizeBytes = figures->Layout.ObjectSizeBytes,
        StrideBytes = figures->Layout.StrideBytes,
        AlignmentBytes = figures->Layout.AlignmentBytes,
        Order = figures->Layout.Order,
        ObjectsPerSlab = (int)figures->Layout.Objects,
        LiveObjects = figures->Live,
        TotalObjects = figures->Total,
        MagazineObjects = figures->InMagazines,
        DepotObjects = figures->InDepot,
        FreeObjects = figures->Free,
        Slabs = figures->Slabs,
        FullSlabs = figures->FullSlabs,
        PartialSlabs = figures->PartialSlabs,
        FreeSlabs = figures->FreeSlabs,
        MagazineCapacity = cache->Capacity,
        AllocMisses = figures->AllocFromPrevious + figures->AllocFromDepot + figures->AllocFromSlab,
        AllocFromPrevious = figures->AllocFromPrevious,
        AllocFromDepot = figures->AllocFromDepot,
        AllocFromSlab = figures->AllocFromSlab,
        FreeMisses = figures->FreeToPrevious + figures->FreeToDepot + figures->FreeToSlab,
        FreeToPrevious = figures->FreeToPrevious,
        FreeToDepot = figures->FreeToDepot,
        FreeToSlab = figures->FreeToSlab,
        DepotWaits = figures->DepotWaits,
        SlabsCreated = figures->SlabsCreated,
        SlabsDestroyed = figures->SlabsDestroyed,
        IsSizeClass = (cache->Flags & CacheFlags.SizeClass) != 0,
        IsInternal = (cache->Flags & CacheFlags.Internal) != 0,
        Checks = (KmemChecks)(cache->Checks & ~(CacheChecks.Sampled | CacheChecks.Guarded)),
        DamagedObjects = figures->Damaged,
    };
}
