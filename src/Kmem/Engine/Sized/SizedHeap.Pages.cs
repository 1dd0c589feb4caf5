using Kmem.Engine.Caches;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;

namespace Kmem.Engine.Sized;

/// <summary>Blocks of pages for the users of the page allocator, counted.</summary>
internal unsafe partial struct SizedHeap
{
    /// <summary>A block of 2^order pages for a user of the page allocator; null when memory is out.</summary>
    public static void* AllocatePages(SizedHeap* heap, int order, Mobility mobility, int cpu)
    {
        if (Cache.FailsInSweep(&heap->Registry))
        {
            Face.NoteInjectedFault();
            return null;
        }

        Page* page = Zone.AllocateBlock(&heap->Zone, order, mobility, cpu);
        if (page == null)
        {
            return null;
        }

        _ = Atomic.Add(&heap->UserPages, (long)Order.Pages(order));
        void* address = Zone.AddressOf(&heap->Zone, page);
        Cache.NoteAllocatedInSweep(&heap->Registry, (nuint)address, Order.Bytes(order));
        return address;
    }

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
            return NameMistake(heap, page, PageKind.Block);
        }

        if (order >= 0 && order != page->Order)
        {
            return Misuse.WrongSize;
        }

        _ = Atomic.Add(&heap->UserPages, -(long)Order.Pages(page->Order));
        Cache.NoteFreedInSweep(&heap->Registry, (nuint)address);
        Zone.FreeBlock(&heap->Zone, page, cpu);
        return Misuse.None;
    }
}
