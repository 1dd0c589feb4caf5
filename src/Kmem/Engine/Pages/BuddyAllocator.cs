using Kmem.Engine.Primitives;

namespace Kmem.Engine.Pages;

/// <summary>
/// The binary buddy system (Knowlton 1965; Knuth, TAOCP 1, 2.5): a block is halved until it fits, and merges with its buddy, the other
/// half of the block it came from, when both are free. All under the zone lock.
/// </summary>
/// <remarks>
/// <para>Free blocks are kept by order and by mobility of their pageblock; the lowest set bit of <see cref="Zone.NonEmpty"/> finds the smallest
/// block that will do. Taking and putting cost at most ten list operations.</para>
/// <para>A merged block is purged only when both halves are. Its age is the mean of its halves': the larger a part, the
/// more it counts, so that one busy page does not keep 4 MiB of idle ones young.</para>
/// </remarks>
internal static unsafe class BuddyAllocator
{
    /// <summary>
    /// A block of exactly this order, or none. The head's Order, Mobility, Flags and FreedAtMilliseconds are set; its Kind is None, for the caller to set.
    /// </summary>
    public static PageIndex TakeLocked(Zone* zone, int order, Mobility mobility)
    {
        Invariant.Holds(RankedLock.IsHeld(&zone->Lock));
        Invariant.Holds((uint)order <= Order.Max && mobility <= Mobility.Movable);

        // 1. A block of the right mobility.
        PageIndex page = TakeOfLocked(zone, order, mobility);
        if (page.IsNone)
        {
            page = TakeSlowLocked(zone, order, mobility);
        }

        if (!page.IsNone)
        {
            Page* head = zone->MemoryMap + page.Number;
            Invariant.Holds(head->Kind == PageKind.None && head->Order == order && page.IsAlignedTo(order));
            head->Mobility = mobility;
        }

        return page;
    }

    /// <summary>Gives a block back and merges it upwards. Its head is on no list and its Kind is anything but Free.</summary>
    public static void PutLocked(Zone* zone, PageIndex page, int order, PageFlags flags, long freedAtMilliseconds)
    {
        Invariant.Holds(RankedLock.IsHeld(&zone->Lock));
        Invariant.Holds(page.IsAlignedTo(order) && zone->MemoryMap[page.Number].Kind != PageKind.Free);
        Mobility mobility = Pageblocks.MobilityOf(zone, page);
        zone->MemoryMap[page.Number].Kind = PageKind.None;
        while (order < Order.Max)
        {
            PageIndex buddy = page.BuddyOf(order);
            Page* other = zone->MemoryMap + buddy.Number;
            if (other->Kind != PageKind.Free || other->Order != order)
            {
                break;
            }

            RemoveLocked(zone, buddy);
            freedAtMilliseconds = MergedAge(flags, freedAtMilliseconds, other->Flags, other->Payload.FreedAtMilliseconds);
            flags &= other->Flags;
            page = page.BlockOf(order + 1);
            order++;
        }

        if (order > Pageblocks.BlockOrder)
        {
            // Two pageblocks became one block, which can be on one list only.
            Pageblocks.SetMobility(zone, page, order, mobility);
        }

        InsertLocked(zone, page, order, mobility, flags, freedAtMilliseconds);
    }

    /// <summary>Gives any row of pages back, as the fewest aligned blocks.</summary>
    public static void PutRowLocked(Zone* zone, PageIndex page, nuint pages, PageFlags flags, long freedAtMilliseconds)
    {
        while (pages != 0)
        {
            int order = Bits.TrailingZeros(page.Number | Order.MaxPages);
            int fitting = Bits.Log2(pages);
            order = fitting < order ? fitting : order;
            Invariant.Holds(order <= Order.Max && Order.Pages(order) <= pages);
            PutLocked(zone, page, order, flags, freedAtMilliseconds);
            page += 1u << order;
            pages -= Order.Pages(order);
        }
    }

    /// <summary>Puts a block on its free list, unmerged.</summary>
    public static void InsertLocked(Zone* zone, PageIndex page, int order, Mobility mobility, PageFlags flags, long freedAtMilliseconds)
    {
        Page* head = zone->MemoryMap + page.Number;
        Invariant.Holds(RankedLock.IsHeld(&zone->Lock) && page.IsAlignedTo(order));
        Invariant.Holds(head->Kind == PageKind.None && Pageblocks.MobilityOf(zone, page) == mobility);
        head->Kind = PageKind.Free;
        head->Order = (byte)order;
        head->Mobility = mobility;
        head->Flags = flags;
        head->Payload.FreedAtMilliseconds = freedAtMilliseconds;
        PageList.Add(Zone.FreeList(zone, order, mobility), zone->MemoryMap, page);
        zone->NonEmpty |= NonEmptyBit(order, mobility);
        Account(zone, order, flags, 1);
        if (order == Order.Max)
        {
            Pageblocks.SetLargestFree(zone, page, true);
        }
    }

