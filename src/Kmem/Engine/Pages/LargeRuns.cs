using Kmem.Engine.Primitives;

namespace Kmem.Engine.Pages;

/// <summary>
/// Runs: any number of pages in a row, at any alignment, also more than the largest block. All under the zone lock.
/// </summary>
/// <remarks>
/// <para>A run that fits a block takes the block and gives the tail back at once: 600 pages cost 600, not 1024. A longer
/// run is made of free blocks of the largest order in a row, found by reading the pageblock bytes from the lowest address up; where too few of them
/// end at the frontier, the frontier moves by what is missing.</para>
/// <para>Only the head's descriptor is written, whatever the length: Kind, the length in Payload.Pages, and in Flags whether all of it is purged.</para>
/// <para>Worst case: two bytes for each 4 MiB below the frontiers, 128 KiB for 256 GiB.</para>
/// </remarks>
internal static unsafe class LargeRuns
{
    /// <summary>A run of exactly so many pages, or none.</summary>
    public static PageIndex TakeLocked(Zone* zone, nuint pages, nuint alignment, Mobility mobility)
    {
        Invariant.Holds(RankedLock.IsHeld(&zone->Lock));
        Invariant.Holds(pages != 0 && Address.IsPowerOfTwo(alignment) && alignment >= Address.PageSizeBytes);
        if (pages > zone->PageNumberLimit)
        {
            return PageIndex.None;
        }

        PageIndex page;
        nuint taken;
        PageFlags flags;
        PageFlags tailFlags;
        long freedAt = 0;
        if (pages <= Order.MaxPages && alignment <= Arena.BlockBytes)
        {
            // A block is aligned to its size.
            int order = Order.ForPages(pages);
            int alignmentOrder = Bits.Log2(alignment >> Address.PageShift);
            order = alignmentOrder > order ? alignmentOrder : order;
            page = BuddyAllocator.TakeLocked(zone, order, mobility);
            if (page.IsNone)
            {
                return page;
            }

            taken = Order.Pages(order);
            flags = tailFlags = zone->MemoryMap[page.Number].Flags;
            freedAt = zone->MemoryMap[page.Number].Payload.FreedAtMilliseconds;
        }
        else
        {
            uint blocks = (uint)((pages + Order.MaxPages - 1) >> Order.Max);
            page = FindLocked(zone, blocks, alignment < Arena.BlockBytes ? Arena.BlockBytes : alignment);
            if (page.IsNone)
            {
                return page;
            }

            taken = (nuint)blocks << Order.Max;
            Page* last = zone->MemoryMap + page.Number + (taken - Order.MaxPages);
            tailFlags = last->Flags;
            freedAt = last->Payload.FreedAtMilliseconds;
            flags = TakeBlocksLocked(zone, page, blocks, mobility);
        }

        Page* head = zone->MemoryMap + page.Number;
        head->Kind = PageKind.Run;
        head->Order = 0;
        head->Mobility = mobility;
        head->Flags = flags;
        head->Payload = default;
        head->Payload.Pages = pages;
        BuddyAllocator.PutRowLocked(zone, page + (uint)pages, taken - pages, tailFlags, freedAt);
        return page;
    }

    /// <summary>Gives a run back.</summary>
    public static void PutLocked(Zone* zone, PageIndex page, long now)
    {
        Page* head = zone->MemoryMap + page.Number;
        Invariant.Holds(RankedLock.IsHeld(&zone->Lock) && head->Kind == PageKind.Run);
        nuint pages = (nuint)head->Payload.Pages;
        Invariant.Holds(pages != 0 && HeadLookup.ArenaOf(zone, page)->Contains(page + (uint)(pages - 1)));
        head->Kind = PageKind.None;
        BuddyAllocator.PutRowLocked(zone, page, pages, PageFlags.None, now);
    }

    /// <summary>Gives the end of a run back.</summary>
    public static void ShrinkLocked(Zone* zone, PageIndex page, nuint pages, long now)
    {
        Page* head = zone->MemoryMap + page.Number;
        Invariant.Holds(RankedLock.IsHeld(&zone->Lock) && head->Kind == PageKind.Run);
        Invariant.Holds(pages != 0 && pages <= head->Payload.Pages);
        nuint freed = (nuint)head->Payload.Pages - pages;
        head->Payload.Pages = pages;
        BuddyAllocator.PutRowLocked(zone, page + (uint)pages, freed, PageFlags.None, now);
    }

