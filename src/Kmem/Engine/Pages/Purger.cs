using Kmem.Engine.Os;
using Kmem.Engine.Primitives;

namespace Kmem.Engine.Pages;

/// <summary>
/// Gives the contents of free blocks back to the OS: the largest first, and only what has been free for a while, since memory that is
/// soon used again would cost a page fault for each 4 KiB.
/// </summary>
/// <remarks>
/// <para>Free (dirty) → Purging, on no list, while the OS is asked without the zone lock → Free (purged), or dirty again if the OS refused.
/// A block in hand cannot merge; putting it back merges it as any other. A batch bounds what allocations cannot find meanwhile, and
/// neighbours in a batch go back in one call.</para>
/// <para>Cost: a list operation for each block, whatever the number of blocks that are too young: see <see cref="PageList"/>.</para>
/// </remarks>
internal static unsafe class Purger
{
    /// <summary>Blocks in hand at most. Sorting them by insertion takes at most 64² / 4 steps: less than two calls of the OS.</summary>
    private const int BatchBlocks = 64;

    /// <summary>Pages in hand at most, unless a single block has more: 16 MiB, a few hundred microseconds of the OS's work.</summary>
    private const int BatchPages = 4096;

    /// <summary>Purges every free block that became free at least so long ago. Returns the bytes given back.</summary>
    public static nuint Purge(Zone* zone, long now, long minimumAge)
    {
        nuint purged = 0;
        bool refused = false;
        for (int order = Order.Max; order >= 0 && !refused; order--)
        {
            // Blocks that other threads free meanwhile wait for the next purge; else two threads could keep us here.
            long blocksLeft = BlocksOf(zone, order);
            while (blocksLeft > 0 && !refused)
            {
                int blocks = 0;
                RankedLock.Enter(&zone->PurgeLock, LockRank.Purge);
                PageIndex first = Isolate(zone, order, now - minimumAge, &blocks);
                if (blocks != 0)
                {
                    nuint pages = PurgeChain(zone, first, &refused);
                    purged += pages << Address.PageShift;
                    Return(zone, first, now, pages);
                }

                RankedLock.Exit(&zone->PurgeLock, LockRank.Purge);
                if (blocks == 0)
                {
                    break;
                }

                blocksLeft -= blocks;
            }
        }

        return purged;
    }

    private static long BlocksOf(Zone* zone, int order)
    {
        long blocks = 0;
        RankedLock.Enter(&zone->Lock, LockRank.Zone);
        for (int mobility = 0; mobility < Zone.MobilityCount; mobility++)
        {
            blocks += Zone.FreeList(zone, order, (Mobility)mobility)->Count;
        }

        RankedLock.Exit(&zone->Lock, LockRank.Zone);
        return blocks;
    }

    /// <summary>Takes a batch of old dirty blocks off their lists and chains them through Next, by rising page number.</summary>
    private static PageIndex Isolate(Zone* zone, int order, long freedAtMost, int* blocks)
    {
        int limit = BatchPages >> order;
        limit = limit < 1 ? 1 : limit > BatchBlocks ? BatchBlocks : limit;
        PageIndex first = PageIndex.None;
        Invariant.Holds(RankedLock.IsHeld(&zone->PurgeLock) && *blocks == 0);
        RankedLock.Enter(&zone->Lock, LockRank.Zone);
        for (int mobility = 0; mobility < Zone.MobilityCount; mobility++)
        {
            PageList* list = Zone.FreeList(zone, order, (Mobility)mobility);
            while (*blocks < limit && list->LastDirty != 0)
            {
                PageIndex page = new(list->LastDirty);
                Page* head = zone->MemoryMap + page.Number;
                Invariant.Holds(head->Kind == PageKind.Free && head->Flags == PageFlags.None);
                if (head->Payload.FreedAtMilliseconds > freedAtMost)
                {
                    break;
                }

                BuddyAllocator.RemoveLocked(zone, page);
                head->Kind = PageKind.Purging;
                zone->IsolatedPages += 1L << order;
                first = Chain(zone, first, page);
                ++*blocks;
            }
        }

        RankedLock.Exit(&zone->Lock, LockRank.Zone);
        return first;
    }

    private static PageIndex Chain(Zone* zone, PageIndex first, PageIndex page)
    {
        Page* map = zone->MemoryMap;
        if (first.IsNone || page.Number < first.Number)
        {
            map[page.Number].Next = first.Number;
            return page;
        }

        uint before = first.Number;
        while (map[before].Next != 0 && map[before].Next < page.Number)
        {
            before = map[before].Next;
        }

        map[page.Number].Next = map[before].Next;
        map[before].Next = page.Number;
        return first;
    }

    /// <summary>Asks the OS, once for each row of neighbours, and flags what it took. No lock is held. Returns pages.</summary>
    private static nuint PurgeChain(Zone* zone, PageIndex first, bool* refused)
    {
        Invariant.Holds(!first.IsNone && !*refused);
        OsTable* os = zone->Os;
        Page* map = zone->MemoryMap;
        nuint purged = 0;
        for (uint start = first.Number; start != 0 && !*refused;)
        {
            nuint pages = 0;
            uint end = start;
            byte* address = (byte*)HeadLookup.AddressOf(zone, map + start);
            while (end != 0 && HeadLookup.AddressOf(zone, map + end) == address + (pages << Address.PageShift))
            {
                pages += Order.Pages(map[end].Order);
                end = map[end].Next;
            }

            if (os->Purge(os->Context, address, pages << Address.PageShift))
            {
                for (uint taken = start; taken != end; taken = map[taken].Next)
                {
                    Invariant.Holds(map[taken].Kind == PageKind.Purging);
                    map[taken].Flags = PageFlags.Purged;
                }

                purged += pages;
            }
            else
            {
                *refused = true;
            }

            start = end;
        }

        return purged;
    }

    /// <summary>Puts the chain back on the free lists.</summary>
    private static void Return(Zone* zone, PageIndex first, long now, nuint purgedPages)
    {
        RankedLock.Enter(&zone->Lock, LockRank.Zone);
        for (uint number = first.Number; number != 0;)
        {
            Page* head = zone->MemoryMap + number;
            uint next = head->Next;
            Invariant.Holds(head->Kind == PageKind.Purging && (next == 0 || next > number));
            head->Next = 0;

            // What the OS refused counts as freed now, so that the next purge does not begin with it.
            int order = head->Order;
            BuddyAllocator.PutLocked(zone, new(number), order, head->Flags, now);

            // Read without the lock by a thread that found no memory.
            Atomic.Store(&zone->IsolatedPages, zone->IsolatedPages - (1L << order));
            number = next;
        }

        zone->PagesPurgedEver += (long)purgedPages;
        RankedLock.Exit(&zone->Lock, LockRank.Zone);
    }
}
