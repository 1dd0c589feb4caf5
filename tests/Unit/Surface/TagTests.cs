using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using Xunit;

namespace Kmem.Tests.Unit.Surface;

/// <summary>Tags count exactly what goes through them.</summary>
public sealed unsafe class TagTests
{
    [Fact]
    public void A_tag_counts_objects_and_bytes_of_all_kinds_of_allocations()
    {
        using KmemHeap heap = SurfaceHeap.Make(KmemFrontEnd.TryLock);
        KmemTag tag = heap.Tag("parts");
        void*[] live = [tag.Alloc(60), tag.TryAlloc(100), tag.AllocZeroed(50_000), tag.Alloc(0)];
        Assert.Equal(new KmemTagStatistics("parts", 4, 64 + 112 + 53248, 4, 64 + 112 + 53248), tag.GetStatistics());
        live[0] = tag.Realloc(live[0], 1000);
        Assert.Equal(new KmemTagStatistics("parts", 4, 1024 + 112 + 53248, 5, 64 + 1024 + 112 + 53248), tag.GetStatistics());
        live[2] = tag.Realloc(live[2], 0);
        Assert.Equal(3, tag.GetStatistics().LiveObjects);
        tag.Free(live[0]);
        tag.Free(live[1]);
        tag.Free(live[3]);
        tag.Free(null);
        Assert.Equal(new KmemTagStatistics("parts", 0, 0, 5, 64 + 1024 + 112 + 53248), tag.GetStatistics());
    }

    [Fact]
    public void A_line_without_a_name_has_its_own_tag_and_a_name_has_one_in_its_heap()
    {
        using KmemHeap heap = SurfaceHeap.Make(KmemFrontEnd.TryLock);
        KmemTag[] tags = [.. Enumerable.Range(0, 3).Select(_ => heap.Tag())];
        KmemTag other = heap.Tag();
        Assert.Same(tags[0], tags[2]);
        Assert.NotSame(tags[0], other);
        Assert.StartsWith($"{nameof(A_line_without_a_name_has_its_own_tag_and_a_name_has_one_in_its_heap)} in TagTests.cs:", other.Name, StringComparison.Ordinal);
        Assert.Same(heap.Tag("named"), heap.Tag("named"));
    }

    [Fact]
    public void Freed_past_the_tag_it_stays_counted()
    {
        using KmemHeap heap = SurfaceHeap.Make(KmemFrontEnd.TryLock);
        KmemTag tag = heap.Tag("gone");
        heap.Free(tag.Alloc(64));
        Assert.Equal(1, tag.GetStatistics().LiveObjects);
        Assert.Equal("gone", Assert.Single(heap.GetProfile().Tags).Name);
        Assert.Contains("gone", heap.GetProfile().ToTable(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_wrong_free_counts_nothing()
    {
        using KmemHeap heap = SurfaceHeap.Make(KmemFrontEnd.TryLock);
        KmemTag tag = heap.Tag("wrong");
        void* memory = tag.Alloc(64);
        Assert.Throws<KmemMisuseException>(() => tag.Free((byte*)memory + 8));
        Assert.Equal(1, tag.GetStatistics().LiveObjects);
    }

    [Fact]
    public void With_checks_and_samples_the_bytes_still_balance()
    {
        using KmemHeap heap = ProfileTests.MakeHeap(KmemFrontEnd.TryLock, 1024);
        KmemTag tag = heap.Tag("checked");
        List<nint> live = [];
        for (int index = 0; index < 3000; index++)
        {
            if (index == 1500)
            {
                heap.SetChecks("FZPU");
            }

            live.Add((nint)tag.Alloc((nuint)(index % 500) + 1));
            live[^1] = (nint)tag.Realloc((void*)live[^1], (nuint)(index % 400) + 1);
        }

        live.ForEach(each => tag.Free((void*)each));
        KmemTagStatistics counts = tag.GetStatistics();
        Assert.Equal((0, 0, 6000), (counts.LiveObjects, counts.LiveBytes, counts.TotalObjects));
    }

    [Fact]
    public void Threads_count_together()
    {
        using KmemHeap heap = SurfaceHeap.Make(KmemFrontEnd.TryLock);
        KmemTag tag = heap.Tag("threads");
        Thread[] threads = [.. Enumerable.Range(0, 4).Select(_ => new Thread(() =>
        {
            for (int index = 0; index < 20_000; index++)
            {
                tag.Free(tag.Alloc(32));
            }

            tag.Alloc(32);
        }))];
        Array.ForEach(threads, each => each.Start());
        Array.ForEach(threads, each => each.Join());
        Assert.Equal(new KmemTagStatistics("threads", 4, 128, 80_004, 80_004 * 32), tag.GetStatistics());
    }
}
