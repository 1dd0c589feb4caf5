using Kmem.Engine.Caches;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;

namespace Kmem.Engine.Sized;

/// <summary>Where every byte of a heap is, at one moment: the parts sum up to what is committed.</summary>
internal unsafe struct HeapFigures
{
    /// <summary>Asked for: objects of caches, large allocations, blocks of pages.</summary>
    public ulong Requested;

    /// <summary>Live objects of size classes, rounding included: what was asked for is not kept.</summary>
    public ulong SizeClass;

    public ulong Rounding;
    public ulong Magazine;
    public ulong Depot;
    public ulong FreeInSlab;
    public ulong EmptySlab;
    public ulong SlabTail;

    /// <summary>Free pages that cost memory.</summary>
    public ulong FreePage;

    public ulong Metadata;
    public ulong Committed;
    public ulong Reserved;
    public ulong LargeRequested;
    public long LargeCount;
    public long UserPages;

    /// <summary>Pages of the pool of guarded objects that have no live one.</summary>
    public long GuardPages;
    public ZoneStatistics Zone;

    /// <summary>Adds one cache. Every cache is added once, and then <see cref="Finish"/> is called.</summary>
    public static void Add(HeapFigures* sum, Cache* cache, CacheFigures* figures)
    {
        ulong stride = figures->Layout.StrideBytes;
        ulong slabBytes = Order.Bytes(figures->Layout.Order);
        sum->Metadata += Bytes(figures->BitTablePages);
        if ((cache->Flags & CacheFlags.Internal) != 0)
        {
            sum->Metadata += (ulong)figures->Slabs * slabBytes;
            return;
        }

        ulong live = (ulong)figures->Live;
        if ((cache->Flags & CacheFlags.SizeClass) != 0)
        {
            sum->SizeClass += live * stride;
        }
        else
        {
            sum->Requested += live * figures->Layout.ObjectSizeBytes;
            sum->Rounding += live * (stride - figures->Layout.ObjectSizeBytes);
        }

        sum->Rounding += (ulong)figures->Damaged * stride;
        sum->Magazine += (ulong)figures->InMagazines * stride;
        sum->Depot += (ulong)figures->InDepot * stride;
        sum->FreeInSlab += (ulong)(figures->Free - (figures->FreeSlabs * figures->Layout.Objects)) * stride;
        sum->EmptySlab += (ulong)figures->FreeSlabs * slabBytes;
        sum->SlabTail += (ulong)(figures->Slabs - figures->FreeSlabs) * (slabBytes - (figures->Layout.Objects * stride));
    }

    /// <summary>Adds what is not in caches.</summary>
    public static void Finish(HeapFigures* sum, SizedHeap* heap)
    {
        Pages.Zone.ReadStatistics(&heap->Zone, &sum->Zone);
        sum->LargeCount = Atomic.Load(&heap->LargeCount);
        sum->LargeRequested = (ulong)Atomic.Load(&heap->LargeRequestedBytes);
        sum->UserPages = Atomic.Load(&heap->UserPages);
        sum->GuardPages = (long)(heap->Registry.Guards.PoolBytes >> Address.PageShift) - Atomic.Load(&heap->Registry.Guards.Live);
        sum->Requested += sum->LargeRequested + Bytes(sum->UserPages);
        sum->Rounding += Bytes(Atomic.Load(&heap->LargePages)) - sum->LargeRequested;
        sum->FreePage = Bytes(sum->Zone.FreePages + sum->Zone.ListedPages - sum->Zone.PurgedPages);
        ulong beside = sum->Zone.MemoryMapBytes + sum->Zone.MetadataBytes + CacheRegistry.CommittedBytes(&heap->Registry) + SizedHeap.ControlBytes;
        sum->Metadata += beside + Bytes(sum->GuardPages);
        sum->Committed = Bytes(sum->Zone.TotalPages - sum->Zone.PurgedPages) + beside;
        sum->Reserved = sum->Zone.ReservedBytes + sum->Zone.MetadataReservedBytes + CacheRegistry.ReservedBytes(&heap->Registry) + SizedHeap.ControlBytes;
    }

    private static ulong Bytes(long pages) => (ulong)pages << Address.PageShift;
}
