using Kmem.Engine.Primitives;

namespace Kmem.Engine.Pages;

/// <summary>From an address to its page, and from a page to the head that speaks for it.</summary>
internal static unsafe class HeadLookup
{
    /// <summary>
    /// Pages that a descriptor speaks for: the block's or run's length for a head, 1 for any other page. May be asked while
    /// the owner turns a block into a slab: both have the same order.
    /// </summary>
    public static uint PagesOf(Page* page) => page->Kind switch
    {
        PageKind.None or PageKind.SlabTail => 1,
        PageKind.Run or PageKind.Guards => (uint)page->Payload.Pages,
        _ => 1u << page->Order,
    };

    /// <summary>Descriptor of the page at an address in any range, or null. No lock: a range appears when it is complete.</summary>
    public static Page* PageOf(Zone* zone, void* address)
    {
        nuint offset = (nuint)address - (nuint)zone->FirstBase;
        if (offset < Atomic.Load(&zone->FirstFrontierBytes))
        {
            return zone->MemoryMapOfFirst + (offset >> Address.PageShift);
        }

        int count = Atomic.Load(&zone->ArenaCount);
        for (int index = 1; index < count; index++)
        {
            Arena* arena = zone->Arenas + index;
            offset = (nuint)address - (nuint)arena->Base;
            if (offset < Atomic.Load(&arena->FrontierBytes))
            {
                return zone->MemoryMap + arena->FirstPage + (offset >> Address.PageShift);
            }
        }

        return null;
    }

    public static void* AddressOf(Zone* zone, Page* page)
    {
        nuint offset = ((nuint)page - (nuint)zone->MemoryMapOfFirst) >> Page.DescriptorShift;
        if (offset < zone->Arenas->CapacityBytes >> Address.PageShift)
        {
            return zone->FirstBase + (offset << Address.PageShift);
        }

        Arena* arena = ArenaOf(zone, IndexOf(zone, page));
        Invariant.Check(arena != null);
        return arena->Base + ((nuint)(IndexOf(zone, page).Number - arena->FirstPage) << Address.PageShift);
    }

    public static PageIndex IndexOf(Zone* zone, Page* page)
    {
        Invariant.Holds(page > zone->MemoryMap && page < zone->MemoryMap + zone->PageNumberLimit);
        return new((uint)(page - zone->MemoryMap));
    }

    /// <summary>The range that a page below its frontier is in, or null.</summary>
    public static Arena* ArenaOf(Zone* zone, PageIndex page)
    {
        int count = Atomic.Load(&zone->ArenaCount);
        for (int index = 0; index < count; index++)
        {
            if (zone->Arenas[index].Contains(page))
            {
                return zone->Arenas + index;
            }
        }

        return null;
    }

    /// <summary>
    /// The head whose block, run, slab or free block holds the page, or null. For reports: takes no lock, so under
    /// concurrent changes the answer may be a moment old. Short for blocks; for a page of a long run it walks back to the head.
    /// </summary>
    public static Page* HeadOf(Zone* zone, Page* page)
    {
        PageIndex index = IndexOf(zone, page);
        Arena* arena = ArenaOf(zone, index);
        if (arena == null)
        {
            return null;
        }

        if (page->Kind == PageKind.SlabTail)
        {
            return page - page->PageInSlab;
        }

        // Blocks start at a multiple of their size.
        for (int order = 0; order <= Order.Max; order++)
        {
            PageIndex start = index.BlockOf(order);
            if (Covers(zone, start, index))
            {
                return zone->MemoryMap + start.Number;
            }
        }

        // Runs that grew in place need not. The nearest head below speaks for the page, or nobody does.
        for (uint number = index.Number; number > arena->FirstPage;)
        {
            number--;
            PageKind kind = zone->MemoryMap[number].Kind;
            if (kind != PageKind.None && kind != PageKind.SlabTail)
            {
                return Covers(zone, new(number), index) ? zone->MemoryMap + number : null;
            }
        }

        return null;
    }

    private static bool Covers(Zone* zone, PageIndex start, PageIndex page)
    {
        Page* head = zone->MemoryMap + start.Number;
        return head->Kind != PageKind.None && head->Kind != PageKind.SlabTail && page.Number - start.Number < PagesOf(head);
    }
}
