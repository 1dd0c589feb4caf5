using Kmem.Engine.Caches;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Sized;

/// <summary>Finding the one name of a caller's mistake. The checks of an object and of a run are on the slow rungs of a free; the rest is on no path of correct use.</summary>
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

    /// <summary>Whether an object is free, in its slab or in a magazine, wherever that is. For reports and suspicions: it searches all of them.</summary>
    public static bool IsFree(SizedHeap* heap, void* address)
    {
        Page* page = Zone.PageOf(&heap->Zone, address);
        Cache* cache = CacheRegistry.At(&heap->Registry, page->CacheIndex);
        return SlabLists.IsInSlab(&cache->Slabs, address) || MagazineSearch.Contains(cache, (nuint)address);
    }

    /// <summary>Whether an object is in its slab. Takes no lock: true for an object that somebody holds never.</summary>
    public static bool IsInSlab(SizedHeap* heap, Page* page, void* address)
    {
        SlabLayout* layout = &CacheRegistry.At(&heap->Registry, page->CacheIndex)->Slabs.Layout;
        return Slab.IsFree(Slab.HeadOf(page), layout, Slab.IndexOf(page, (nuint)address));
    }

    /// <summary>Whether the address is where a live run starts.</summary>
    private static bool IsRun(Page* page, void* address) =>
        page->Kind == PageKind.Run && Address.IsAligned(address, Address.PageSizeBytes);

    /// <summary>
    /// An address whose page is no slab's and that does not start what was expected there, a live <paramref name="expected"/>: inside one it is
    /// interior, in anything else that is live it is of the wrong kind.
    /// </summary>
    private static Misuse NameMistake(SizedHeap* heap, Page* page, PageKind expected)
    {
        Page* head = Zone.HeadOf(&heap->Zone, page);
        if (head == null)
        {
            return Misuse.ForeignPointer;
        }

        return head->Kind switch
        {
            PageKind.Free or PageKind.Listed or PageKind.Purging => Misuse.AlreadyFree,
            PageKind kind => kind == expected ? Misuse.InteriorPointer : Misuse.WrongKind,
        };
    }
}
