using System;
using System.Diagnostics.Tracing;

namespace Kmem.Diagnostics;

/// <summary>
/// The dump of figures: one event for each heap, and after it one for each of its caches. <c>kmem slabinfo PID</c> asks for it. Fields are 64-bit numbers; the version goes up when
/// one changes its meaning, and new ones come last.
/// </summary>
internal sealed partial class KmemEventSource
{
    private const int SlabDumpVersion = 1;
    private const long SizeClassFlag = 1;
    private const long InternalFlag = 2;

    /// <summary>Heaps that are disposed meanwhile are left out.</summary>
    [NonEvent]
    private void DumpSlabs(string request)
    {
        KmemHeap[] heaps = HeapDirectory.All();
        int lines = 0;
        SlabDumpStarted(request, SlabDumpVersion, heaps.Length);
        foreach (KmemHeap heap in heaps)
        {
            HeapReading? reading = heap.TryRead();
            if (reading == null)
            {
                continue;
            }

            DumpFigures(request, reading.Statistics);
            foreach (KmemCacheStatistics cache in reading.Statistics.Caches)
            {
                DumpFigures(request, cache);
            }

            lines += 1 + reading.Statistics.Caches.Count;
        }

        SlabDumpEnded(request, lines);
    }

    [NonEvent]
    private void DumpFigures(string request, KmemStatistics heap) => HeapFigures(
        request,
        heap.HeapName,
        (long)heap.FrontEnd,
        (long)heap.RequestedBytes,
        (long)heap.SizeClassBytes,
        (long)heap.RoundingBytes,
        (long)heap.MagazineBytes,
        (long)heap.DepotBytes,
        (long)heap.FreeInSlabBytes,
        (long)heap.EmptySlabBytes,
        (long)heap.SlabTailBytes,
        (long)heap.FreePageBytes,
        (long)heap.MetadataBytes,
        (long)heap.CommittedBytes,
        (long)heap.ReservedBytes,
        heap.LargeAllocations,
        (long)heap.LargeRequestedBytes,
        heap.PagesInUse,
        heap.GuardPages,
        heap.Pages.FreePages,
        heap.Pages.ListedPages,
        heap.Pages.PurgedPages,
        heap.Pages.AllocatedPages,
        heap.Pages.TotalPages);

    [NonEvent]
    private void DumpFigures(string request, KmemCacheStatistics cache) => CacheFigures(
        request,
        cache.Name,
        (long)cache.ObjectSizeBytes,
        (long)cache.StrideBytes,
        (long)cache.AlignmentBytes,
        cache.Order,
        cache.ObjectsPerSlab,
        cache.LiveObjects,
        cache.TotalObjects,
        cache.MagazineObjects,
        cache.DepotObjects,
        cache.FreeObjects,
        cache.DamagedObjects,
        cache.Slabs,
        cache.FullSlabs,
        cache.PartialSlabs,
        cache.FreeSlabs,
        cache.MagazineCapacity,
        cache.AllocFromPrevious,
        cache.AllocFromDepot,
        cache.AllocFromSlab,
        cache.FreeToPrevious,
        cache.FreeToDepot,
        cache.FreeToSlab,
        cache.DepotWaits,
        cache.SlabsCreated,
        cache.SlabsDestroyed,
        (cache.IsSizeClass ? SizeClassFlag : 0) | (cache.IsInternal ? InternalFlag : 0),
        (long)cache.Checks);

    [Event(Ids.SlabDumpStarted, Level = EventLevel.Informational, Keywords = Keywords.Dump)]
    private unsafe void SlabDumpStarted(string request, int version, int heaps)
    {
        fixed (char* text = request)
        {
            EventData* data = stackalloc EventData[3];
            SetText(&data[0], text, request.Length);
            Set(&data[1], &version, sizeof(int));
            Set(&data[2], &heaps, sizeof(int));
            Write(Ids.SlabDumpStarted, 3, data);
        }
    }