    /// <summary>
    /// Lengthens a run in place by the free blocks that follow it, and by growth where they end at the frontier and nowhere else is room for
    /// the whole; false, and nothing changed, if they are too few.
    /// </summary>
    public static bool TryExtendLocked(Zone* zone, PageIndex page, nuint pages)
    {
        Page* head = zone->MemoryMap + page.Number;
        Invariant.Holds(RankedLock.IsHeld(&zone->Lock) && head->Kind == PageKind.Run && pages > head->Payload.Pages);
        Arena* arena = HeadLookup.ArenaOf(zone, page);
        nuint offset = page.Number - arena->FirstPage;
        if (pages > (arena->CapacityBytes >> Address.PageShift) - offset)
        {
            return false;
        }

        nuint end = offset + (nuint)head->Payload.Pages;
        nuint wanted = offset + pages;
        while (end < wanted)
        {
            if (end >= arena->FrontierPages)
            {
                // The run at the frontier would take fresh memory at every step, and leave what it had behind.
                if (HasRoomLocked(zone, pages))
                {
                    return false;
                }

                uint missing = (uint)((wanted - end + Order.MaxPages - 1) >> Order.Max);
                if (!Growth.GrowArenaLocked(zone, arena, missing))
                {
                    return false;
                }
            }

            Page* next = zone->MemoryMap + arena->FirstPage + end;
            if (next->Kind != PageKind.Free)
            {
                return false;
            }

            end += Order.Pages(next->Order);
        }

        PageIndex at = page + (uint)head->Payload.Pages;
        PageIndex last = page + (uint)pages;
        PageFlags flags = PageFlags.None;
        long freedAt = 0;
        while (at.Number < last.Number)
        {
            Page* next = zone->MemoryMap + at.Number;
            flags = next->Flags;
            freedAt = next->Payload.FreedAtMilliseconds;
            BuddyAllocator.RemoveLocked(zone, at);
            at += 1u << next->Order;
        }

        BuddyAllocator.PutRowLocked(zone, last, at.Number - last.Number, flags, freedAt);
        head->Payload.Pages = pages;
        head->Flags = PageFlags.None;
        return true;
    }

    /// <summary>Whether free memory could hold so many pages without growth: surely for up to a block, perhaps for more.</summary>
    private static bool HasRoomLocked(Zone* zone, nuint pages)
    {
        if (pages > Order.MaxPages)
        {
            return (nuint)zone->FreePages >= pages + Order.MaxPages;
        }

        ulong orders = 0;
        for (int mobility = 0; mobility < Zone.MobilityCount; mobility++)
        {
            orders |= BuddyAllocator.NonEmptyOrders(zone, (Mobility)mobility);
        }

        return orders >> Order.ForPages(pages) != 0;
    }

    /// <summary>The first of so many free blocks of the largest order in a row, grown where needed; they stay on their lists.</summary>
    private static PageIndex FindLocked(Zone* zone, uint blocks, nuint alignment)
    {
        // First what is there, then the ends of the ranges, then a new range.
        bool grow = false;
        do
        {
            for (int index = 0; index < zone->ArenaCount; index++)
            {
                PageIndex page = FindInLocked(zone, zone->Arenas + index, blocks, alignment, grow);
                if (!page.IsNone)
                {
                    return page;
                }
            }

            grow = !grow;
        }
        while (grow);

        // A range with room whose growth was refused says that memory is short: a further range would not help.
        for (int index = 0; index < zone->ArenaCount; index++)
        {
            Arena* arena = zone->Arenas + index;
            uint start = NextAligned(arena, arena->FrontierBlocks, alignment);
            if (start <= arena->CapacityBlocks && blocks <= arena->CapacityBlocks - start)
            {
                return PageIndex.None;
            }
        }

        Arena* added = Growth.AddArenaLocked(zone, blocks, alignment);
        return added == null ? PageIndex.None : FindInLocked(zone, added, blocks, alignment, grow: true);
    }

    private static PageIndex FindInLocked(Zone* zone, Arena* arena, uint blocks, nuint alignment, bool grow)
    {
        uint frontier = arena->FrontierBlocks;
        uint start = NextAligned(arena, 0, alignment);
        while (start <= arena->CapacityBlocks && blocks <= arena->CapacityBlocks - start)
        {
            uint length = 0;
            while (length < blocks && start + length < frontier && Pageblocks.IsLargestFree(zone, arena->PageOfBlock(start + length)))
            {
                length++;
            }

            if (length == blocks)
            {
                return arena->PageOfBlock(start);
            }

            if (start + length >= frontier)
            {
                bool grown = grow && Growth.GrowArenaLocked(zone, arena, start + blocks - frontier);
                return grown ? arena->PageOfBlock(start) : PageIndex.None;
            }

            start = NextAligned(arena, start + length + 1, alignment);
        }

        return PageIndex.None;
    }

    /// <summary>The first block from this one on whose address is aligned; beyond the capacity if there is none.</summary>
    private static uint NextAligned(Arena* arena, uint block, nuint alignment)
    {
        nuint address = (nuint)arena->Base + ((nuint)block << Arena.BlockShift);
        nuint aligned = Address.AlignUp(address, alignment);
        bool beyond = aligned < address || aligned - (nuint)arena->Base >= arena->CapacityBytes;
        return beyond ? arena->CapacityBlocks + 1 : (uint)((aligned - (nuint)arena->Base) >> Arena.BlockShift);
    }

    /// <summary>Takes so many free blocks off their lists; Purged only if all are.</summary>
    private static PageFlags TakeBlocksLocked(Zone* zone, PageIndex page, uint blocks, Mobility mobility)
    {
        PageFlags flags = PageFlags.Purged;
        for (uint block = 0; block < blocks; block++)
        {
            PageIndex at = page + (block << Order.Max);
            Page* head = zone->MemoryMap + at.Number;
            Invariant.Holds(head->Kind == PageKind.Free && head->Order == Order.Max);
            flags &= head->Flags;
            BuddyAllocator.RemoveLocked(zone, at);
            Pageblocks.SetMobility(zone, at, Order.Max, mobility);
        }

        return flags;
    }
}
