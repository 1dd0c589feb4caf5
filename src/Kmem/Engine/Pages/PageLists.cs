using System.Runtime.InteropServices;
using Kmem.Engine.Primitives;

namespace Kmem.Engine.Pages;

/// <summary>The page lists of one CPU: a list for each order 0..3 and mobility, under a lock that is only tried.</summary>
/// <remarks>Two cache lines' multiple, so that neighbours share none and the adjacent-line prefetcher pulls none.</remarks>
[StructLayout(LayoutKind.Explicit, Size = (int)SizeBytes)]
internal unsafe struct CpuPageLists
{
    public const nuint SizeBytes = 256;
    public const int ListCount = (Order.ListedMax + 1) * Zone.MobilityCount;
    private const int ListsOffset = 16;

    /// <summary>Guards everything here.</summary>
    [FieldOffset(0)]
    public RankedLock Lock;

    /// <summary>Pages in all lists. Written under the lock; read by statistics without it.</summary>
    [FieldOffset(4)]
    public int Pages;

    /// <summary>Which list the next flush begins with, so that none is spared.</summary>
    [FieldOffset(8)]
    public int FlushCursor;

    public static PageList* List(CpuPageLists* lists, int order, Mobility mobility)
    {
        Invariant.Holds((uint)order <= Order.ListedMax && mobility <= Mobility.Movable);
        return List(lists, (order * Zone.MobilityCount) + (int)mobility);
    }

    public static PageList* List(CpuPageLists* lists, int index)
    {
        Invariant.Holds((uint)index < ListCount && ListsOffset + (ListCount * sizeof(PageList)) <= (int)SizeBytes);
        return (PageList*)((byte*)lists + ListsOffset) + index;
    }
}

/// <summary>
/// Per-CPU page lists: blocks of order 0..3 pass from one owner to the next without the zone lock, warm.
/// </summary>
/// <remarks>
/// <para>States: Free → (refill) Listed → (take) Block → (give) Listed → (flush) Free. The CPU number is a hint: two threads may use one
/// list, so there is a lock, but nobody waits for it: whoever finds it taken goes to the zone.</para>
/// <para><b>Bounds.</b> At most <see cref="HighPages"/> pages (256 KiB) stay in a CPU's lists, since a listed page cannot merge, so
/// it keeps up to 4 MiB around it from being whole. A refill moves 15 pages, one less than a power of two as in the kernel, so that
/// owners who take a power of two of pages do not always end at the same page of a refill; it makes the zone lock four times
/// cheaper than the list is deep.</para>
/// </remarks>
internal static unsafe class PageLists
{
    public const int HighPages = 64;
    public const int BatchPages = 15;

    /// <summary>A block from the CPU's list, refilled if it is empty; null when the list is taken by another thread or memory is out. Kind is Listed.</summary>
    public static Page* TryTake(Zone* zone, int order, Mobility mobility, int cpu)
    {
        CpuPageLists* lists = ListsOf(zone, cpu);
        if (!RankedLock.TryEnter(&lists->Lock, LockRank.PageLists))
        {
            return null;
        }

        Page* head = null;
        PageList* list = CpuPageLists.List(lists, order, mobility);
        if (list->Count != 0 || RefillSlow(zone, lists, order, mobility))
        {
            head = zone->MemoryMap + PageList.TakeFirst(list, zone->MemoryMap).Number;
            lists->Pages -= 1 << order;
            Invariant.Holds(head->Kind == PageKind.Listed && head->Order == order && lists->Pages >= 0);
            head->Kind = PageKind.Block;
            head->Mobility = mobility;
        }

        RankedLock.Exit(&lists->Lock, LockRank.PageLists);
        return head;
    }

