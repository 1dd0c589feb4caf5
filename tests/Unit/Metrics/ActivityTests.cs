using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using Xunit;

namespace Kmem.Tests.Unit.Metrics;

/// <summary>Spans of what takes long and a user called.</summary>
public sealed unsafe class ActivityTests
{
    [Fact]
    public void Long_calls_are_spans_and_short_ones_are_none()
    {
        List<Activity> spans = [];
        string name = $"spans-{Guid.NewGuid():N}";
        using ActivityListener listener = new()
        {
            ShouldListenTo = static source => source.Name == KmemMetrics.MeterName,
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = span =>
            {
                if (span.GetTagItem(KmemMetrics.HeapTag) as string == name)
                {
                    spans.Add(span);
                }
            },
        };
        ActivitySource.AddActivityListener(listener);
        KmemHeap heap = new(new KmemHeapOptions { Name = name, MaintenanceIntervalMilliseconds = 0 });
        heap.Free(heap.Alloc(100));
        _ = heap.Alloc(200);
        heap.Maintain();
        Assert.Empty(spans);
        nuint purged = heap.Trim();
        heap.Validate();
        _ = heap.FindLeaks();
        Assert.Equal(["kmem.trim", "kmem.validate", "kmem.find_leaks"], spans.Select(static span => span.OperationName));
        Assert.All(spans, static span => Assert.Equal(ActivityStatusCode.Unset, span.Status));
        Assert.Equal((long)purged, spans[0].GetTagItem("kmem.purged_bytes"));
        Assert.Equal(1L, spans[2].GetTagItem("kmem.live_objects"));
        heap.Dispose();
        Assert.Throws<ObjectDisposedException>(() => heap.Trim());
        Assert.Throws<ObjectDisposedException>(heap.Validate);
        Assert.Throws<ObjectDisposedException>(() => heap.FindLeaks());
        Assert.Equal(6, spans.Count);
        Assert.All(spans.Skip(3), static span => Assert.Equal((ActivityStatusCode.Error, "System.ObjectDisposedException"), (span.Status, span.GetTagItem("error.type") as string)));
    }

    [Fact]
    public void Without_a_listener_a_trim_allocates_nothing_managed()
    {
        using KmemHeap heap = new(new KmemHeapOptions { MaintenanceIntervalMilliseconds = 0 });
        _ = heap.Trim();
        (int exitCode, string output) = ChildTest.Run(nameof(Child_trims_without_a_listener));
        Assert.True(exitCode == 0, output);
    }

    [Fact(Explicit = true)]
    public void Child_trims_without_a_listener()
    {
        using KmemHeap heap = new(new KmemHeapOptions { MaintenanceIntervalMilliseconds = 0 });
        for (int times = 0; times < 3; times++)
        {
            _ = heap.Trim();
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        _ = heap.Trim();
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }
}
