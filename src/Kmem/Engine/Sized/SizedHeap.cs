using Kmem.Engine.Caches;
using Kmem.Engine.Os;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Sized;

// Theory of the sized heap: kmalloc.
//
// A heap is a zone of pages, a registry of caches on them, and one cache for each size class. A size up to the largest
// class goes to the cache that a table names; a larger one gets a run of pages of its own. Freeing needs no size:
// the page of the address knows whether it belongs to a slab, and of which cache, or starts a run.
//
//      Allocate(size)  0                     → the sentinel: an address that is never memory
//                      ≤ largest class       → cache of the class (theory: Cache.cs)
//                      above                 → run of pages (theory: Pages)
//      Free(address)   sentinel, null        → nothing
//                      page of a slab        → its cache, whichever made it
//                      head of a run/block   → pages
//                      anything else         → a caller's mistake, with its one name
//
// The control region holds what is one of a kind: | SizedHeap | class table |, committed at start.

/// <summary>A caller's mistake. The face has a public twin with the same values.</summary>
internal enum Misuse
{
    None,
    ForeignPointer,
    WrongHeap,
    InteriorPointer,
    AlreadyFree,
    WrongCache,
    WrongSize,
    WrongKind,
    LiveObjects,
}

internal unsafe struct HeapDefinition
{
    public OsTable Os;
    public nuint ReserveBytes;
    public bool Growable;
    public int CpuCount;
    public bool Restartable;
    public SizeClassSet SizeClasses;
    public SlabRule SlabRule;
}

/// <summary>One heap: <c>kmalloc</c>, <c>kfree</c>, <c>krealloc</c>.</summary>
internal unsafe partial struct SizedHeap
{
    /// <summary>What a request for zero bytes gets: distinct from null, aligned, and never memory.</summary>
    public const nuint ZeroSizePointer = 16;

    /// <summary>Larger requests fail at once: no address space holds them.</summary>
    public static nuint SizeBytesMax => (nuint)1 << 46;

    public const nuint AlignmentBytesMax = (nuint)1 << 30;

    private const nuint ControlBytes = 16 * 1024;

    /// <summary>What the control region costs.</summary>
    public const nuint ControlCommittedBytes = ControlBytes;
    private const nuint TableOffset = 4096;

    public OsTable Os;
    public Zone Zone;
    public CacheRegistry Registry;

    /// <summary>See <see cref="SizeClasses.FillTable"/>.</summary>
    public byte* ClassTable;

    public nuint LargestClassBytes;
    public SizeClassSet ClassSet;
    public SlabRule SlabRule;

    /// <summary>Live large allocations, the bytes they asked for, and their pages. Atomic.</summary>
    public long LargeCount;

    public long LargeRequestedBytes;
    public long LargePages;

    /// <summary>Live blocks of the page allocator's users, in pages. Atomic.</summary>
    public long UserPages;

    /// <summary>A new heap, or null when the OS refuses.</summary>
    public static SizedHeap* Create(HeapDefinition* definition)
    {
        OsTable os = definition->Os;
        byte* control = (byte*)os.Reserve(os.Context, ControlBytes, Address.PageSizeBytes);
        if (control == null)
        {
            return null;
        }

        if (!os.Commit(os.Context, control, ControlBytes))
        {
            os.Release(os.Context, control, ControlBytes);
            return null;
        }

        SizedHeap* heap = (SizedHeap*)control;
        Invariant.Check((nuint)sizeof(SizedHeap) <= TableOffset && TableOffset + SizeClasses.TableBytes <= ControlBytes);
        heap->Os = os;
        heap->ClassTable = control + TableOffset;
        heap->ClassSet = definition->SizeClasses;
        heap->SlabRule = definition->SlabRule;
        heap->LargestClassBytes = SizeClasses.Largest(definition->SizeClasses);
        ZoneOptions options = new()
        {
            ReserveBytes = definition->ReserveBytes,
            Growable = definition->Growable,
            CpuCount = definition->CpuCount,
        };
        if (!Zone.Initialize(&heap->Zone, &heap->Os, &options))
        {
            os.Release(os.Context, control, ControlBytes);
            return null;
        }

        if (!CacheRegistry.Initialize(&heap->Registry, &heap->Os, &heap->Zone, definition->CpuCount, definition->Restartable)
            || !CreateClasses(heap))
        {
            Destroy(heap);
            return null;
        }

        SizeClasses.FillTable(heap->ClassSet, heap->ClassTable, CacheRegistry.FirstOrdinary);
        return heap;
    }

    /// <summary>Releases everything at once: every object of the heap is gone.</summary>
    public static void Destroy(SizedHeap* heap)
    {
        OsTable os = heap->Os;
        CacheRegistry.Destroy(&heap->Registry);
        Zone.Destroy(&heap->Zone);
        os.Release(os.Context, heap, ControlBytes);
    }

