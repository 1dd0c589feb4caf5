using Kmem.Engine.Caches;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;

namespace Kmem.Engine.Sized;

/// <summary>Changing the size of what a caller holds, and maintenance of the whole heap.</summary>
internal unsafe partial struct SizedHeap
{
    /// <summary>
    /// The same bytes in an allocation of another size: in place where the new size leads to the same class, fits without
    /// wasting more than half, or a run can give or take pages; else moved. Null when memory is out: the old allocation
    /// stays.
    /// </summary>
    public static void* Reallocate(SizedHeap* heap, void* address, nuint sizeBytes, out Misuse misuse)
    {
        misuse = Misuse.None;
        if (address == null || IsZeroSizePointer(address))
        {
            return Allocate(heap, sizeBytes);
        }

        nuint usable = UsableSize(heap, address, out misuse);
        if (misuse != Misuse.None)
        {
            return null;
        }

        if (sizeBytes == 0)
        {
            misuse = Free(heap, address);
            return (void*)ZeroSizePointer;
        }

        Page* page = Zone.PageOf(&heap->Zone, address);
        if (page->CacheIndex == 0 ? TryResizeRun(heap, page, sizeBytes)
            : sizeBytes <= usable && RoundUp(heap, sizeBytes) >= Capacity(heap, address, out _) / 2 && Cache.TryResize(CacheRegistry.At(&heap->Registry, page->CacheIndex), address, sizeBytes))
        {
            return address;
        }

        void* moved = Allocate(heap, sizeBytes);
        if (moved == null)
        {
            // A run can give its end back without any memory. An object stays as it was: told that it now has the smaller size,
            // its owner would free it with one that cannot be its class's.
            return page->CacheIndex == 0 && sizeBytes <= usable && TrySetRunLength(heap, page, sizeBytes) ? address : null;
        }

        if (Face.IsToStop())
        {
            // A damaged object was found on the way to a whole one: nothing is done.
            _ = Free(heap, moved);
            return null;
        }

        Memory.Copy(moved, address, sizeBytes < usable ? sizeBytes : usable);
        misuse = Free(heap, address);
        if (misuse != Misuse.None)
        {
            // It was free already, and a magazine hid it: the caller is told, and gets nothing.
            _ = Free(heap, moved);
            return null;
        }

        return moved;
    }

    /// <summary>In place, unless the new size belongs to a class.</summary>
    private static bool TryResizeRun(SizedHeap* heap, Page* head, nuint sizeBytes) =>
        sizeBytes > heap->LargestClassBytes && sizeBytes <= SizeBytesMax && TrySetRunLength(heap, head, sizeBytes);

    /// <summary>Gives a run another length in place, whatever the size.</summary>
    private static bool TrySetRunLength(SizedHeap* heap, Page* head, nuint sizeBytes)
    {
        long pagesBefore = (long)head->Payload.Pages;
        nuint pages = Address.PagesFor(sizeBytes);
        if ((long)pages != pagesBefore && !Zone.ResizeRun(&heap->Zone, head, pages))
        {
            return false;
        }

        CountLarge(heap, 0, (long)sizeBytes - (long)head->Payload.RequestedBytes, (long)pages - pagesBefore);
        head->Payload.RequestedBytes = sizeBytes;
        NoteRunResized(heap, head);
        return true;
    }

    /// <summary>One maintenance pass; see <see cref="Reaper"/>. Pages that have been free for the delay go back to the OS.</summary>
    public static nuint Maintain(SizedHeap* heap, long purgeDelayMilliseconds)
    {
        Reaper.Maintain(&heap->Registry);
        return Zone.Purge(&heap->Zone, heap->Os.NowMilliseconds(heap->Os.Context), purgeDelayMilliseconds);
    }

    /// <summary>The same where the caller may be in a destructor; see <see cref="Reaper.TryMaintain"/>.</summary>
    public static nuint TryMaintain(SizedHeap* heap, long purgeDelayMilliseconds) => !Reaper.TryMaintain(&heap->Registry) ? 0
        : Zone.Purge(&heap->Zone, heap->Os.NowMilliseconds(heap->Os.Context), purgeDelayMilliseconds);

    /// <summary>Empties every magazine, frees every empty slab, and gives every free page back to the OS; returns the bytes given back.</summary>
    public static nuint Trim(SizedHeap* heap)
    {
        ReclaimUnused(heap);
        return Zone.Purge(&heap->Zone, heap->Os.NowMilliseconds(heap->Os.Context), 0);
    }

    /// <summary>Before giving up for want of memory: what magazines, empty slabs and page lists hold becomes free pages.</summary>
    public static void ReclaimUnused(SizedHeap* heap)
    {
        Reaper.DrainAll(&heap->Registry);
        Zone.DrainPageLists(&heap->Zone);
    }

    /// <summary>Whether a fresh allocation is a run that was never touched since the OS gave it.</summary>
    public static bool ReadsAsZero(SizedHeap* heap, void* address)
    {
        Page* page = Zone.PageOf(&heap->Zone, address);
        return page->Kind == PageKind.Run && (page->Flags & PageFlags.Purged) != 0;
    }
}
