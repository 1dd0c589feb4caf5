using System;
using System.Collections.Generic;
using System.Linq;
using Kmem.Tests.Unit.Surface;
using Xunit;

namespace Kmem.Tests.Unit.Checks;

/// <summary>Checks that are switched while objects are out.</summary>
public sealed unsafe class SwitchingTests
{
    private static readonly string[] s_letters = ["", "F", "Z", "P", "U", "FZPU", "G"];

    public static IEnumerable<TheoryDataRow<string, string>> Switches =>
        from before in s_letters from after in s_letters where before != after select new TheoryDataRow<string, string>(before, after);

    [Theory]
    [MemberData(nameof(Switches))]
    public void What_is_live_keeps_what_it_has_and_goes_where_it_came_from(string before, string after)
    {
        using KmemHeap heap = Make(before);
        using KmemCache cache = new("kept", 72, new KmemCacheOptions { Heap = heap });
        List<(nint Address, int Bytes)> held = [];
        for (int index = 0; index < 200; index++)
        {
            held.Add(((nint)heap.Alloc((nuint)(1 + index)), 1 + index));
            held.Add(((nint)cache.Alloc(), 72));
        }

        held.ForEach(static each => SurfaceHeap.FillPattern((void*)each.Address, (nuint)each.Bytes, each.Bytes));
        heap.SetChecks(after);
        for (int index = 0; index < 200; index++)
        {
            heap.Free(heap.Alloc((nuint)(1 + index)));
            cache.Free(cache.Alloc());
        }

        heap.Validate();
        for (int index = 0; index < held.Count; index++)
        {
            (nint address, int bytes) = held[index];
            SurfaceHeap.AssertPattern((void*)address, (nuint)bytes, bytes);
            if (index % 2 == 0)
            {
                heap.Free((void*)address);
            }
            else
            {
                cache.Free((void*)address);
            }
        }

        heap.Validate();
        Ledger.AssertAddsUp(heap.GetStatistics());
        StatisticsAssert.NothingIsOut(heap.GetStatistics());
    }

    [Fact]
    public void An_overrun_of_an_object_from_before_is_found_after_the_letters_are_off()
    {
        using KmemHeap heap = Make("Z");
        byte* pointer = (byte*)heap.Alloc(20);
        heap.SetChecks("");
        pointer[20] = 1;
        Assert.Equal(KmemMisuse.WrittenPast, Assert.Throws<KmemMisuseException>(() => heap.Free(pointer)).Misuse);
    }

    [Theory]
    [InlineData(KmemFrontEnd.RestartableSequences)]
    [InlineData(KmemFrontEnd.TryLock)]
    public void Caches_that_are_not_named_keep_their_magazines(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = SurfaceHeap.Make(frontEnd, static options => options.Debug = "");
        heap.Free(heap.Alloc(64));
        heap.Free(heap.Alloc(128));
        heap.SetChecks("FZPU,kmalloc-128");
        long before = Misses(heap, "kmalloc-64");
        for (int index = 0; index < 1000; index++)
        {
            heap.Free(heap.Alloc(64));
            heap.Free(heap.Alloc(128));
        }

        Assert.InRange(Misses(heap, "kmalloc-64") - before, 0, 20);
        Assert.InRange(Misses(heap, "kmalloc-128(FZPU)"), 1000, long.MaxValue);
    }