    // ------------------------------------------------------------------ allocate

    /// <summary>At least so many bytes, aligned to 16 (8 in the kernel's class of 8); null when memory is out.</summary>
    public static void* Allocate(SizedHeap* heap, nuint sizeBytes)
    {
        if (sizeBytes > heap->LargestClassBytes)
        {
            return AllocateLarge(heap, sizeBytes, Address.PageSizeBytes);
        }

        return sizeBytes == 0 ? (void*)ZeroSizePointer : Cache.Allocate(ClassFor(heap, sizeBytes));
    }

    /// <summary>The slow rungs, after the face's inlined first rung found nothing.</summary>
    public static void* AllocateSlow(SizedHeap* heap, nuint sizeBytes)
    {
        if (sizeBytes - 1 < heap->LargestClassBytes)
        {
            return Cache.AllocateSlow(ClassFor(heap, sizeBytes));
        }

        return Allocate(heap, sizeBytes);
    }

    /// <summary>
    /// Aligned to a power of two up to 1 GiB: by a class whose objects are all so aligned, else by a run.
    /// </summary>
    public static void* AllocateAligned(SizedHeap* heap, nuint sizeBytes, nuint alignmentBytes)
    {
        Invariant.Holds(Address.IsPowerOfTwo(alignmentBytes) && alignmentBytes <= AlignmentBytesMax);
        if (sizeBytes == 0)
        {
            return alignmentBytes <= ZeroSizePointer ? (void*)ZeroSizePointer : (void*)alignmentBytes;
        }

        if (sizeBytes <= heap->LargestClassBytes && alignmentBytes <= Address.PageSizeBytes)
        {
            int last = CacheRegistry.FirstOrdinary + SizeClasses.Count(heap->ClassSet);
            for (int index = ClassFor(heap, sizeBytes)->Index; index < last; index++)
            {
                Cache* cache = CacheRegistry.At(&heap->Registry, index);
                if (cache->Slabs.Layout.StrideBytes % alignmentBytes == 0)
                {
                    return Cache.Allocate(cache);
                }
            }
        }

        return AllocateLarge(heap, sizeBytes, alignmentBytes < Address.PageSizeBytes ? Address.PageSizeBytes : alignmentBytes);
    }

    /// <summary>A run of pages that reads as zero or as anything.</summary>
    public static void* AllocateLarge(SizedHeap* heap, nuint sizeBytes, nuint alignmentBytes)
    {
        if (sizeBytes > SizeBytesMax)
        {
            return null;
        }

        Page* head = Zone.AllocateRun(&heap->Zone, Address.PagesFor(sizeBytes), alignmentBytes, Mobility.Movable);
        if (head == null)
        {
            return null;
        }

        head->Payload.RequestedBytes = sizeBytes;
        CountLarge(heap, 1, (long)sizeBytes, (long)head->Payload.Pages);
        return Zone.AddressOf(&heap->Zone, head);
    }

    // ------------------------------------------------------------------ free, the mirror

    /// <summary>Frees whatever starts at the address.</summary>
    public static Misuse Free(SizedHeap* heap, void* address)
    {
        if ((nuint)address <= ZeroSizePointer && (address == null || (nuint)address == ZeroSizePointer))
        {
            return Misuse.None;
        }

        Page* page = Zone.PageOf(&heap->Zone, address);
        if (page == null)
        {
            return IsZeroSizePointer(address) ? Misuse.None : Misuse.ForeignPointer;
        }

        if (page->Slot != 0)
        {
            Cache* cache = CacheRegistry.OfSlot(&heap->Registry, (nuint)page->Slot);
            Misuse misuse = CheckObject(page, address, cache);
            return misuse != Misuse.None ? misuse : Cache.Free(cache, address) ? Misuse.None : Misuse.AlreadyFree;
        }

        if (page->Kind == PageKind.Run && Address.IsAligned(address, Address.PageSizeBytes))
        {
            CountLarge(heap, -1, -(long)page->Payload.RequestedBytes, -(long)page->Payload.Pages);
            Zone.FreeRun(&heap->Zone, page);
            return Misuse.None;
        }

        return NameMistake(heap, page, address);
    }

    /// <summary>Frees an object of a given cache.</summary>
    public static Misuse FreeToCache(SizedHeap* heap, Cache* cache, void* address)
    {
        Page* page = Zone.PageOf(&heap->Zone, address);
        if (page == null)
        {
            return Misuse.ForeignPointer;
        }

        if (page->Slot != cache->Slot)
        {
            return page->Slot == 0 ? NameMistakeForObject(heap, page, address) : Misuse.WrongCache;
        }

        Misuse misuse = CheckObject(page, address, cache);
        return misuse != Misuse.None ? misuse : Cache.Free(cache, address) ? Misuse.None : Misuse.AlreadyFree;
    }

