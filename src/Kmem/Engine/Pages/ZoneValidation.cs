using Kmem.Engine.Primitives;

namespace Kmem.Engine.Pages;

/// <summary>
/// Walks all lists and all heads and recounts everything. Holds every CPU's list and the zone meanwhile, so other threads wait; time is
/// proportional to the number of blocks.
/// </summary>
internal static unsafe class ZoneValidation
{
    public static ZoneFault Validate(Zone* zone)
    {
        for (int cpu = 0; cpu < zone->CpuCount; cpu++)
        {
            RankedLock.EnterSibling(&zone->CpuLists[cpu].Lock, LockRank.PageLists);
        }

        RankedLock.Enter(&zone->Lock, LockRank.Zone);
        Recount counts = default;
        ZoneFault fault = CountFreeLists(zone, &counts);
        fault = fault == ZoneFault.None ? CountCpuLists(zone, &counts) : fault;
        fault = fault == ZoneFault.None ? CountArenas(zone, &counts) : fault;
        fault = fault == ZoneFault.None ? Compare(zone, &counts) : fault;
        RankedLock.Exit(&zone->Lock, LockRank.Zone);
        for (int cpu = zone->CpuCount - 1; cpu >= 0; cpu--)
        {
            RankedLock.Exit(&zone->CpuLists[cpu].Lock, LockRank.PageLists);
        }

        return fault;
    }

    private static ZoneFault CountFreeLists(Zone* zone, Recount* counts)
    {
        for (int mobility = 0; mobility < Zone.MobilityCount; mobility++)
        {
            for (int order = 0; order < Order.Count; order++)
            {
                PageList* list = Zone.FreeList(zone, order, (Mobility)mobility);
                ZoneFault fault = CheckList(zone, list, PageKind.Free, order, (Mobility)mobility);
                if (fault != ZoneFault.None)
                {
                    return fault;
                }

                bool marked = (BuddyAllocator.NonEmptyOrders(zone, (Mobility)mobility) >> order & 1) != 0;
                if (marked != (list->Count != 0))
                {
                    return ZoneFault.NonEmptyMask;
                }

                counts->FreeOnLists += (long)list->Count << order;
                counts->FreeHeadsOnLists += list->Count;
            }
        }

        return ZoneFault.None;
    }

    private static ZoneFault CountCpuLists(Zone* zone, Recount* counts)
    {
        for (int cpu = 0; cpu < zone->CpuCount; cpu++)
        {
            long pages = 0;
            for (int index = 0; index < CpuPageLists.ListCount; index++)
            {
                int order = index / Zone.MobilityCount;
                PageList* list = CpuPageLists.List(zone->CpuLists + cpu, index);
                ZoneFault fault = CheckList(zone, list, PageKind.Listed, order, (Mobility)(index % Zone.MobilityCount));
                if (fault != ZoneFault.None)
                {
                    return fault;
                }

                pages += (long)list->Count << order;
                counts->ListedHeadsOnLists += list->Count;
            }

            if (pages != zone->CpuLists[cpu].Pages || pages > PageLists.HighPages)
            {
                return ZoneFault.ListedCount;
            }
        }

        return ZoneFault.None;
    }

    private static ZoneFault CheckList(Zone* zone, PageList* list, PageKind kind, int order, Mobility mobility)
    {
        uint before = 0;
        uint lastDirty = 0;
        uint count = 0;
        for (uint number = list->First; number != 0; number = zone->MemoryMap[number].Next)
        {
            PageIndex page = new(number);
            Page* head = zone->MemoryMap + number;
            if (HeadLookup.ArenaOf(zone, page) == null || head->Prev != before || count++ == list->Count)
            {
                return ZoneFault.ListLinks;
            }

            bool fits = head->Kind == kind && head->Order == order && head->Mobility == mobility && page.IsAlignedTo(order);
            if (!fits)
            {
                return kind == PageKind.Free ? ZoneFault.FreeHead : ZoneFault.ListedHead;
            }

            if ((head->Flags & PageFlags.Purged) == 0)
            {
                if (before != lastDirty)
                {
                    return ZoneFault.DirtyOrder;
                }

                lastDirty = number;
            }

            if (kind == PageKind.Free)
            {
                if (Pageblocks.MobilityOf(zone, page) != mobility)
                {
                    return ZoneFault.PageblockMobility;
                }

                Page* buddy = order < Order.Max ? zone->MemoryMap + page.BuddyOf(order).Number : null;
                if (buddy != null && buddy->Kind == PageKind.Free && buddy->Order == order)
                {
                    return ZoneFault.Unmerged;
                }
            }

            before = number;
        }

        if (list->Last != before || count != list->Count)
        {
            return ZoneFault.ListLinks;
        }

        return list->LastDirty == lastDirty ? ZoneFault.None : ZoneFault.DirtyOrder;
    }

