using Kmem.Engine.Primitives;

namespace Kmem.Engine.Pages;

/// <summary>
/// What to do when a mobility has no block left but another has: the rules of the kernel (Gorman's grouping of pages by mobility).
/// All under the zone lock.
/// </summary>
/// <remarks>
/// <para><em>Claim</em>: take the largest block there is and turn its whole pageblock to the new mobility, if all of the
/// pageblock is free, or, when there is no address space left, at least half of it is free or already used by that mobility. So the
/// next requests of the kind find room in the same place. <em>Steal</em>: take the smallest block that fits and leave the
/// pageblock as it is; one page of the wrong kind is then in it.</para>
/// <para>Worst case of a claim: two candidates, each counted in at most 512 descriptors.</para>
/// </remarks>
internal static unsafe class Fallback
{
    /// <summary>The two other mobilities, in the kernel's order of preference.</summary>
    private static Mobility Other(Mobility mobility, int preference) => mobility switch
    {
        Mobility.Unmovable => preference == 0 ? Mobility.Reclaimable : Mobility.Movable,
        Mobility.Reclaimable => preference == 0 ? Mobility.Unmovable : Mobility.Movable,
        _ => preference == 0 ? Mobility.Reclaimable : Mobility.Unmovable,
    };

    /// <summary>Turns the pageblocks of a free block of 2 MiB or more, and takes what is wanted from it.</summary>
    public static PageIndex ClaimWholeLocked(Zone* zone, int order, Mobility mobility)
    {
        Invariant.Holds(RankedLock.IsHeld(&zone->Lock));
        for (int preference = 0; preference < Zone.MobilityCount - 1; preference++)
        {
            PageIndex page = LargestOf(zone, order, Other(mobility, preference));
            int largest = page.IsNone ? 0 : zone->MemoryMap[page.Number].Order;
            if (largest >= Pageblocks.BlockOrder)
            {
                BuddyAllocator.RemoveLocked(zone, page);
                Pageblocks.SetMobility(zone, page, largest, mobility);
                zone->PageblocksClaimed += 1L << (largest - Pageblocks.BlockOrder);
                BuddyAllocator.CutLocked(zone, page, order);
                return page;
            }
        }

        return PageIndex.None;
    }

    /// <summary>Turns the pageblock that the largest fitting block is in, if at least half of it is compatible.</summary>
    public static PageIndex ClaimHalfLocked(Zone* zone, int order, Mobility mobility)
    {
        Invariant.Holds(RankedLock.IsHeld(&zone->Lock));
        for (int preference = 0; preference < Zone.MobilityCount - 1; preference++)
        {
            PageIndex page = LargestOf(zone, order, Other(mobility, preference));
            if (!page.IsNone && CompatiblePages(zone, page, mobility) >= Pageblocks.BlockPages / 2)
            {
                TurnPageblockLocked(zone, page, mobility);
                PageIndex claimed = BuddyAllocator.TakeOfLocked(zone, order, mobility);
                Invariant.Holds(!claimed.IsNone);
                return claimed;
            }
        }

        return PageIndex.None;
    }

    public static PageIndex StealLocked(Zone* zone, int order, Mobility mobility)
    {
        Invariant.Holds(RankedLock.IsHeld(&zone->Lock));
        Invariant.Holds(BuddyAllocator.NonEmptyOrders(zone, mobility) >> order == 0);
        for (int preference = 0; preference < Zone.MobilityCount - 1; preference++)
        {
            PageIndex page = BuddyAllocator.TakeOfLocked(zone, order, Other(mobility, preference));
            if (!page.IsNone)
            {
                zone->BlocksStolen++;
                return page;
            }
        }

        return PageIndex.None;
    }

    /// <summary>The first of the largest free blocks of a mobility that are at least of this order, or none.</summary>
    private static PageIndex LargestOf(Zone* zone, int order, Mobility mobility)
    {
        ulong orders = BuddyAllocator.NonEmptyOrders(zone, mobility) >> order;
        return orders == 0 ? PageIndex.None : new(Zone.FreeList(zone, order + Bits.Log2((nuint)orders), mobility)->First);
    }

    /// <summary>Pages of the pageblock that are free or in use for this mobility.</summary>
    private static uint CompatiblePages(Zone* zone, PageIndex page, Mobility mobility)
    {
        uint compatible = 0;
        PageIndex start = page.BlockOf(Pageblocks.BlockOrder);
        for (uint offset = 0; offset < Pageblocks.BlockPages;)
        {
            Page* head = zone->MemoryMap + start.Number + offset;
            uint pages = HeadLookup.PagesOf(head);
            bool fits = head->Kind == PageKind.Free || (head->Kind != PageKind.None && head->Mobility == mobility);
            pages = pages > Pageblocks.BlockPages - offset ? Pageblocks.BlockPages - offset : pages;
            compatible += fits ? pages : 0;
            offset += pages;
        }

        return compatible;
    }

    /// <summary>Moves every free block of the pageblock to the mobility's lists.</summary>
    private static void TurnPageblockLocked(Zone* zone, PageIndex page, Mobility mobility)
    {
        PageIndex start = page.BlockOf(Pageblocks.BlockOrder);
        Pageblocks.SetMobility(zone, start, Pageblocks.BlockOrder, mobility);
        zone->PageblocksClaimed++;
        for (uint offset = 0; offset < Pageblocks.BlockPages;)
        {
            PageIndex at = start + offset;
            Page* head = zone->MemoryMap + at.Number;
            uint pages = HeadLookup.PagesOf(head);
            if (head->Kind == PageKind.Free)
            {
                Invariant.Holds(head->Order < Pageblocks.BlockOrder);
                BuddyAllocator.RemoveLocked(zone, at);
                BuddyAllocator.InsertLocked(zone, at, head->Order, mobility, head->Flags, head->Payload.FreedAtMilliseconds);
            }

            offset += pages;
        }
    }
}