    /// <summary>Puts a block in use on the CPU's list; false when another thread has the list.</summary>
    public static bool TryGive(Zone* zone, Page* head, int cpu)
    {
        CpuPageLists* lists = ListsOf(zone, cpu);
        if (!RankedLock.TryEnter(&lists->Lock, LockRank.PageLists))
        {
            return false;
        }

        int order = head->Order;
        PageIndex page = HeadLookup.IndexOf(zone, head);

        // By the pageblock and not by who had it, so that a stolen page is not stolen again and again.
        Mobility mobility = Pageblocks.MobilityOf(zone, page);
        Invariant.Holds(order <= Order.ListedMax && page.IsAlignedTo(order));
        head->Kind = PageKind.Listed;
        head->Mobility = mobility;
        head->Flags = PageFlags.None;
        PageList.Add(CpuPageLists.List(lists, order, mobility), zone->MemoryMap, page);
        lists->Pages += 1 << order;
        if (lists->Pages > HighPages)
        {
            FlushSlow(zone, lists, HighPages - BatchPages);
        }

        RankedLock.Exit(&lists->Lock, LockRank.PageLists);
        return true;
    }

    /// <summary>Empties every CPU's lists. Waits for their locks; the caller holds none of them and not the zone's.</summary>
    public static void Drain(Zone* zone)
    {
        for (int cpu = 0; cpu < zone->CpuCount; cpu++)
        {
            CpuPageLists* lists = zone->CpuLists + cpu;
            if (Atomic.Load(&lists->Pages) == 0)
            {
                continue;
            }

            RankedLock.Enter(&lists->Lock, LockRank.PageLists);
            FlushSlow(zone, lists, 0);
            Invariant.Holds(lists->Pages == 0);
            RankedLock.Exit(&lists->Lock, LockRank.PageLists);
        }
    }

    private static CpuPageLists* ListsOf(Zone* zone, int cpu)
    {
        uint number = (uint)cpu;
        uint count = (uint)zone->CpuCount;
        Invariant.Holds(count != 0);
        return zone->CpuLists + (number < count ? number : number % count);
    }

    private static bool RefillSlow(Zone* zone, CpuPageLists* lists, int order, Mobility mobility)
    {
        Invariant.Holds(RankedLock.IsHeld(&lists->Lock));
        PageList* list = CpuPageLists.List(lists, order, mobility);
        int blocks = BatchPages >> order;
        blocks = blocks < 2 ? 2 : blocks;

        // Twelve lists that are only ever refilled would outgrow the bound together.
        if (lists->Pages + (blocks << order) > HighPages)
        {
            FlushSlow(zone, lists, HighPages - (blocks << order));
        }

        RankedLock.Enter(&zone->Lock, LockRank.Zone);
        for (int block = 0; block < blocks; block++)
        {
            PageIndex page = BuddyAllocator.TakeLocked(zone, order, mobility);
            if (page.IsNone)
            {
                break;
            }

            zone->MemoryMap[page.Number].Kind = PageKind.Listed;
            PageList.Add(list, zone->MemoryMap, page);
            lists->Pages += 1 << order;
        }

        RankedLock.Exit(&zone->Lock, LockRank.Zone);
        return list->Count != 0;
    }

    /// <summary>Gives the coldest blocks back to the buddy allocator until so many pages are left.</summary>
    private static void FlushSlow(Zone* zone, CpuPageLists* lists, int pagesLeft)
    {
        Invariant.Holds(RankedLock.IsHeld(&lists->Lock));
        long now = zone->Os->NowMilliseconds(zone->Os->Context);
        RankedLock.Enter(&zone->Lock, LockRank.Zone);
        while (lists->Pages > pagesLeft)
        {
            // One block of each list in turn.
            PageIndex page = PageList.TakeLast(CpuPageLists.List(lists, lists->FlushCursor), zone->MemoryMap);
            lists->FlushCursor = lists->FlushCursor + 1 == CpuPageLists.ListCount ? 0 : lists->FlushCursor + 1;
            if (page.IsNone)
            {
                continue;
            }

            Page* head = zone->MemoryMap + page.Number;
            Invariant.Holds(head->Kind == PageKind.Listed && head->Order <= Order.ListedMax);
            lists->Pages -= 1 << head->Order;
            BuddyAllocator.PutLocked(zone, page, head->Order, head->Flags, now);
        }

        RankedLock.Exit(&zone->Lock, LockRank.Zone);
    }
}
