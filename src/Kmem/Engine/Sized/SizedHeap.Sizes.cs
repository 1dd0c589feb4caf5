using Kmem.Engine.Caches;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Sized;

/// <summary>Questions about sizes: what a request is rounded up to, what an allocation can hold, whether a size can be its.</summary>
internal unsafe partial struct SizedHeap
{
    /// <summary>
    /// Whether a free with this size can mean this allocation: it fits, and fills at least half of it, the alignment of the
    /// address counted in. A resize in place leaves at least half.
    /// </summary>
    public static Misuse CheckSize(SizedHeap* heap, void* address, nuint sizeBytes)
    {
        nuint usable = Capacity(heap, address, out Misuse misuse);
        if (misuse != Misuse.None || (sizeBytes == 0 && usable == 0))
        {
            return misuse;
        }

        nuint alignment = (nuint)address & (~(nuint)address + 1);
        alignment = alignment < Address.PageSizeBytes ? alignment : Address.PageSizeBytes;
        bool plausible = sizeBytes != 0 && sizeBytes <= usable && RoundUp(heap, Address.AlignUp(sizeBytes, alignment)) >= usable / 2;
        return plausible ? Misuse.None : Misuse.WrongSize;
    }

    /// <summary>Bytes that may be used at an address; 0 for the sentinel and for mistakes, which are named. With red zones that is what was asked for.</summary>
    public static nuint UsableSize(SizedHeap* heap, void* address, out Misuse misuse)
    {
        nuint capacity = Capacity(heap, address, out misuse);
        if (capacity == 0 || IsZeroSizePointer(address))
        {
            return capacity;
        }

        Page* page = Zone.PageOf(&heap->Zone, address);
        Cache* cache = page->CacheIndex == 0 ? null : CacheRegistry.At(&heap->Registry, page->CacheIndex);
        if (cache != null && (cache->Checks & CacheChecks.Guarded) != 0)
        {
            return GuardPool.SlotOf(&heap->Registry, (nuint)address)->Track.RequestedBytes;
        }

        nuint requested = cache != null && cache->Checked.LeftZoneBytes != 0 ? CheckedObject.TrackOf(&cache->Checked, (nuint)address)->RequestedBytes : capacity;
        return requested < capacity ? requested : capacity;
    }

    /// <summary>Bytes of the object or run at an address, whatever was asked for; 0 as above.</summary>
    public static nuint Capacity(SizedHeap* heap, void* address, out Misuse misuse)
    {
        misuse = Misuse.None;
        if (address == null || IsZeroSizePointer(address))
        {
            return 0;
        }

        Page* page = Zone.PageOf(&heap->Zone, address);
        if (page == null)
        {
            misuse = Misuse.ForeignPointer;
            return 0;
        }

        if (page->CacheIndex != 0)
        {
            Cache* cache = CacheRegistry.At(&heap->Registry, page->CacheIndex);
            misuse = CheckObject(page, address, cache);
            if (misuse == Misuse.None && cache->IsTwin && !Cache.IsLive(cache, (nuint)address))
            {
                misuse = Misuse.AlreadyFree;
            }

            return misuse != Misuse.None || (cache->Flags & CacheFlags.Inaccessible) != 0 ? 0 : cache->CapacityBytes;
        }

        if (IsRun(page, address))
        {
            return (nuint)page->Payload.Pages << Address.PageShift;
        }

        misuse = NameMistake(heap, page, PageKind.Run);
        return 0;
    }

    /// <summary>The size that a request would be rounded up to; 0 for 0.</summary>
    public static nuint RoundUp(SizedHeap* heap, nuint sizeBytes) => sizeBytes == 0 ? 0
        : sizeBytes <= heap->LargestClassBytes ? ClassFor(heap, sizeBytes)->Slabs.Layout.StrideBytes
        : sizeBytes > SizeBytesMax ? sizeBytes
        : Address.AlignUp(sizeBytes, Address.PageSizeBytes);

    public static bool IsZeroSizePointer(void* address) =>
        Address.IsPowerOfTwo((nuint)address) && (nuint)address is >= ZeroSizePointer and <= AlignmentBytesMax;

    public static Cache* ClassFor(SizedHeap* heap, nuint sizeBytes)
    {
        Invariant.Holds(sizeBytes >= 1 && sizeBytes <= heap->LargestClassBytes);
        return CacheRegistry.At(&heap->Registry, heap->ClassTable[(sizeBytes + 7) >> SizeClasses.GranuleShift]);
    }
}