    private static ZoneFault CountArenas(Zone* zone, Recount* counts)
    {
        for (int index = 0; index < zone->ArenaCount; index++)
        {
            Arena* arena = zone->Arenas + index;
            uint end = arena->FirstPage + arena->FrontierPages;
            counts->Total += arena->FrontierPages;
            for (uint number = arena->FirstPage; number < end;)
            {
                Page* head = zone->MemoryMap + number;
                uint pages = HeadLookup.PagesOf(head);
                if (head->Kind is PageKind.None or PageKind.SlabTail || pages == 0 || pages > end - number)
                {
                    return ZoneFault.Tiling;
                }

                counts->Add(head, pages);
                ZoneFault fault = CheckInside(zone, new(number), pages);
                if (fault != ZoneFault.None)
                {
                    return fault;
                }

                number += pages;
            }
        }

        return ZoneFault.None;
    }

    /// <summary>Looks at the pages inside that could be taken for heads: all where they are few, else those that were heads of halves.</summary>
    private static ZoneFault CheckInside(Zone* zone, PageIndex start, uint pages)
    {
        Page* head = zone->MemoryMap + start.Number;

        // The slab layer turns a block into a slab and back without our locks, a page at a time.
        bool maybeSlab = head->Kind is PageKind.Block or PageKind.SlabHead;
        for (uint offset = 1; offset < pages; offset = offset < 16 ? offset + 1 : offset * 2)
        {
            PageKind kind = head[offset].Kind;
            if (kind != PageKind.None && !(maybeSlab && kind == PageKind.SlabTail))
            {
                return ZoneFault.InnerHead;
            }
        }

        if (start.IsAlignedTo(Order.Max))
        {
            bool isLargestFree = head->Kind == PageKind.Free && head->Order == Order.Max;
            if (isLargestFree != Pageblocks.IsLargestFree(zone, start))
            {
                return ZoneFault.LargestFreeBit;
            }
        }

        return ZoneFault.None;
    }

    private static ZoneFault Compare(Zone* zone, Recount* counts)
    {
        bool heads = counts->FreeHeads == counts->FreeHeadsOnLists && counts->ListedHeads == counts->ListedHeadsOnLists;
        if (!heads || counts->Free != counts->FreeOnLists)
        {
            return ZoneFault.HeadCount;
        }

        if (counts->Free != zone->FreePages || counts->Purged != zone->PurgedPages || counts->Isolated != zone->IsolatedPages)
        {
            return ZoneFault.FreeCount;
        }

        bool adds = counts->Free + counts->Listed + counts->Isolated + counts->Allocated == counts->Total;
        return adds && counts->Total == zone->TotalPages ? ZoneFault.None : ZoneFault.Total;
    }

    /// <summary>Sums of one validation: pages, unless the name says heads.</summary>
    private struct Recount
    {
        public long FreeOnLists;
        public long FreeHeadsOnLists;
        public long ListedHeadsOnLists;
        public long Free;
        public long FreeHeads;
        public long Purged;
        public long Listed;
        public long ListedHeads;
        public long Isolated;
        public long Allocated;
        public long Total;

        public void Add(Page* head, uint pages)
        {
            switch (head->Kind)
            {
                case PageKind.Free:
                    Free += pages;
                    FreeHeads++;
                    Purged += (head->Flags & PageFlags.Purged) != 0 ? pages : 0;
                    break;
                case PageKind.Listed:
                    Listed += pages;
                    ListedHeads++;
                    break;
                case PageKind.Purging:
                    Isolated += pages;
                    break;
                default:
                    Allocated += pages;
                    break;
            }
        }
    }
}