    /// <summary>Takes a block off its free list, whole.</summary>
    public static void RemoveLocked(Zone* zone, PageIndex page)
    {
        Page* head = zone->MemoryMap + page.Number;
        Invariant.Holds(RankedLock.IsHeld(&zone->Lock) && head->Kind == PageKind.Free);
        PageList* list = Zone.FreeList(zone, head->Order, head->Mobility);
        PageList.Remove(list, zone->MemoryMap, page);
        if (list->Count == 0)
        {
            zone->NonEmpty &= ~NonEmptyBit(head->Order, head->Mobility);
        }

        head->Kind = PageKind.None;
        Account(zone, head->Order, head->Flags, -1);
        if (head->Order == Order.Max)
        {
            Pageblocks.SetLargestFree(zone, page, false);
        }
    }

    /// <summary>The smallest sufficient block among those of one mobility, cut down to the order.</summary>
    public static PageIndex TakeOfLocked(Zone* zone, int order, Mobility mobility)
    {
        ulong orders = (NonEmptyOrders(zone, mobility) >> order) << order;
        if (orders == 0)
        {
            return PageIndex.None;
        }

        PageIndex page = new(Zone.FreeList(zone, Bits.TrailingZeros(orders), mobility)->First);
        RemoveLocked(zone, page);
        CutLocked(zone, page, order);
        return page;
    }

    /// <summary>Halves a block that is on no list until it has the order; the upper halves are free blocks of their own.</summary>
    public static void CutLocked(Zone* zone, PageIndex page, int order)
    {
        Page* head = zone->MemoryMap + page.Number;
        Invariant.Holds(head->Kind == PageKind.None && head->Order >= order);
        while (head->Order > order)
        {
            head->Order--;
            PageIndex upper = page.BuddyOf(head->Order);
            Invariant.Holds(upper.Number > page.Number);
            InsertLocked(zone, upper, head->Order, Pageblocks.MobilityOf(zone, upper), head->Flags, head->Payload.FreedAtMilliseconds);
        }
    }

    /// <summary>Which orders have a free block of this mobility: bit k for order k.</summary>
    public static ulong NonEmptyOrders(Zone* zone, Mobility mobility) => (zone->NonEmpty >> ((int)mobility * 16)) & 0xFFFF;

    private static PageIndex TakeSlowLocked(Zone* zone, int order, Mobility mobility)
    {
        // 2. A pageblock of another mobility that is free as a whole.
        PageIndex page = Fallback.ClaimWholeLocked(zone, order, mobility);

        // 3. New address space: it spoils no pageblock and costs no memory before it is touched. The kernel has no such rung.
        if (page.IsNone && Growth.GrowLocked(zone))
        {
            page = TakeOfLocked(zone, order, mobility);
            page = page.IsNone ? Fallback.ClaimWholeLocked(zone, order, mobility) : page;
            Invariant.Holds(!page.IsNone);
        }

        // 4. A pageblock of another mobility that is at least half free or in use by this one.
        page = page.IsNone ? Fallback.ClaimHalfLocked(zone, order, mobility) : page;

        // 5. Any block that fits, wherever it is.
        return page.IsNone ? Fallback.StealLocked(zone, order, mobility) : page;
    }

    private static long MergedAge(PageFlags flags, long freedAt, PageFlags otherFlags, long otherFreedAt)
    {
        if ((flags & PageFlags.Purged) != 0)
        {
            return otherFreedAt;
        }

        return (otherFlags & PageFlags.Purged) != 0 ? freedAt : freedAt + ((otherFreedAt - freedAt) / 2);
    }

    private static ulong NonEmptyBit(int order, Mobility mobility) => 1ul << (((int)mobility * 16) + order);

    private static void Account(Zone* zone, int order, PageFlags flags, long sign)
    {
        long pages = sign << order;
        zone->FreePages += pages;
        zone->PurgedPages += (flags & PageFlags.Purged) != 0 ? pages : 0;
        Invariant.Holds(zone->PurgedPages >= 0 && zone->PurgedPages <= zone->FreePages);
    }
}