    /// <summary>Checks what <see cref="FreeToCache"/> checks and frees nothing: for bulk frees.</summary>
    public static Misuse CheckForCache(SizedHeap* heap, Cache* cache, void* address)
    {
        Page* page = Zone.PageOf(&heap->Zone, address);
        return page == null ? Misuse.ForeignPointer
            : page->Slot != cache->Slot ? page->Slot == 0 ? NameMistakeForObject(heap, page, address) : Misuse.WrongCache
            : CheckObject(page, address, cache);
    }

    /// <summary>
    /// Whether a free with this size can mean this allocation: it fits, and fills at least half of it, the alignment of the
    /// address counted in. A resize in place leaves at least half.
    /// </summary>
    public static Misuse CheckSize(SizedHeap* heap, void* address, nuint sizeBytes)
    {
        nuint usable = UsableSize(heap, address, out Misuse misuse);
        if (misuse != Misuse.None || (sizeBytes == 0 && usable == 0))
        {
            return misuse;
        }

        nuint alignment = (nuint)address & (~(nuint)address + 1);
        alignment = alignment < Address.PageSizeBytes ? alignment : Address.PageSizeBytes;
        bool plausible = sizeBytes != 0 && sizeBytes <= usable && RoundUp(heap, Address.AlignUp(sizeBytes, alignment)) >= usable / 2;
        return plausible ? Misuse.None : Misuse.WrongSize;
    }

    // ------------------------------------------------------------------ sizes

    /// <summary>Bytes that may be used at an address; 0 for the sentinel and for mistakes, which are named.</summary>
    public static nuint UsableSize(SizedHeap* heap, void* address, out Misuse misuse)
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

        if (page->Slot != 0)
        {
            Cache* cache = CacheRegistry.OfSlot(&heap->Registry, (nuint)page->Slot);
            misuse = CheckObject(page, address, cache);
            return misuse != Misuse.None ? 0
                : (cache->Flags & CacheFlags.SizeClass) != 0 ? cache->Slabs.Layout.StrideBytes
                : cache->Slabs.Layout.ObjectSizeBytes;
        }

        if (page->Kind == PageKind.Run && Address.IsAligned(address, Address.PageSizeBytes))
        {
            return (nuint)page->Payload.Pages << Address.PageShift;
        }

        misuse = NameMistake(heap, page, address);
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

    private static bool CreateClasses(SizedHeap* heap)
    {
        byte* name = stackalloc byte[Cache.NameBytesMax];
        for (int sizeClass = 0; sizeClass < SizeClasses.Count(heap->ClassSet); sizeClass++)
        {
            nuint size = SizeClasses.SizeOf(heap->ClassSet, sizeClass);
            CacheDefinition definition = new()
            {
                Layout = SlabLayout.Compute((uint)size, 0, heap->SlabRule, heap->Registry.CpuCount, false),
                Flags = CacheFlags.SizeClass,
                HasMagazines = true,
                Name = name,
                NameBytes = ClassName(name, heap->ClassSet, size),
            };
            Cache* cache = CacheRegistry.Create(&heap->Registry, &definition);
            if (cache == null)
            {
                return false;
            }

            Invariant.Check(cache->Index == CacheRegistry.FirstOrdinary + sizeClass);
        }

        return true;
    }

    /// <summary>Writes "kmalloc-64", and the kernel's "kmalloc-2k" in its own set; returns the length.</summary>
    private static int ClassName(byte* name, SizeClassSet set, nuint size)
    {
        int length = 0;
        for (ulong prefix = 0x2D_63_6F_6C_6C_61_6D_6B; prefix != 0; prefix >>= 8)
        {
            name[length++] = (byte)prefix;
        }

        bool kilo = set == SizeClassSet.Kernel && size >= 1024;
        nuint number = kilo ? size / 1024 : size;
        nuint divisor = 1;
        while (number / divisor >= 10)
        {
            divisor *= 10;
        }

        for (; divisor > 0; divisor /= 10)
        {
            name[length++] = (byte)('0' + ((number / divisor) % 10));
        }

        if (kilo)
        {
            name[length++] = (byte)'k';
        }

        return length;
    }

    private static void CountLarge(SizedHeap* heap, long count, long bytes, long pages)
    {
        _ = Atomic.Add(&heap->LargeCount, count);
        _ = Atomic.Add(&heap->LargeRequestedBytes, bytes);
        _ = Atomic.Add(&heap->LargePages, pages);
    }
}
