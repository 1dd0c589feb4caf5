using System.Runtime;
using Kmem.Engine.Caches;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Sized;

namespace Kmem.Native;

/// <summary>What the heap holds, for <c>mallinfo2</c>, for <c>malloc_stats</c>, and in the format of Linux's <c>/proc/slabinfo</c>.</summary>
internal static unsafe class Statistics
{
    /// <summary>Committed bytes, large allocations, their bytes, live bytes, free bytes.</summary>
    [RuntimeExport("face_mallinfo")]
    private static void FillMallinfo(nuint* fields)
    {
        HeapFigures figures = default;
        if (ProcessHeap.Existing != null)
        {
            Read(&figures);
        }

        fields[0] = (nuint)figures.Committed;
        fields[1] = (nuint)figures.LargeCount;
        fields[2] = (nuint)figures.LargeRequested;
        fields[3] = (nuint)(figures.Requested + figures.SizeClass + figures.Rounding);
        fields[4] = fields[0] - fields[3];
    }

    [RuntimeExport("face_malloc_stats")]
    public static void WriteSummary(int descriptor)
    {
        if (ProcessHeap.Existing == null)
        {
            return;
        }

        HeapFigures figures = default;
        Read(&figures);
        TextLine line = default;
        WriteBytes(&line, descriptor, "committed", figures.Committed);
        WriteBytes(&line, descriptor, "live", figures.Requested + figures.SizeClass + figures.Rounding);
        WriteBytes(&line, descriptor, "in magazines of threads and CPUs", figures.Magazine);
        WriteBytes(&line, descriptor, "in depots", figures.Depot);
        WriteBytes(&line, descriptor, "free in slabs", figures.FreeInSlab + figures.SlabTail);
        WriteBytes(&line, descriptor, "empty slabs", figures.EmptySlab);
        WriteBytes(&line, descriptor, "free pages", figures.FreePage);
        WriteBytes(&line, descriptor, "metadata", figures.Metadata);
    }

    /// <summary>A line for each cache that has slabs.</summary>
    [RuntimeExport("face_slabinfo")]
    public static void WriteSlabInfo(int descriptor)
    {
        TextLine line = default;
        line.Add("slabinfo - version: 2.1");
        line.WriteTo(descriptor);
        line.Add("# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>");
        line.Add(" : tunables <limit> <batchcount> <sharedfactor>");
        line.Add(" : slabdata <active_slabs> <num_slabs> <sharedavail>");
        line.WriteTo(descriptor);
        SizedHeap* heap = ProcessHeap.Existing;
        if (heap == null)
        {
            return;
        }

        CacheRegistry* registry = &heap->Registry;
        RankedLock.Enter(&registry->ReaperLock, LockRank.Reaper);
        for (int index = 1; index < Atomic.Load(&registry->Count); index++)
        {
            Cache* cache = CacheRegistry.At(registry, index);
            if (cache->State == CacheState.Live)
            {
                WriteCache(&line, descriptor, cache);
            }
        }

        RankedLock.Exit(&registry->ReaperLock, LockRank.Reaper);
    }

    private static void WriteCache(TextLine* line, int descriptor, Cache* cache)
    {
        CacheFigures figures;
        CacheFigures.Read(cache, &figures);
        if (figures.Slabs == 0 && (cache->Flags & (CacheFlags.SizeClass | CacheFlags.Internal)) != 0)
        {
            return;
        }

        if ((cache->Flags & CacheFlags.Internal) != 0)
        {
            line->Add("magazine-");
            line->Add(figures.Layout.ObjectSizeBytes);
        }
        else
        {
            line->AddName(cache->Name);
        }

        line->PadTo(17);
        line->Add(" ");
        line->Add((ulong)figures.Live, 6);
        line->Add(" ");
        line->Add((ulong)figures.Total, 6);
        line->Add(" ");
        line->Add(figures.Layout.StrideBytes, 6);
        line->Add(" ");
        line->Add(figures.Layout.Objects, 4);
        line->Add(" ");
        line->Add(Order.Pages(figures.Layout.Order), 4);
        line->Add(" : tunables    0    0    0 : slabdata ");
        line->Add((ulong)(figures.Slabs - figures.FreeSlabs), 6);
        line->Add(" ");
        line->Add((ulong)figures.Slabs, 6);
        line->Add("      0");
        line->WriteTo(descriptor);
    }

    private static void WriteBytes(TextLine* line, int descriptor, string what, ulong bytes)
    {
        line->Add("kmem: ");
        line->Add(what);
        line->PadTo(40);
        line->Add(bytes, 16);
        line->Add(" bytes");
        line->WriteTo(descriptor);
    }

    private static void Read(HeapFigures* figures)
    {
        SizedHeap* heap = ProcessHeap.Existing;
        CacheRegistry* registry = &heap->Registry;
        RankedLock.Enter(&registry->ReaperLock, LockRank.Reaper);
        for (int index = 1; index < Atomic.Load(&registry->Count); index++)
        {
            Cache* cache = CacheRegistry.At(registry, index);
            if (cache->State == CacheState.Live)
            {
                CacheFigures each;
                CacheFigures.Read(cache, &each);
                HeapFigures.Add(figures, cache, &each);
            }
        }

        HeapFigures.Finish(figures, heap);
        RankedLock.Exit(&registry->ReaperLock, LockRank.Reaper);
    }
}
