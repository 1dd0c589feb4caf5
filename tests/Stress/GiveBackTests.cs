using System;
using System.Collections.Generic;
using System.Linq;
using Xunit;

namespace Kmem.Tests.Stress;

/// <summary>What a heap costs beside its objects, and what it gives back.</summary>
public sealed unsafe class GiveBackTests(ITestOutputHelper output)
{
    private const long WantedBytes = 64L << 20;

    public static TheoryData<KmemFrontEnd> FrontEnds => StormTests.FrontEnds;

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void Metadata_is_at_most_a_fortieth_of_what_is_committed_and_an_idle_heap_gives_the_rest_back(KmemFrontEnd frontEnd)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads the resident size from /proc");
        using KmemHeap heap = new(new KmemHeapOptions { FrontEnd = frontEnd, MaintenanceIntervalMilliseconds = 0 });
        List<nint> objects = [];
        Random random = new(1);
        long bytes = 0;
        nuint lowest = nuint.MaxValue;
        nuint highest = 0;
        while (bytes < WantedBytes)
        {
            int size = 16 + random.Next(4000);
            byte* memory = (byte*)heap.Alloc((nuint)size);
            new Span<byte>(memory, size).Fill(0xA5);
            objects.Add((nint)memory);
            bytes += size;
            lowest = nuint.Min(lowest, (nuint)memory);
            highest = nuint.Max(highest, (nuint)memory + (nuint)size);
        }

        KmemStatistics full = heap.GetStatistics();
        long residentFull = Linux.ResidentBytes(lowest, highest);
        output.WriteLine($"in use: committed {full.CommittedBytes}, metadata {full.MetadataBytes} ({100.0 * full.MetadataBytes / full.CommittedBytes:F2} %), resident {residentFull}");
        Assert.True(residentFull >= bytes, "the resident size does not cover the objects: the measurement is wrong");
        Assert.True(full.MetadataBytes * 40 <= full.CommittedBytes, $"metadata is {full.MetadataBytes} of {full.CommittedBytes} bytes");

        foreach (nint each in objects)
        {
            heap.Free((void*)each);
        }

        _ = heap.Trim();
        KmemStatistics idle = heap.GetStatistics();
        long residentIdle = Linux.ResidentBytes(lowest, highest);
        output.WriteLine($"idle: committed {idle.CommittedBytes}, of which metadata {idle.MetadataBytes}; resident {residentIdle}");
        Assert.Equal(idle.MetadataBytes, idle.CommittedBytes);
        Assert.True(residentIdle * 20 <= residentFull, $"{residentIdle} of {residentFull} bytes are still resident");
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void Maintenance_alone_gives_an_idle_heap_back(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = new(new KmemHeapOptions { FrontEnd = frontEnd, MaintenanceIntervalMilliseconds = 0, PurgeDelayMilliseconds = 0 });
        nint[] objects = [.. Enumerable.Range(0, 100_000).Select(_ => (nint)heap.Alloc(200))];
        foreach (nint each in objects)
        {
            heap.Free((void*)each);
        }

        ulong before = heap.GetStatistics().CommittedBytes;

        // Depots and slabs need two passes to prove idle, magazines of CPUs six, and what they give up one more.
        for (int pass = 0; pass < 10; pass++)
        {
            heap.Maintain();
        }

        KmemStatistics after = heap.GetStatistics();
        output.WriteLine($"committed {before} before, {after.CommittedBytes} after, of which metadata {after.MetadataBytes}");
        Assert.Equal(0, after.Caches.Where(cache => !cache.IsInternal).Sum(cache => cache.Slabs));
        Assert.True(after.CommittedBytes - after.MetadataBytes < before / 20);
    }
}
