using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using Kmem.Engine.Caches;
using Kmem.Engine.Slabs;
using Xunit;

namespace Kmem.Tests.Unit.Checks;

/// <summary>A heap with checks, and the reports that were made of it.</summary>
internal sealed unsafe class CheckedHeap : IDisposable
{
    private static int s_count;

    private readonly List<KmemReport> _reports = [];

    public CheckedHeap(string letters, KmemMisusePolicy policy = KmemMisusePolicy.Throw, Action<KmemHeapOptions>? set = null)
    {
        KmemHeapOptions options = new()
        {
            Name = $"checked-{Interlocked.Increment(ref s_count)}",
            Debug = letters,
            MisusePolicy = policy,
            MaintenanceIntervalMilliseconds = 0,
            ReserveBytes = 1 << 30,
        };
        set?.Invoke(options);
        Heap = new KmemHeap(options);
        KmemReports.Reported += Note;
    }

    public KmemHeap Heap { get; }

    public KmemCache CreateCache(string name, int sizeBytes, KmemMisusePolicy? policy = null, Action<KmemCacheOptions>? set = null)
    {
        KmemCacheOptions options = new() { Heap = Heap, MisusePolicy = policy };
        set?.Invoke(options);
        return new KmemCache(name, (nuint)sizeBytes, options);
    }

    /// <summary>The layout that a live object of a checked cache has.</summary>
    public CheckedLayout LayoutOf(void* pointer)
    {
        Engine.Pages.Page* page = Engine.Pages.Zone.PageOf(&Heap.Core->Zone, pointer);
        Cache* twin = CacheRegistry.At(&Heap.Core->Registry, page->CacheIndex);
        Assert.True(twin->IsTwin);
        return twin->Checked;
    }

    /// <summary>What was reported since the last look.</summary>
    public KmemReport[] TakeReports()
    {
        lock (_reports)
        {
            KmemReport[] taken = [.. _reports];
            _reports.Clear();
            return taken;
        }
    }

    /// <summary>The one report since the last look.</summary>
    public KmemReport TakeReport()
    {
        KmemReport[] taken = TakeReports();
        Assert.True(taken.Length == 1, $"{taken.Length} reports:\n{string.Join('\n', taken.Select(static each => each.Text))}");
        return taken[0];
    }

    /// <summary>The call throws, and that is the only report.</summary>
    public KmemReport AssertThrows(Action call)
    {
        KmemMisuseException thrown = Assert.Throws<KmemMisuseException>(call);
        KmemReport report = TakeReport();
        Assert.Same(report, thrown.Report);
        Assert.Equal((report.Text, report.Misuse, report.Address), (thrown.Message, thrown.Misuse, thrown.Address));
        return report;
    }

    /// <summary>Nothing is damaged, and nothing was reported.</summary>
    public void AssertClean()
    {
        Heap.Validate();
        Assert.Empty(TakeReports());
    }

    public void Dispose()
    {
        KmemReports.Reported -= Note;
        Heap.Dispose();
    }

    private void Note(KmemReport report)
    {
        if (report.HeapName == Heap.Name)
        {
            lock (_reports)
            {
                _reports.Add(report);
            }
        }
    }
}
