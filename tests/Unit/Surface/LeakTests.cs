using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Threading;
using Kmem.Diagnostics;
using Xunit;

namespace Kmem.Tests.Unit.Surface;

/// <summary>Live objects by who allocated them.</summary>
public sealed unsafe class LeakTests
{
    private const string Own = "own";

    [Fact]
    public void Sites_have_what_each_method_allocated_and_nobody_freed()
    {
        using KmemHeap heap = Make("U");
        List<nint> small = [.. Enumerable.Range(0, 30).Select(_ => AllocSmall(heap))];
        _ = AllocBig(heap);
        foreach (nint each in small.Take(10))
        {
            heap.Free((void*)each);
        }

        KmemLeakReport report = heap.FindLeaks();
        Assert.Equal(2, report.Sites.Count);
        KmemLeakSite first = report.Sites[0];
        Assert.Equal((20, 20 * 100), (first.Objects, first.RequestedBytes));
        Assert.Contains(nameof(AllocSmall), first.Stack[0], StringComparison.Ordinal);
        Assert.Contains(nameof(Sites_have_what_each_method_allocated_and_nobody_freed), string.Join('\n', first.Stack), StringComparison.Ordinal);
        Assert.Equal(["kmalloc-112"], first.CacheNames);
        Assert.Equal((1, 1000), (report.Sites[1].Objects, report.Sites[1].RequestedBytes));
        Assert.Equal((21, 3000), (report.Objects, report.RequestedBytes));
        Assert.True(first.OldestAge >= first.YoungestAge && first.OldestAge < TimeSpan.FromMinutes(10));
        Assert.Empty(report.Untracked);
        Assert.True(report.CachesWithUsers > 20);
    }

    [Fact]
    public void One_site_of_several_caches_is_one()
    {
        using KmemHeap heap = Make("U");
        for (int size = 50; size < 3000; size += 100)
        {
            _ = Alloc(heap, (nuint)size);
        }

        KmemLeakSite site = Assert.Single(heap.FindLeaks().Sites);
        Assert.Equal(30, site.Objects);
        Assert.Equal(Enumerable.Range(0, 30).Sum(static index => 50 + (100 * index)), site.RequestedBytes);
        Assert.True(site.CacheNames.Count > 10);
        Assert.Equal(site.CacheNames.Order(StringComparer.Ordinal), site.CacheNames);
    }

    [Fact]
    public void Two_callers_of_one_method_are_two_sites()
    {
        using KmemHeap heap = Make("FZPU");
        for (int times = 0; times < 5; times++)
        {
            _ = ByTheFirst(heap);
            for (int twice = 0; twice < 2; twice++)
            {
                _ = ByTheSecond(heap);
            }
        }

        KmemLeakReport report = heap.FindLeaks();
        Assert.Equal([10L, 5L], report.Sites.Select(static site => site.Objects));
        Assert.Contains(nameof(ByTheSecond), report.Sites[0].Stack[1], StringComparison.Ordinal);
    }

    [Fact]
    public void What_has_no_track_is_summed_up_by_cache()
    {
        using KmemHeap heap = Make("U,kmalloc-*");
        using KmemCache cache = new(Own, 72, new KmemCacheOptions { Heap = heap });
        void* first = cache.Alloc();
        void* second = cache.Alloc();
        heap.SetChecks("kmalloc-64", KmemChecks.None);
        void* third = heap.Alloc(64);
        void* fourth = heap.Alloc(100);
        void* large = heap.Alloc(500_000);
        void* pages = heap.Pages.Alloc(1);

        KmemLeakReport report = heap.FindLeaks();
        Assert.Equal(1, report.Objects);
        Assert.Equal(
            [new KmemUntrackedObjects("(large)", 1, 500_000), new("(pages)", 2, 8192), new(Own, 2, 144), new("kmalloc-64", 1, 64)],
            report.Untracked);
        Assert.Equal((6, 508_400), (report.UntrackedObjects, report.UntrackedBytes));
        Assert.Equal([new KmemUntrackedObjects(Own, 2, 144)], heap.FindLeaks(new KmemLeakOptions { CacheNames = "o*n" }).Untracked);
        cache.Free(first);
        cache.Free(second);
        heap.Free(third);
        heap.Free(fourth);
        heap.Free(large);
        heap.Pages.Free(pages, 1);
        Assert.Equal((0, 0), (heap.FindLeaks().Objects, heap.FindLeaks().UntrackedObjects));
    }

