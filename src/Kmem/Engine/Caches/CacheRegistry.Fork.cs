using Kmem.Engine.Primitives;

namespace Kmem.Engine.Caches;

/// <summary>All locks of the caches at once, in the order of ranks: for a process that is about to be copied. See <c>SizedHeap.Fork.cs</c>.</summary>
internal unsafe partial struct CacheRegistry
{
    public static void EnterAll(CacheRegistry* registry)
    {
        RankedLock.Enter(&registry->ReaperLock, LockRank.Reaper);
        RankedLock.Enter(&registry->Lock, LockRank.Registry);
        GuardPool.EnterLock(registry);
        for (int index = 0; index < ThreadFronts.Count(registry); index++)
        {
            RankedLock.EnterSibling(&ThreadFronts.At(registry, index)->Lock, LockRank.ThreadFront);
        }

        // Both locks above keep the caches that there are.
        for (int index = 1; index < registry->Count; index++)
        {
            for (int cpu = 0; cpu < registry->CpuCount; cpu++)
            {
                RankedLock.EnterSibling(&Cache.CpuSlotOf(At(registry, index), cpu)->Lock, LockRank.CpuSlot);
            }
        }

        for (int index = 1; index < registry->Count; index++)
        {
            RankedLock.EnterSibling(&At(registry, index)->Depot.Lock, LockRank.Depot);
        }

        for (int index = 1; index < registry->Count; index++)
        {
            RankedLock.EnterSibling(&At(registry, index)->Slabs.Lock, LockRank.Slabs);
        }
    }

    public static void ExitAll(CacheRegistry* registry)
    {
        for (int index = 1; index < registry->Count; index++)
        {
            Cache* cache = At(registry, index);
            RankedLock.Exit(&cache->Slabs.Lock, LockRank.Slabs);
            RankedLock.Exit(&cache->Depot.Lock, LockRank.Depot);
            for (int cpu = 0; cpu < registry->CpuCount; cpu++)
            {
                RankedLock.Exit(&Cache.CpuSlotOf(cache, cpu)->Lock, LockRank.CpuSlot);
            }
        }

        for (int index = 0; index < ThreadFronts.Count(registry); index++)
        {
            RankedLock.Exit(&ThreadFronts.At(registry, index)->Lock, LockRank.ThreadFront);
        }

        GuardPool.ExitLock(registry);
        RankedLock.Exit(&registry->Lock, LockRank.Registry);
        RankedLock.Exit(&registry->ReaperLock, LockRank.Reaper);
    }

    /// <summary>
    /// In a process with one thread, whose front this is: the fronts of others are left to new threads, and what a thread had taken out of a slot without a
    /// lock is lost with it.
    /// </summary>
    public static void ForgetOtherThreads(CacheRegistry* registry, ThreadFront* own)
    {
        for (int index = 0; index < ThreadFronts.Count(registry); index++)
        {
            ThreadFront* front = ThreadFronts.At(registry, index);
            if (front != own && front->State == ThreadFrontState.Owned)
            {
                front->Busy = 0;
                front->State = ThreadFrontState.Abandoned;
            }
        }

        for (int index = 1; !registry->Restartable && index < registry->Count; index++)
        {
            for (int cpu = 0; cpu < registry->CpuCount; cpu++)
            {
                ulong* word = Cache.WordOf(At(registry, index), cpu);
                *word = *word == SlotWord.Busy ? SlotWord.None : *word;
            }
        }
    }
}
