using System;
using System.Threading;
using Xunit;

namespace Kmem.Tests.Unit.Surface;

/// <summary>The heap's own timer can be stopped and started.</summary>
public sealed unsafe class MaintenanceIntervalTests
{
    [Fact]
    public void The_interval_is_what_the_options_said_and_may_change()
    {
        using KmemHeap heap = new(new KmemHeapOptions { MaintenanceIntervalMilliseconds = 60_000, PurgeDelayMilliseconds = 0 });
        Assert.Equal(60_000, heap.MaintenanceIntervalMilliseconds);
        heap.MaintenanceIntervalMilliseconds = 0;
        Assert.Equal(0, heap.MaintenanceIntervalMilliseconds);
        void* memory = heap.Alloc(64 << 20);
        new Span<byte>(memory, 64 << 20).Fill(1);
        heap.Free(memory);
        ulong before = heap.GetStatistics().CommittedBytes;
        heap.MaintenanceIntervalMilliseconds = 10;
        for (int turn = 0; heap.GetStatistics().CommittedBytes > before / 2; turn++)
        {
            Assert.True(turn < 1000, "maintenance never came");
            Thread.Sleep(10);
        }
    }

    [Fact]
    public void Bad_intervals_and_heaps_that_are_gone_are_refused()
    {
        KmemHeap heap = new();
        Assert.Throws<ArgumentOutOfRangeException>(() => heap.MaintenanceIntervalMilliseconds = -1);
        heap.Dispose();
        Assert.Throws<ObjectDisposedException>(() => heap.MaintenanceIntervalMilliseconds = 5);
        Assert.Throws<ArgumentOutOfRangeException>(() => new KmemHeap(new KmemHeapOptions { MaintenanceIntervalMilliseconds = -1 }));
    }
}