    [Fact]
    public void Zones_without_users_are_no_track()
    {
        using KmemHeap heap = Make("ZP");
        _ = heap.Alloc(100);
        KmemLeakReport report = heap.FindLeaks();
        Assert.Empty(report.Sites);
        Assert.Equal([new KmemUntrackedObjects("kmalloc-112", 1, 112)], report.Untracked);
        Assert.Equal(0, report.CachesWithUsers);
        Assert.Contains("No cache has the letter U", report.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Options_leave_out_what_is_young_rare_or_of_another_cache()
    {
        using KmemHeap heap = Make("U");
        _ = AllocBig(heap);
        for (int twice = 0; twice < 2; twice++)
        {
            _ = AllocSmall(heap);
        }

        KmemLeakReport rare = heap.FindLeaks(new KmemLeakOptions { LeastCount = 2 });
        Assert.Equal((2, 200, 1, 1000), (rare.Objects, rare.RequestedBytes, rare.LeftOutObjects, rare.LeftOutBytes));
        KmemLeakReport young = heap.FindLeaks(new KmemLeakOptions { LeastAge = TimeSpan.FromHours(1) });
        Assert.Equal((0, 3, 1200), (young.Objects, young.LeftOutObjects, young.LeftOutBytes));
        Assert.Contains("3 of 1,200 bytes", young.Text, StringComparison.Ordinal);
        KmemLeakReport other = heap.FindLeaks(new KmemLeakOptions { CacheNames = "kmalloc-1?2" });
        Assert.Equal((2, 0), (other.Objects, other.LeftOutObjects));
        Assert.Throws<ArgumentException>(() => heap.FindLeaks(new KmemLeakOptions { CacheNames = "" }));
    }

    [Fact]
    public void What_waits_to_go_to_its_slab_is_not_live()
    {
        using KmemHeap heap = Make("U");
        for (int times = 0; times < 100; times++)
        {
            heap.Free((void*)AllocSmall(heap));
        }

        Assert.Equal((0, 0), (heap.FindLeaks().Objects, heap.FindLeaks().UntrackedObjects));
    }

    [Fact]
    public void Other_threads_may_allocate_and_free_meanwhile()
    {
        using KmemHeap heap = Make("U");
        bool stop = false;
        _ = AllocBig(heap);
        Thread[] others = [.. Enumerable.Range(0, 2).Select(_ => new Thread(Churn))];
        foreach (Thread each in others)
        {
            each.Start();
        }

        try
        {
            for (int times = 0; times < 200; times++)
            {
                // An object that is freed and handed out again while its cache is walked may be met twice.
                KmemLeakReport report = heap.FindLeaks();
                KmemLeakSite big = Assert.Single(report.Sites, static site => site.Stack[0].Contains(nameof(AllocBig), StringComparison.Ordinal));
                Assert.Equal((1, 1000), (big.Objects, big.RequestedBytes));
            }
        }
        finally
        {
            Volatile.Write(ref stop, true);
            foreach (Thread each in others)
            {
                each.Join();
            }
        }

        Assert.Equal(1, heap.FindLeaks().Objects);

        void Churn()
        {
            nint[] held = new nint[50];
            while (!Volatile.Read(ref stop))
            {
                for (int index = 0; index < held.Length; index++)
                {
                    held[index] = AllocSmall(heap);
                }

                foreach (nint each in held)
                {
                    heap.Free((void*)each);
                }
            }
        }
    }

    [Fact]
    public void The_text_is_a_table_with_stacks()
    {
        using KmemHeap heap = Make("U,kmalloc-*");
        _ = AllocBig(heap);
        _ = heap.Alloc(100_000);
        string text = heap.FindLeaks().ToString();
        Assert.Matches(
            @"\ALive objects of the heap 'leaky': 1 of 1,000 bytes from 1 site; without tracks 1 of 100,000 bytes\.\n"
            + @" +objects +bytes +oldest +youngest  caches\n"
            + @" +1 +1,000 +\d+ ms +\d+ ms  kmalloc-1024\n"
            + @"    at Kmem\.Tests\.Unit\.Surface\.LeakTests\.AllocBig",
            text);
        Assert.Matches(@"Without tracks:\n +objects +bytes  cache\n +1 +100,000  \(large\)\z", text);
        Assert.DoesNotContain("AllocBig", heap.FindLeaks().Format(0), StringComparison.Ordinal);
    }

    [Fact]
    public void A_snapshot_minus_an_earlier_one_is_what_grew()
    {
        using KmemHeap heap = Make("U,kmalloc-*");
        nint gone = AllocBig(heap);
        _ = AllocSmall(heap);
        KmemLeakSnapshot earlier = heap.TakeLeakSnapshot();
        heap.Free((void*)gone);
        for (int times = 0; times < 7; times++)
        {
            _ = AllocSmall(heap);
        }

        _ = heap.Alloc(200_000);
        KmemLeakDifference difference = heap.TakeLeakSnapshot().Minus(earlier);
        Assert.Equal((6 + 1 - 1, (7 * 100) - 1000), (difference.Objects, difference.RequestedBytes));
        Assert.Equal((1, 200_000), (difference.UntrackedObjects, difference.UntrackedBytes));
        Assert.All(difference.Sites, static growth => Assert.Contains(nameof(AllocSmall), growth.Now.Stack[0], StringComparison.Ordinal));
        Assert.Equal(7, difference.Sites.Sum(static growth => growth.Objects));
        Assert.Equal(700, difference.Sites.Sum(static growth => growth.RequestedBytes));
        Assert.Matches(@"\AGrowth of the heap 'leaky' in [\d.]+ s: \+6 objects of -300 bytes; without tracks \+1 of \+200,000 bytes\.\n +grew by +bytes +now live  caches\n", difference.Text);
        Assert.Empty(earlier.Minus(earlier).Sites);
        Assert.Contains("No site grew", earlier.Minus(earlier).Text, StringComparison.Ordinal);
        Assert.Throws<ArgumentNullException>(() => earlier.Minus(null!));
    }

    [Fact]
    public void A_heap_that_was_disposed_has_no_leaks_to_tell_of()
    {
        KmemHeap heap = Make("U");
        heap.Dispose();
        Assert.Throws<ObjectDisposedException>(() => heap.FindLeaks());
        Assert.Throws<ObjectDisposedException>(() => heap.LeakScope("late"));
    }

    // ------------------------------------------------------------------ ends of caches and heaps

    [Fact]
    public void A_cache_that_ends_with_checked_objects_out_says_who_allocated_them()
    {
        using KmemHeap heap = Make("");
        KmemCache cache = new(Own, 40, new KmemCacheOptions { Heap = heap });
        void* before = cache.Alloc();
        cache.Checks = KmemChecks.All;
        void* during = FromCache(cache);
        void* also = FromCache(cache);
        cache.Checks = KmemChecks.None;
        KmemMisuseException refused = Assert.Throws<KmemMisuseException>(cache.Dispose);
        Assert.Equal(KmemMisuse.LiveObjects, refused.Misuse);
        Assert.Contains("3 live object(s) of 40 bytes", refused.Message, StringComparison.Ordinal);
        foreach (nint each in new[] { (nint)before, (nint)during, (nint)also })
        {
            Assert.Contains($"0x{each:x}", refused.Message, StringComparison.Ordinal);
        }

        Assert.Contains(nameof(FromCache), refused.Message, StringComparison.Ordinal);
        Assert.Contains(nameof(FromCache), refused.Report!.AllocatedBy[0], StringComparison.Ordinal);
        cache.Free(before);
        cache.Free(during);
        refused = Assert.Throws<KmemMisuseException>(cache.Dispose);
        Assert.Contains("1 live object(s)", refused.Message, StringComparison.Ordinal);
        Assert.Equal((nuint)also, refused.Address);
        cache.Free(also);
        cache.Dispose();
        heap.Validate();
    }

    [Fact]
    public void A_heap_reports_what_is_live_at_its_end_if_asked()
    {
        string name = $"ends-{Guid.NewGuid():N}";
        List<KmemReport> reports = [];
        void Keep(KmemReport report)
        {
            if (report.HeapName == name)
            {
                reports.Add(report);
            }
        }

        KmemReports.Reported += Keep;
        try
        {
            KmemHeapOptions options = new() { Name = name, Debug = "U", MaintenanceIntervalMilliseconds = 0 };
            using (KmemHeap silent = new(options))
            {
                _ = AllocBig(silent);
            }

            Assert.Empty(reports);
            options.ReportLeaksAtDispose = true;
            using (KmemHeap clean = new(options))
            {
                clean.Free((void*)AllocBig(clean));
            }

            Assert.Empty(reports);
            using (KmemHeap leaky = new(options))
            {
                _ = AllocBig(leaky);
                _ = leaky.Alloc(300_000);
            }
        }
        finally
        {
            KmemReports.Reported -= Keep;
        }

        KmemReport report = Assert.Single(reports);
        Assert.Equal((KmemMisuse.Leaked, "Dispose", 301_000u), (report.Misuse, report.Operation, report.RequestedBytes));
        Assert.Contains(nameof(AllocBig), report.Text, StringComparison.Ordinal);
        Assert.Contains("(large)", report.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Large_allocations_have_sites_too()
    {
        using KmemHeap heap = Make("U");
        nint held = AllocHuge(heap, 300_000);
        nint freed = AllocHuge(heap, 400_000);
        held = (nint)heap.Realloc((void*)held, 310_000);
        heap.Free((void*)freed);
        KmemLeakSite site = Assert.Single(heap.FindLeaks().Sites);
        Assert.Equal((1, 310_000), (site.Objects, site.RequestedBytes));
        Assert.Equal(["(large)"], site.CacheNames);
        Assert.Contains(nameof(AllocHuge), site.Stack[0], StringComparison.Ordinal);
        Assert.Contains(nameof(AllocHuge), heap.Describe((byte*)held + 5000), StringComparison.Ordinal);
        Assert.Empty(heap.FindLeaks(new KmemLeakOptions { CacheNames = "kmalloc-*" }).Sites);
        KmemLeakScope scope = heap.LeakScope("huge");
        freed = AllocHuge(heap, 500_000);
        Assert.Contains("1 live object(s) of 500000 bytes", Assert.Throws<KmemMisuseException>(scope.Dispose).Message, StringComparison.Ordinal);
        heap.Free((void*)freed);
        heap.Free((void*)held);
        Assert.Empty(heap.FindLeaks().Sites);
        Assert.Empty(heap.FindLeaks().Untracked);
    }

    [Fact]
    public void Large_allocations_are_untracked_without_the_letter()
    {
        using KmemHeap heap = Make("");
        nint before = AllocHuge(heap, 100_000);
        heap.SetChecks("U,(large)");
        nint tracked = AllocHuge(heap, 200_000);
        KmemLeakReport report = heap.FindLeaks();
        Assert.Equal(200_000, Assert.Single(report.Sites).RequestedBytes);
        Assert.Equal([new KmemUntrackedObjects("(large)", 1, 100_000)], report.Untracked);
        heap.SetChecks("");
        Assert.Empty(heap.FindLeaks().Sites);
        Assert.Equal([new KmemUntrackedObjects("(large)", 2, 300_000)], heap.FindLeaks().Untracked);
        heap.Free((void*)before);
        heap.Free((void*)tracked);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static nint AllocHuge(KmemHeap heap, nuint bytes) => (nint)heap.Alloc(bytes);

    // ------------------------------------------------------------------ statistics

    [Fact]
    public void Statistics_of_a_cache_count_its_checked_objects()
    {
        using KmemHeap heap = Make("");
        using KmemCache cache = new(Own, 40, new KmemCacheOptions { Heap = heap });
        void* before = cache.Alloc();
        cache.Checks = KmemChecks.All;
        void*[] during = [cache.Alloc(), cache.Alloc(), cache.Alloc()];
        cache.Free(during[2]);
        KmemCacheStatistics statistics = cache.GetStatistics();
        Assert.Equal((Own, 3, KmemChecks.All), (statistics.Name, statistics.LiveObjects, statistics.Checks));
        Assert.Equal(2, statistics.Slabs);
        Assert.Equal(statistics.TotalObjects, statistics.LiveObjects + statistics.MagazineObjects + statistics.DepotObjects + statistics.FreeObjects);
        cache.Checks = KmemChecks.Users;
        void* other = cache.Alloc();
        Assert.Equal(4, cache.GetStatistics().LiveObjects);
        cache.Checks = KmemChecks.None;
        Assert.Equal((4, KmemChecks.None), (cache.GetStatistics().LiveObjects, cache.GetStatistics().Checks));
        cache.Free(before);
        cache.Free(during[0]);
        cache.Free(during[1]);
        cache.Free(other);
        Assert.Equal(0, cache.GetStatistics().LiveObjects);
    }

    [Fact]
    public void Checked_objects_have_a_line_of_their_own_in_statistics_and_slabinfo()
    {
        using KmemHeap heap = Make("");
        _ = heap.Alloc(64);
        heap.SetChecks("kmalloc-64", KmemChecks.All);
        _ = heap.Alloc(64);
        _ = heap.Alloc(64);
        KmemStatistics statistics = heap.GetStatistics();
        StatisticsAssert.AddsUp(statistics);
        KmemCacheStatistics plain = statistics.Caches.Single(static cache => cache.Name == "kmalloc-64");
        KmemCacheStatistics twin = statistics.Caches.Single(static cache => cache.Name == "kmalloc-64(FZPU)");
        Assert.Equal((1, KmemChecks.None, true), (plain.LiveObjects, plain.Checks, plain.IsSizeClass));
        Assert.Equal((2, KmemChecks.All, false), (twin.LiveObjects, twin.Checks, twin.IsSizeClass));

        string[] lines = SlabInfoText.Format(statistics).Split('\n');
        string[] columns = Assert.Single(lines, static line => line.StartsWith("kmalloc-64(", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(16, columns.Length);
        Assert.Equal(("kmalloc-64(FZPU)", "2"), (columns[0], columns[1]));
    }

    internal static KmemHeap Make(string debug, KmemMisusePolicy policy = KmemMisusePolicy.Throw) =>
        new(new KmemHeapOptions { Name = "leaky", Debug = debug, MisusePolicy = policy, MaintenanceIntervalMilliseconds = 0 });

    [MethodImpl(MethodImplOptions.NoInlining)]
    internal static nint AllocSmall(KmemHeap heap) => Kept((nint)heap.Alloc(100));

    [MethodImpl(MethodImplOptions.NoInlining)]
    internal static nint AllocBig(KmemHeap heap) => Kept((nint)heap.Alloc(1000));

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static nint Alloc(KmemHeap heap, nuint bytes) => Kept((nint)heap.Alloc(bytes));

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static nint ByTheFirst(KmemHeap heap) => Kept(Alloc(heap, 64));

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static nint ByTheSecond(KmemHeap heap) => Kept(Alloc(heap, 64));

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void* FromCache(KmemCache cache) => (void*)Kept((nint)cache.Alloc());

    /// <summary>So that the call before it is no tail call, whose frame is not there.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static nint Kept(nint address) => address;
}
