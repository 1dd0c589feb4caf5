using System.Globalization;
using System.Text;
using Kmem.Engine.Caches;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Sized;
using Kmem.Engine.Slabs;

namespace Kmem.Diagnostics;

/// <summary>What an address is, in words, for reports and tools. Never accesses the address itself.</summary>
internal static unsafe class AddressDescription
{
    public static string Of(KmemHeap heap, void* address)
    {
        string text = string.Create(CultureInfo.InvariantCulture, $"0x{(nuint)address:x}");
        if (address == null)
        {
            return "null";
        }

        if (SizedHeap.IsZeroSizePointer(address) && Zone.PageOf(&heap.Core->Zone, address) == null)
        {
            return $"{text}: the pointer of an allocation of 0 bytes";
        }

        Page* page = Zone.PageOf(&heap.Core->Zone, address);
        if (page == null)
        {
            KmemHeap? owner = HeapDirectory.OwnerOf(address);
            return owner == null ? $"{text}: not an address of any Kmem heap" : Of(owner, address);
        }

        return GuardPool.Contains(&heap.Core->Registry, (nuint)address) ? OfGuarded(heap, text, (nuint)address)
            : page->CacheIndex != 0 ? OfObject(heap, text, page, (nuint)address) : OfPages(heap, text, page, (nuint)address);
    }

    /// <summary>Name of the cache that a slab page belongs to.</summary>
    public static string NameOf(Cache* cache)
    {
        if ((cache->Flags & CacheFlags.Internal) != 0)
        {
            return string.Create(CultureInfo.InvariantCulture, $"magazine-{cache->Slabs.Layout.ObjectSizeBytes}");
        }

        int length = 0;
        while (cache->Name[length] != 0)
        {
            length++;
        }

        return Encoding.UTF8.GetString(cache->Name, length);
    }

    /// <summary>Whether somebody has an object, and where it is if not.</summary>
    public static string StateOf(Cache* cache, nuint start)
    {
        if ((cache->Checks & CacheChecks.Guarded) != 0)
        {
            return (GuardState)Atomic.Load(&GuardPool.SlotOf(cache->Registry, start)->State) switch
            {
                GuardState.Freed => "freed; its page cannot be accessed",
                GuardState.Leaving => "being freed",
                GuardState.Live or GuardState.LookedAt => "in use",
                _ => "in nobody's hands yet",
            };
        }

        if (SlabLists.IsInSlab(&cache->Slabs, (void*)start))
        {
            return "free in its slab";
        }

        if (cache->IsTwin && cache->Checked.HasTrack)
        {
            return CheckedObject.StateOf(&cache->Checked, start) switch
            {
                TrackState.Free => "free, waiting to go to its slab",
                TrackState.SetAside => "set aside",
                TrackState.Leaving => "being freed",
                TrackState.Live => "in use",
                _ => "in an unknown state",
            };
        }

        return !cache->IsTwin && MagazineSearch.Contains(cache, start) ? "free in a magazine" : "in use";
    }

    private static string OfObject(KmemHeap heap, string text, Page* page, nuint address)
    {
        Cache* cache = CacheRegistry.At(&heap.Core->Registry, page->CacheIndex);
        SlabLayout* layout = &cache->Slabs.Layout;
        nuint slab = (nuint)Zone.AddressOf(&heap.Core->Zone, Slab.HeadOf(page));
        string whose = string.Create(
            CultureInfo.InvariantCulture,
            $"the cache '{NameOf(cache)}' (objects of {layout->ObjectSizeBytes} bytes) of the heap '{heap.Name}'");
        nuint offsetInSlab = address - slab;
        if (offsetInSlab >= layout->LeadBytes + (layout->Objects * layout->StrideBytes))
        {
            return string.Create(CultureInfo.InvariantCulture, $"{text}: behind the last object of the slab 0x{slab:x} of {whose}");
        }

        if (offsetInSlab < layout->LeadBytes)
        {
            return string.Create(CultureInfo.InvariantCulture, $"{text}: before the first object of the slab 0x{slab:x} of {whose}");
        }

        uint index = Slab.IndexOf(page, address);
        nuint start = slab + layout->LeadBytes + (index * layout->StrideBytes);
        string where = address == start ? "" : string.Create(CultureInfo.InvariantCulture, $"{address - start} bytes into ");
        string state = StateOf(cache, start);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{text}: {where}object {index} of {layout->Objects} in the slab 0x{slab:x} of {whose}, {state}{ObjectUsers.Of(cache, start).Summary}");
    }

    private static string OfGuarded(KmemHeap heap, string text, nuint address)
    {
        GuardSlot* slot = GuardPool.SlotNear(&heap.Core->Registry, address);
        if (slot == null || slot->State == (uint)GuardState.Unused)
        {
            return $"{text}: a page of the heap '{heap.Name}' for guarded objects, that nobody has";
        }

        Cache* cache = CacheRegistry.At(&heap.Core->Registry, slot->CacheIndex);
        nuint start = slot->Object;
        nuint end = start + slot->Track.RequestedBytes;
        string where = address < start ? string.Create(CultureInfo.InvariantCulture, $"{start - address} bytes before ")
            : address >= end ? string.Create(CultureInfo.InvariantCulture, $"{address - end} bytes past the end of ")
            : address == start ? ""
            : string.Create(CultureInfo.InvariantCulture, $"{address - start} bytes into ");
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{text}: {where}the guarded object 0x{start:x} of {slot->Track.RequestedBytes} bytes of the cache '{NameOf(cache)}' of the heap '{heap.Name}', {StateOf(cache, start)}{ObjectUsers.Of(cache, start).Summary}");
    }

    private static string OfPages(KmemHeap heap, string text, Page* page, nuint address)
    {
        Page* head = Zone.HeadOf(&heap.Core->Zone, page);
        if (head == null)
        {
            return $"{text}: a page of the heap '{heap.Name}' that was never handed out";
        }

        nuint start = (nuint)Zone.AddressOf(&heap.Core->Zone, head);
        string where = address == start ? "the start of" : string.Create(CultureInfo.InvariantCulture, $"{address - start} bytes into");
        string what = head->Kind switch
        {
            PageKind.Run => string.Create(CultureInfo.InvariantCulture, $"a large allocation of {head->Payload.RequestedBytes} bytes ({head->Payload.Pages} pages)"),
            PageKind.Block => string.Create(CultureInfo.InvariantCulture, $"a block of order {head->Order} of the page allocator"),
            _ => "free pages",
        };
        string allocated = head->Kind == PageKind.Run && heap.RunTracks.TryGet(start, out RunTrack track)
            ? $"; allocated {ReportText.Age(Engine.Face.CoarseMilliseconds() - track.Milliseconds)} ago by thread {track.Thread}{(StackDepot.Get(track.Stack) is { Frames: [string first, ..] } ? " at " + first : "")}"
            : "";
        return $"{text}: {where} {what} of the heap '{heap.Name}'{allocated}";
    }
}
