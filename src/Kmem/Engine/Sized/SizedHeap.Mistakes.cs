using Kmem.Engine.Caches;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Sized;

/// <summary>Finding the one name of a caller's mistake. Nothing here is on a path of correct use.</summary>
internal unsafe partial struct SizedHeap
{
    /// <summary>An address in a slab: is it an object, and one that callers may hold?</summary>
    private static Misuse CheckObject(Page* page, void* address, Cache* cache)
    {
        if (!Slab.IsObject(page, (nuint)address))
        {
            return Misuse.InteriorPointer;
        }

        return (cache->Flags & CacheFlags.Internal) != 0 ? Misuse.ForeignPointer : Misuse.None;
    }

    /// <summary>An address whose page is no slab's and does not start a live run.</summary>
    private static Misuse NameMistake(SizedHeap* heap, Page* page, void* address)
    {
        Page* head = Zone.HeadOf(&heap->Zone, page);
        if (head == null)
        {
            return Misuse.ForeignPointer;
        }

        return head->Kind switch
        {
            PageKind.Free or PageKind.Listed or PageKind.Purging => Misuse.AlreadyFree,
            PageKind.Run => Misuse.InteriorPointer,
            PageKind.Block => Misuse.WrongKind,
            _ => Misuse.ForeignPointer,
        };
    }

    /// <summary>The same where an object was expected: the start of a live run is of another kind.</summary>
    private static Misuse NameMistakeForObject(SizedHeap* heap, Page* page, void* address) =>
        page->Kind == PageKind.Run && Address.IsAligned(address, Address.PageSizeBytes)
            ? Misuse.WrongKind
            : NameMistake(heap, page, address);

    /// <summary>Frees a block of the page allocator; <paramref name="order"/> is −1 where the caller did not say.</summary>
    public static Misuse FreePages(SizedHeap* heap, void* address, int order, int cpu)
    {
        Page* page = Zone.PageOf(&heap->Zone, address);
        if (page == null)
        {
            return Misuse.ForeignPointer;
        }

        if (page->Kind != PageKind.Block || !Address.IsAligned(address, Address.PageSizeBytes))
        {
            Page* head = Zone.HeadOf(&heap->Zone, page);
            return head == null ? Misuse.ForeignPointer
                : head->Kind switch
                {
                    PageKind.Free or PageKind.Listed or PageKind.Purging => Misuse.AlreadyFree,
                    PageKind.Block => Misuse.InteriorPointer,
                    _ => Misuse.WrongKind,
                };
        }

        if (order >= 0 && order != page->Order)
        {
            return Misuse.WrongSize;
        }

        _ = Atomic.Add(&heap->UserPages, -(long)Order.Pages(page->Order));
        Zone.FreeBlock(&heap->Zone, page, cpu);
        return Misuse.None;
    }

    /// <summary>A block of 2^order pages for a user of the page allocator; null when memory is out.</summary>
    public static void* AllocatePages(SizedHeap* heap, int order, Mobility mobility, int cpu)
    {
        Page* page = Zone.AllocateBlock(&heap->Zone, order, mobility, cpu);
        if (page == null)
        {
            return null;
        }

        _ = Atomic.Add(&heap->UserPages, (long)Order.Pages(order));
        return Zone.AddressOf(&heap->Zone, page);
    }
}