    [Fact]
    public void What_is_on_is_told_and_new_caches_have_it()
    {
        using KmemHeap heap = Make("ZU,kmalloc-*;P,new");
        using KmemCache made = new("new", 64, new KmemCacheOptions { Heap = heap });
        using KmemCache other = new("other", 64, new KmemCacheOptions { Heap = heap });
        Assert.Equal((KmemChecks.RedZones | KmemChecks.Users, KmemChecks.Poison, KmemChecks.None), (heap.GetChecks("kmalloc-64"), made.Checks, other.Checks));
        other.Checks = KmemChecks.All;
        Assert.Equal(KmemChecks.All, heap.GetChecks("other"));
        Assert.Equal(KmemChecks.All, other.GetStatistics().Checks);
        heap.SetChecks("G,later;-");
        Assert.Equal((KmemChecks.None, KmemChecks.None), (heap.GetChecks("kmalloc-64"), other.Checks));
        using KmemCache later = new("later", 64, new KmemCacheOptions { Heap = heap });
        Assert.Equal(KmemChecks.Guard, later.Checks);
        Assert.Throws<ArgumentException>(() => heap.GetChecks("nobody"));
        Assert.Throws<ArgumentException>(() => heap.SetChecks("FQ"));
        Assert.Throws<ArgumentOutOfRangeException>(() => other.Checks = (KmemChecks)64);
    }

    [Fact]
    public void What_shrank_step_by_step_is_freed_by_its_last_size()
    {
        using KmemHeap heap = Make("Z");
        void* pointer = heap.Alloc(1900);
        foreach (nuint bytes in new nuint[] { 1266, 844, 600 })
        {
            pointer = heap.Realloc(pointer, bytes);
        }

        heap.Free(pointer, 600);
    }

    [Fact]
    public void A_full_heap_gives_up_what_waits_before_it_is_out_of_memory()
    {
        const int Size = 8192;
        using KmemHeap heap = SurfaceHeap.Make(KmemFrontEnd.Auto, static options =>
        {
            options.Debug = "FZPU";
            options.ReserveBytes = 8 * SurfaceHeap.MiB;
            options.Growable = false;
        });
        List<nint> held = FillUp(heap, Size);
        int most = held.Count;
        Assert.InRange(most, 100, 2000);
        held.ForEach(each => heap.Free((void*)each));

        // All of it waits, and every byte can be had again, also by others.
        List<nint> again = FillUp(heap, Size);
        Assert.Equal(most, again.Count);
        again.ForEach(each => heap.Free((void*)each));
        Assert.InRange(FillUp(heap, 1000).Count, most, int.MaxValue);
    }

    [Fact]
    public void A_switch_without_memory_changes_nothing()
    {
        int refused = 0;
        for (long call = 0; ; call++)
        {
            using FailingOs os = new();
            using KmemHeap heap = new(new KmemHeapOptions { Name = "poor", Debug = "", MaintenanceIntervalMilliseconds = 0 }, *os.Table);
            List<KmemCache> caches = [.. Enumerable.Range(0, 70).Select(index => new KmemCache($"c{index}", 64, new KmemCacheOptions { Heap = heap }))];
            os.FailAllFrom(call);
            try
            {
                caches.ForEach(static cache => cache.Checks = KmemChecks.All);
            }
            catch (OutOfMemoryException)
            {
                refused++;
                Assert.Contains(caches, static cache => cache.Checks == KmemChecks.None);
            }

            bool failed = os.Failures != 0;
            os.FailNothing();
            foreach (KmemCache cache in caches)
            {
                cache.Free(cache.Alloc());
                cache.Dispose();
            }

            heap.Validate();
            if (!failed)
            {
                Assert.InRange(refused, 1, int.MaxValue);
                return;
            }
        }
    }

    private static List<nint> FillUp(KmemHeap heap, int size)
    {
        List<nint> held = [];
        for (void* each = heap.TryAlloc((nuint)size); each != null; each = heap.TryAlloc((nuint)size))
        {
            held.Add((nint)each);
        }

        return held;
    }

    private static long Misses(KmemHeap heap, string name) => heap.GetStatistics().Caches.Where(each => each.Name == name).Sum(static each => each.AllocMisses);

    private static KmemHeap Make(string debug) => SurfaceHeap.Make(KmemFrontEnd.Auto, options =>
    {
        options.Name = "switched";
        options.Debug = debug;
    });
}
