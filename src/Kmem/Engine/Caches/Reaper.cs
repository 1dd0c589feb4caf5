using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Caches;

/// <summary>
/// Maintenance of all caches of a heap, once in a while (the face calls it, about every second): what nobody needed
/// since the last pass goes a layer down.
/// <code>
///   fronts of threads that ended, or did nothing for five passes → slabs
///   magazines of a CPU that were not touched for five passes   → slabs
///   magazines that shelf or depot never ran short of              → slabs, and their own memory
///   free slabs that were never needed                          → buddy allocator
///   capacity of magazines that are hardly exchanged            → a step smaller
/// </code>
/// </summary>
/// <remarks>Source: Bonwick and Adams 2001 (working set of the depot), FreeBSD UMA (idle trimming). Runs beside all other operations.</remarks>
internal static unsafe class Reaper
{
    private const int IdlePassesToDrain = 5;

    public static void Maintain(CacheRegistry* registry)
    {
        RankedLock.Enter(&registry->ReaperLock, LockRank.Reaper);
        MaintainLocked(registry);
        RankedLock.Exit(&registry->ReaperLock, LockRank.Reaper);
    }

    /// <summary>
    /// The same, unless the lock is held; false then. For callers that may be in a destructor, which runs under this lock, or that hold what a destructor
    /// in another thread waits for.
    /// </summary>
    public static bool TryMaintain(CacheRegistry* registry)
    {
        if (!RankedLock.TryEnter(&registry->ReaperLock, LockRank.Reaper))
        {
            return false;
        }

        MaintainLocked(registry);
        RankedLock.Exit(&registry->ReaperLock, LockRank.Reaper);
        return true;
    }

    /// <summary>Empties everything that is not in use, all magazines included. The caches of magazines come last.</summary>
    public static void DrainAll(CacheRegistry* registry)
    {
        RankedLock.Enter(&registry->ReaperLock, LockRank.Reaper);
        for (int index = Atomic.Load(&registry->Count) - 1; index >= 1; index--)
        {
            Cache* cache = CacheRegistry.At(registry, index);
            if (cache->State == CacheState.Live)
            {
                _ = Cache.Shrink(cache);
            }
        }

        RankedLock.Exit(&registry->ReaperLock, LockRank.Reaper);
    }

    private static void MaintainLocked(CacheRegistry* registry)
    {
        Invariant.Holds(RankedLock.IsHeld(&registry->ReaperLock));
        ThreadFronts.Maintain(registry);
        for (int index = Atomic.Load(&registry->Count) - 1; index >= 1; index--)
        {
            Cache* cache = CacheRegistry.At(registry, index);
            if (cache->State == CacheState.Live)
            {
                MaintainCache(cache);
            }
        }
    }

    private static void MaintainCache(Cache* cache)
    {
        if (cache->IsTwin)
        {
            EmptyIdleQueue(cache);
        }

        // Threads amid a call when the checks were switched on may have left a magazine.
        if (cache->CheckedBy != 0)
        {
            Cache.Drain(cache);
        }

        if (cache->Capacity != 0)
        {
            long visits = cache->Visits;
            for (int cpu = 0; cpu < cache->Registry->CpuCount; cpu++)
            {
                Cache.ReapShelf(cache, cpu);
                visits += DrainIfIdle(cache, cpu);
            }

            Depot.CloseInterval(&cache->Depot, out long full, out long empty);
            Cache.ReapDepot(cache, full, empty);
            Resize(cache, visits);
        }

        // The least number of free slabs since the last pass was needed by nobody.
        SlabLists* slabs = &cache->Slabs;
        _ = SlabLists.ReleaseFreeSlabs(slabs, slabs->FreeSlabs - slabs->FreeSlabsLeast, 0);
    }

    /// <summary>What was freed waits no longer when nothing else is freed.</summary>
    private static void EmptyIdleQueue(Cache* twin)
    {
        long frees = Atomic.Load(&twin->QueueFrees);
        twin->IdlePasses = frees == twin->SeenFrees ? twin->IdlePasses + 1 : 0;
        twin->SeenFrees = frees;
        if (twin->IdlePasses >= IdlePassesToDrain)
        {
            Cache.EmptyQueue(twin);
        }
    }

    /// <summary>Empties what was not touched for a while; returns the visits of the slot since the last pass.</summary>
    private static long DrainIfIdle(Cache* cache, int cpu)
    {
        CpuSlot* slot = Cache.CpuSlotOf(cache, cpu);
        ulong word = Atomic.Load(Cache.WordOf(cache, cpu));
        long visits = slot->Visits;
        long since = visits - slot->SeenVisits;
        bool idle = word == slot->SeenWord && since == 0;
        slot->SeenWord = word;
        slot->SeenVisits = visits;
        slot->IdlePasses = idle ? slot->IdlePasses + 1 : 0;
        bool holdsSomething = word != SlotWord.None || Atomic.Load(&slot->Previous) != SlotWord.None || Atomic.Load(&slot->Shelf.Rounds) != 0;
        if (slot->IdlePasses >= IdlePassesToDrain && holdsSomething)
        {
            Cache.DrainCpu(cache, cpu);
        }

        return since;
    }

    private static void Resize(Cache* cache, long visits)
    {
        cache->Visits = 0;
        if (visits < MagazineSizing.VisitsToKeep && cache->Capacity > cache->CapacityLeast)
        {
            int smaller = MagazineSizing.Smaller(cache->Capacity);
            cache->Capacity = smaller > cache->CapacityLeast ? smaller : cache->CapacityLeast;
        }
    }
}
