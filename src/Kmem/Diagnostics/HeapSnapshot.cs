using System.Collections.Generic;
using Kmem.Engine.Caches;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Sized;
using Kmem.Engine.Slabs;

namespace Kmem.Diagnostics;

/// <summary>
/// Reads the figures of a heap. Nothing was counted for them on the fast path: live objects follow from slabs, fronts, slots and depots.
/// </summary>
internal static unsafe class HeapSnapshot
{
    public static KmemStatistics Take(KmemHeap heap)
    {
        SizedHeap* core = heap.Core;
        CacheRegistry* registry = &core->Registry;
        List<KmemCacheStatistics> ordinary = [];
        List<KmemCacheStatistics> ofMagazines = [];
        ByteSplit split = default;

        RankedLock.Enter(&registry->ReaperLock, LockRank.Reaper);
        for (int index = 1; index < Atomic.Load(&registry->Count); index++)
        {
            Cache* cache = CacheRegistry.At(registry, index);
            if (cache->State == CacheState.Live)
            {
                KmemCacheStatistics statistics = OfCache(heap, cache);
                (statistics.IsInternal ? ofMagazines : ordinary).Add(statistics);
                split.Add(statistics, cache->Slabs.BitTablePages);
            }
        }

        ZoneStatistics zone;
        Zone.ReadStatistics(&core->Zone, &zone);
        ulong largeRequested = (ulong)Atomic.Load(&core->LargeRequestedBytes);
        ulong largePages = (ulong)Atomic.Load(&core->LargePages);
        long userPages = Atomic.Load(&core->UserPages);
        RankedLock.Exit(&registry->ReaperLock, LockRank.Reaper);

        ordinary.AddRange(ofMagazines);
        ulong requested = split.Requested + largeRequested + Bytes(userPages);
        ulong rounding = split.Rounding + Bytes((long)largePages) - largeRequested;
        ulong freePages = Bytes(zone.FreePages + zone.ListedPages - zone.PurgedPages);
        ulong metadata = split.Metadata + zone.MemoryMapBytes + zone.MetadataBytes
            + CacheRegistry.CommittedBytes(registry) + SizedHeap.ControlBytes;
        return new KmemStatistics
        {
            HeapName = heap.Name,
            RequestedBytes = requested,
            SizeClassBytes = split.SizeClass,
            RoundingBytes = rounding,
            MagazineBytes = split.Magazine,
            DepotBytes = split.Depot,
            FreeInSlabBytes = split.FreeInSlab,
            EmptySlabBytes = split.EmptySlab,
            SlabTailBytes = split.SlabTail,
            FreePageBytes = freePages,
            MetadataBytes = metadata,
            CommittedBytes = Bytes(zone.TotalPages - zone.PurgedPages) + metadata - split.Metadata,
            ReservedBytes = zone.ReservedBytes + zone.MetadataReservedBytes + CacheRegistry.ReservedBytes(registry) + SizedHeap.ControlBytes,
            LargeAllocations = Atomic.Load(&core->LargeCount),
            LargeRequestedBytes = largeRequested,
            PagesInUse = userPages,
            FrontEnd = heap.FrontEnd,
            Pages = PageStatisticsReader.Convert(&zone),
            Caches = ordinary,
        };
    }

