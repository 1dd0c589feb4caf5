using Kmem.Engine.Primitives;

namespace Kmem.Engine.Pages;

/// <summary>All locks of a zone at once: for a process that is about to be copied. See <c>SizedHeap.Fork.cs</c>.</summary>
internal unsafe partial struct Zone
{
    public static void EnterAll(Zone* zone)
    {
        for (int cpu = 0; cpu < zone->CpuCount; cpu++)
        {
            RankedLock.EnterSibling(&zone->CpuLists[cpu].Lock, LockRank.PageLists);
        }

        RankedLock.Enter(&zone->PurgeLock, LockRank.Purge);
        RankedLock.Enter(&zone->Lock, LockRank.Zone);
    }

    public static void ExitAll(Zone* zone)
    {
        RankedLock.Exit(&zone->Lock, LockRank.Zone);
        RankedLock.Exit(&zone->PurgeLock, LockRank.Purge);
        for (int cpu = zone->CpuCount - 1; cpu >= 0; cpu--)
        {
            RankedLock.Exit(&zone->CpuLists[cpu].Lock, LockRank.PageLists);
        }
    }
}