    [Event(Ids.HeapFigures, Level = EventLevel.Informational, Keywords = Keywords.Dump, Version = SlabDumpVersion)]
    private void HeapFigures(
        string request,
        string name,
        long frontEnd,
        long requestedBytes,
        long sizeClassBytes,
        long roundingBytes,
        long magazineBytes,
        long depotBytes,
        long freeInSlabBytes,
        long emptySlabBytes,
        long slabTailBytes,
        long freePageBytes,
        long metadataBytes,
        long committedBytes,
        long reservedBytes,
        long largeAllocations,
        long largeRequestedBytes,
        long pagesInUse,
        long guardPages,
        long freePages,
        long listedPages,
        long purgedPages,
        long allocatedPages,
        long totalPages) => WriteNumbers(Ids.HeapFigures, request, name, [
            frontEnd, requestedBytes, sizeClassBytes, roundingBytes, magazineBytes, depotBytes, freeInSlabBytes, emptySlabBytes, slabTailBytes, freePageBytes, metadataBytes,
            committedBytes, reservedBytes, largeAllocations, largeRequestedBytes, pagesInUse, guardPages, freePages, listedPages, purgedPages, allocatedPages, totalPages]);

    /// <summary>Of the heap before it. <paramref name="flags"/>: 1 a size class, 2 one of Kmem's own.</summary>
    [Event(Ids.CacheFigures, Level = EventLevel.Informational, Keywords = Keywords.Dump, Version = SlabDumpVersion)]
    private void CacheFigures(
        string request,
        string name,
        long objectSizeBytes,
        long strideBytes,
        long alignmentBytes,
        long order,
        long objectsPerSlab,
        long liveObjects,
        long totalObjects,
        long magazineObjects,
        long depotObjects,
        long freeObjects,
        long damagedObjects,
        long slabs,
        long fullSlabs,
        long partialSlabs,
        long freeSlabs,
        long magazineCapacity,
        long allocFromPrevious,
        long allocFromDepot,
        long allocFromSlab,
        long freeToPrevious,
        long freeToDepot,
        long freeToSlab,
        long depotWaits,
        long slabsCreated,
        long slabsDestroyed,
        long flags,
        long checks) => WriteNumbers(Ids.CacheFigures, request, name, [
            objectSizeBytes, strideBytes, alignmentBytes, order, objectsPerSlab, liveObjects, totalObjects, magazineObjects, depotObjects, freeObjects, damagedObjects,
            slabs, fullSlabs, partialSlabs, freeSlabs, magazineCapacity, allocFromPrevious, allocFromDepot, allocFromSlab, freeToPrevious, freeToDepot, freeToSlab, depotWaits,
            slabsCreated, slabsDestroyed, flags, checks]);

    /// <summary><paramref name="lines"/>: events between the first and this one.</summary>
    [Event(Ids.SlabDumpEnded, Level = EventLevel.Informational, Keywords = Keywords.Dump)]
    private unsafe void SlabDumpEnded(string request, int lines)
    {
        fixed (char* text = request)
        {
            EventData* data = stackalloc EventData[2];
            SetText(&data[0], text, request.Length);
            Set(&data[1], &lines, sizeof(int));
            Write(Ids.SlabDumpEnded, 2, data);
        }
    }

    /// <summary>Two texts and then numbers.</summary>
    [NonEvent]
    private unsafe void WriteNumbers(int id, string request, string name, ReadOnlySpan<long> numbers)
    {
        fixed (char* text = request, ofName = name)
        {
            fixed (long* values = numbers)
            {
                EventData* data = stackalloc EventData[2 + numbers.Length];
                SetText(&data[0], text, request.Length);
                SetText(&data[1], ofName, name.Length);
                for (int index = 0; index < numbers.Length; index++)
                {
                    Set(&data[2 + index], values + index, sizeof(long));
                }

                Write(id, 2 + numbers.Length, data);
            }
        }
    }
}