    public static KmemCacheStatistics OfCache(KmemHeap heap, Cache* cache)
    {
        // Before the lock of the slabs: an owner that changes magazines holds its front's lock and waits for that of the slabs.
        long inFronts = ThreadFronts.CountRounds(cache);
        RankedLock.Enter(&cache->Slabs.Lock, LockRank.Slabs);
        SlabLists slabs = cache->Slabs;
        long inMagazines = inFronts + Cache.CountInMagazines(cache);
        long inDepot = Cache.CountInDepot(cache);
        RankedLock.Exit(&cache->Slabs.Lock, LockRank.Slabs);

        long total = slabs.Slabs * slabs.Layout.Objects;
        CpuSlot sum = default;
        for (int cpu = 0; cpu < cache->Registry->CpuCount; cpu++)
        {
            CpuSlot* slot = Cache.CpuSlotOf(cache, cpu);
            sum.AllocFromPrevious += slot->AllocFromPrevious;
            sum.AllocFromDepot += slot->AllocFromDepot;
            sum.AllocFromSlab += slot->AllocFromSlab;
            sum.FreeToPrevious += slot->FreeToPrevious;
            sum.FreeToDepot += slot->FreeToDepot;
            sum.FreeToSlab += slot->FreeToSlab;
        }

        long directAllocs = Atomic.Load(&cache->DirectAllocs);
        long directFrees = Atomic.Load(&cache->DirectFrees);
        long fromDepot = Atomic.Load(&cache->FrontsFromDepot);
        long fromSlabs = Atomic.Load(&cache->FrontsFromSlabs);
        long toDepot = Atomic.Load(&cache->FrontsToDepot);
        long toSlabs = Atomic.Load(&cache->FrontsToSlabs);
        return new KmemCacheStatistics
        {
            Name = AddressDescription.NameOf(cache),
            ObjectSizeBytes = slabs.Layout.ObjectSizeBytes,
            StrideBytes = slabs.Layout.StrideBytes,
            AlignmentBytes = slabs.Layout.AlignmentBytes,
            Order = slabs.Layout.Order,
            ObjectsPerSlab = (int)slabs.Layout.Objects,
            LiveObjects = long.Max(0, total - slabs.FreeObjects - inMagazines - inDepot),
            TotalObjects = total,
            MagazineObjects = inMagazines,
            DepotObjects = inDepot,
            FreeObjects = slabs.FreeObjects,
            Slabs = slabs.Slabs,
            FullSlabs = slabs.FullSlabs,
            PartialSlabs = slabs.PartialSlabs,
            FreeSlabs = slabs.FreeSlabs,
            MagazineCapacity = cache->Capacity,
            AllocMisses = sum.AllocFromPrevious + sum.AllocFromDepot + sum.AllocFromSlab + directAllocs + fromDepot + fromSlabs,
            AllocFromPrevious = sum.AllocFromPrevious,
            AllocFromDepot = sum.AllocFromDepot + fromDepot,
            AllocFromSlab = sum.AllocFromSlab + directAllocs + fromSlabs,
            FreeMisses = sum.FreeToPrevious + sum.FreeToDepot + sum.FreeToSlab + directFrees + toDepot + toSlabs,
            FreeToPrevious = sum.FreeToPrevious,
            FreeToDepot = sum.FreeToDepot + toDepot,
            FreeToSlab = sum.FreeToSlab + directFrees + toSlabs,
            DepotWaits = Atomic.Load(&cache->Depot.Contended),
            SlabsCreated = slabs.SlabsCreated,
            SlabsDestroyed = slabs.SlabsDestroyed,
            IsSizeClass = (cache->Flags & CacheFlags.SizeClass) != 0,
            IsInternal = (cache->Flags & CacheFlags.Internal) != 0,
        };
    }

    private static ulong Bytes(long pages) => (ulong)pages << Address.PageShift;

    /// <summary>The parts that caches contribute.</summary>
    private struct ByteSplit
    {
        public ulong Requested;
        public ulong SizeClass;
        public ulong Rounding;
        public ulong Magazine;
        public ulong Depot;
        public ulong FreeInSlab;
        public ulong EmptySlab;
        public ulong SlabTail;
        public ulong Metadata;

        public void Add(KmemCacheStatistics cache, long bitTablePages)
        {
            ulong slabBytes = Order.Bytes(cache.Order);
            ulong tail = slabBytes - ((ulong)cache.ObjectsPerSlab * cache.StrideBytes);
            Metadata += Bytes(bitTablePages);
            if (cache.IsInternal)
            {
                Metadata += (ulong)cache.Slabs * slabBytes;
                return;
            }

            ulong live = (ulong)cache.LiveObjects;
            if (cache.IsSizeClass)
            {
                SizeClass += live * cache.StrideBytes;
            }
            else
            {
                Requested += live * cache.ObjectSizeBytes;
                Rounding += live * (cache.StrideBytes - cache.ObjectSizeBytes);
            }

            Magazine += (ulong)cache.MagazineObjects * cache.StrideBytes;
            Depot += (ulong)cache.DepotObjects * cache.StrideBytes;
            FreeInSlab += (ulong)(cache.FreeObjects - (cache.FreeSlabs * cache.ObjectsPerSlab)) * cache.StrideBytes;
            EmptySlab += (ulong)cache.FreeSlabs * slabBytes;
            SlabTail += (ulong)(cache.Slabs - cache.FreeSlabs) * tail;
        }
    }
}
