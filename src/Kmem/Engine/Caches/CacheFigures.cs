using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Caches;

/// <summary>
/// The figures of one cache at one moment. Nothing was counted for them on the fast path: live objects follow from slabs, fronts, slots and the depot.
/// </summary>
internal unsafe struct CacheFigures
{
    public SlabLayout Layout;

    /// <summary>Objects in callers' hands.</summary>
    public long Live;

    public long Total;

    /// <summary>Rounds in fronts and in the loaded and previous magazines of CPUs.</summary>
    public long InMagazines;

    /// <summary>Rounds on shelves and in the depot.</summary>
    public long InDepot;

    /// <summary>Of <see cref="InDepot"/>: freed objects of a twin that wait in its queue.</summary>
    public long Waiting;

    /// <summary>Objects in slabs.</summary>
    public long Free;

    public long Slabs;
    public long FullSlabs;
    public long PartialSlabs;
    public long FreeSlabs;
    public long SlabsCreated;
    public long SlabsDestroyed;
    public long BitTablePages;

    /// <summary>Objects that were set aside because they are damaged.</summary>
    public long Damaged;

    public long AllocFromPrevious;
    public long AllocFromDepot;
    public long AllocFromSlab;
    public long FreeToPrevious;
    public long FreeToDepot;
    public long FreeToSlab;
    public long DepotWaits;

    public static void Read(Cache* cache, CacheFigures* figures)
    {
        *figures = default;

        // Before the lock of the slabs: an owner that changes magazines holds its front's lock and waits for that of the slabs.
        long inFronts = ThreadFronts.CountRounds(cache);
        RankedLock.Enter(&cache->Slabs.Lock, LockRank.Slabs);
        SlabLists slabs = cache->Slabs;
        figures->InMagazines = inFronts + Cache.CountInMagazines(cache);
        figures->InDepot = Cache.CountInDepot(cache);
        figures->Waiting = Atomic.Load(&cache->QueueLength);
        RankedLock.Exit(&cache->Slabs.Lock, LockRank.Slabs);

        figures->Layout = slabs.Layout;
        figures->Total = slabs.Slabs * slabs.Layout.Objects;
        figures->Slabs = slabs.Slabs;
        figures->FullSlabs = slabs.FullSlabs;
        figures->PartialSlabs = slabs.PartialSlabs;
        figures->FreeSlabs = slabs.FreeSlabs;
        figures->SlabsCreated = slabs.SlabsCreated;
        figures->SlabsDestroyed = slabs.SlabsDestroyed;
        figures->BitTablePages = slabs.BitTablePages;
        figures->Free = slabs.FreeObjects;
        if ((cache->Checks & CacheChecks.Guarded) != 0)
        {
            CountGuarded(cache, figures);
        }

        figures->Damaged = Atomic.Load(&cache->DamagedObjects);
        long live = figures->Total - figures->Free - figures->InMagazines - figures->InDepot - figures->Damaged;
        figures->Live = live < 0 ? 0 : live;
        ReadVisits(cache, figures);
    }

    /// <summary>Adds those of a twin to those of its cache, whose layout stays.</summary>
    public static void Add(CacheFigures* figures, CacheFigures* twin)
    {
        figures->Live += twin->Live;
        figures->Total += twin->Total;
        figures->InMagazines += twin->InMagazines;
        figures->InDepot += twin->InDepot;
        figures->Waiting += twin->Waiting;
        figures->Free += twin->Free;
        figures->Slabs += twin->Slabs;
        figures->FullSlabs += twin->FullSlabs;
        figures->PartialSlabs += twin->PartialSlabs;
        figures->FreeSlabs += twin->FreeSlabs;
        figures->BitTablePages += twin->BitTablePages;
        figures->Damaged += twin->Damaged;
        AddFlows(figures, twin);
    }

    private static void AddFlows(CacheFigures* sum, CacheFigures* more)
    {
        sum->SlabsCreated += more->SlabsCreated;
        sum->SlabsDestroyed += more->SlabsDestroyed;
        sum->AllocFromPrevious += more->AllocFromPrevious;
        sum->AllocFromDepot += more->AllocFromDepot;
        sum->AllocFromSlab += more->AllocFromSlab;
        sum->FreeToPrevious += more->FreeToPrevious;
        sum->FreeToDepot += more->FreeToDepot;
        sum->FreeToSlab += more->FreeToSlab;
        sum->DepotWaits += more->DepotWaits;
    }

    /// <summary>What a cache that ends has counted remains in its registry, so that the sums of a heap never fall. All its slabs go.</summary>
    public static void Retire(Cache* cache)
    {
        Invariant.Holds(RankedLock.IsHeld(&cache->Registry->ReaperLock));
        CacheFigures figures;
        Read(cache, &figures);
        figures.SlabsDestroyed = figures.SlabsCreated;
        AddFlows(&cache->Registry->Retired, &figures);
    }

    /// <summary>Each guarded object is a slab of its own.</summary>
    private static void CountGuarded(Cache* twin, CacheFigures* figures)
    {
        figures->Layout.Order = 0;
        figures->Layout.Objects = 1;
        figures->Total = figures->Slabs = figures->FullSlabs = Atomic.Load(&twin->LiveGuarded);
        figures->SlabsCreated = Atomic.Load(&twin->DirectAllocs);
        figures->SlabsDestroyed = figures->SlabsCreated - figures->Slabs;
    }

    private static void ReadVisits(Cache* cache, CacheFigures* figures)
    {
        figures->DepotWaits = Atomic.Load(&cache->Depot.Contended);
        figures->AllocFromDepot = Atomic.Load(&cache->FrontsFromDepot);
        figures->AllocFromSlab = Atomic.Load(&cache->FrontsFromSlabs) + Atomic.Load(&cache->DirectAllocs) + Atomic.Load(&cache->QueueAllocs);
        figures->FreeToDepot = Atomic.Load(&cache->FrontsToDepot);
        figures->FreeToSlab = Atomic.Load(&cache->FrontsToSlabs) + Atomic.Load(&cache->DirectFrees) + Atomic.Load(&cache->QueueFrees);
        for (int cpu = 0; cpu < cache->Registry->CpuCount; cpu++)
        {
            CpuSlot* slot = Cache.CpuSlotOf(cache, cpu);
            figures->AllocFromPrevious += slot->AllocFromPrevious;
            figures->AllocFromDepot += slot->AllocFromDepot;
            figures->AllocFromSlab += slot->AllocFromSlab;
            figures->FreeToPrevious += slot->FreeToPrevious;
            figures->FreeToDepot += slot->FreeToDepot;
            figures->FreeToSlab += slot->FreeToSlab;
        }
    }
}
