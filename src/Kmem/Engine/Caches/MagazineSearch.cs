using Kmem.Engine.Primitives;

namespace Kmem.Engine.Caches;

/// <summary>Looks for an object in the magazines of a cache. For reports only: a busy cache may move it meanwhile.</summary>
internal static unsafe class MagazineSearch
{
    public static bool Contains(Cache* cache, nuint round)
    {
        for (int cpu = 0; cpu < cache->Registry->CpuCount; cpu++)
        {
            // The slot's lock keeps drains out, not a front that exchanges the loaded magazine: what is read may be what that does with it.
            CpuSlot* slot = Cache.CpuSlotOf(cache, cpu);
            RankedLock.Enter(&slot->Lock, LockRank.CpuSlot);
            bool found = Magazine.Contains(new SlotWord(Atomic.Load(Cache.WordOf(cache, cpu))), round) || Magazine.Contains(new SlotWord(slot->Previous), round)
                || Shelf.Contains(&slot->Shelf, round);
            RankedLock.Exit(&slot->Lock, LockRank.CpuSlot);
            if (found)
            {
                return true;
            }
        }

        return Depot.Contains(&cache->Depot, round) || ThreadFronts.Contain(cache, round);
    }
}
