using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Threading;
using Kmem.Tests.Unit.Surface;
using Xunit;

namespace Kmem.Tests.Unit.Checks;

/// <summary>Objects on guarded pages, as long as nobody touches what he must not.</summary>
public sealed unsafe class GuardTests
{
    private const nuint Page = 4096;

    private static int s_made;
    private static int s_ended;

    [Theory]
    [InlineData(KmemFrontEnd.RestartableSequences)]
    [InlineData(KmemFrontEnd.TryLock)]
    public void With_the_letter_each_object_has_a_page_at_one_of_its_ends(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Make(frontEnd, "G");
        nuint[] sizes = [1, 8, 18, 64, 100, 1000, 2048, 4096];
        int left = 0;
        HashSet<nuint> pages = [];
        for (int round = 0; round < 12; round++)
        {
            foreach (nuint size in sizes)
            {
                nuint address = (nuint)heap.Alloc(size);
                nuint natural = heap.RoundUpSize(size) & (~heap.RoundUpSize(size) + 1);
                bool isLeft = address % Page == 0;
                Assert.True(pages.Add(address / Page), "a page is used twice");
                Assert.True(isLeft || Page - (address % Page) - size < natural, $"0x{address:x} of {size} bytes is at neither end");
                Assert.Equal(0u, address % natural);
                Assert.Equal(size, heap.UsableSize((void*)address));
                new Span<byte>((void*)address, (int)size).Fill(0xFF);
                left += isLeft && size != Page ? 1 : 0;
            }
        }

        Assert.InRange(left, 20, 64);
        heap.Validate();
        Ledger.AssertAddsUp(heap.GetStatistics());
        Assert.Equal(96, heap.GetGuardStatistics().LiveObjects);
    }

    [Fact]
    public void Between_objects_lie_pages_that_nobody_has()
    {
        using KmemHeap heap = Make(KmemFrontEnd.Auto, "G");
        nuint first = (nuint)heap.Alloc(64);
        nuint second = (nuint)heap.Alloc(64);
        Assert.Equal(2u, (second / Page) - (first / Page));
        Assert.Contains("in use", heap.Describe((void*)first), StringComparison.Ordinal);
        Assert.Contains("past the end of the guarded object", heap.Describe((void*)(first + 64)), StringComparison.Ordinal);
        Assert.Contains("before the guarded object", heap.Describe((void*)(second - 1)), StringComparison.Ordinal);
        Assert.Contains(nameof(Between_objects_lie_pages_that_nobody_has), heap.Describe((void*)(first + 3)), StringComparison.Ordinal);
        heap.Free((void*)first);
        Assert.Contains("freed; its page cannot be accessed", heap.Describe((void*)first), StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_too_large_or_too_much_is_allocated_as_ever()
    {
        using KmemHeap heap = Make(KmemFrontEnd.Auto, "G", guarded: 3);
        void* large = heap.Alloc(5000);
        Assert.DoesNotContain("guarded object", heap.Describe(large), StringComparison.Ordinal);
        List<nint> all = [];
        for (int index = 0; index < 10; index++)
        {
            all.Add((nint)heap.Alloc(64));
        }

        Assert.Equal(3, all.Count(each => heap.Describe((void*)each).Contains("guarded object", StringComparison.Ordinal)));
        KmemGuardStatistics statistics = heap.GetGuardStatistics();
        Assert.Equal((3L, 3L, 7L, 3), (statistics.LiveObjects, statistics.AllocatedObjects, statistics.SkippedObjects, statistics.MostObjects));
        foreach (nint each in all)
        {
            heap.Free((void*)each);
        }

        heap.Free(large);
        StatisticsAssert.NothingIsOut(heap.GetStatistics());
    }

    [Fact]
    public void A_freed_page_is_used_again_after_all_others()
    {
        using KmemHeap heap = Make(KmemFrontEnd.Auto, "G", guarded: 5);
        List<nuint> pages = [];
        for (int index = 0; index < 15; index++)
        {
            void* each = heap.Alloc(64);
            pages.Add((nuint)each / Page);
            heap.Free(each);
        }

        Assert.Equal(pages[..5], pages[5..10]);
        Assert.Equal(pages[..5], pages[10..]);
        Assert.Equal(5, pages.Distinct().Count());
    }

    [Fact]
    public void Mistakes_at_the_free_are_named()
    {
        using KmemHeap heap = Make(KmemFrontEnd.Auto, "G");
        using KmemCache cache = new("point", 48, new KmemCacheOptions { Heap = heap });
        using KmemCache other = new("line", 48, new KmemCacheOptions { Heap = heap });
        void* point = cache.Alloc();
        Assert.Equal(KmemMisuse.WrongCache, Assert.Throws<KmemMisuseException>(() => other.Free(point)).Misuse);
        Assert.Equal(KmemMisuse.InteriorPointer, Assert.Throws<KmemMisuseException>(() => heap.Free((byte*)point + 8)).Misuse);
        cache.Free(point);
        KmemMisuseException twice = Assert.Throws<KmemMisuseException>(() => cache.Free(point));
        Assert.Equal((KmemMisuse.AlreadyFree, "point"), (twice.Misuse, twice.Report!.CacheName));
        Assert.Contains(nameof(Mistakes_at_the_free_are_named), twice.Report.AllocatedBy[0], StringComparison.Ordinal);
        Assert.Contains(nameof(Mistakes_at_the_free_are_named), twice.Report.FreedBy[0], StringComparison.Ordinal);
        Assert.Equal(KmemMisuse.WrongKind, Assert.Throws<KmemMisuseException>(() => heap.Free((void*)(((nuint)point & ~(Page - 1)) - Page))).Misuse);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(60)]
    [InlineData(100)]
    [InlineData(4000)]
    public void Each_byte_of_the_page_outside_of_the_object_is_watched(int size)
    {
        using KmemHeap heap = Make(KmemFrontEnd.Auto, "G");
        for (nuint at = 0; at < Page; at++)
        {
            byte* pointer = (byte*)heap.Alloc((nuint)size);
            byte* bad = (byte*)((nuint)pointer & ~(Page - 1)) + at;
            if (bad >= pointer && bad < pointer + size)
            {
                heap.Free(pointer);
                continue;
            }

            *bad ^= 0x10;
            KmemReport report = Assert.Throws<KmemMisuseException>(() => heap.Free(pointer)).Report!;
            Assert.Equal(bad < pointer ? KmemMisuse.WrittenBefore : KmemMisuse.WrittenPast, report.Misuse);
            Assert.Equal(((nuint)bad, (nuint)1, (nuint)pointer), (report.BadAddress, report.BadBytes, report.Address));
            Assert.Equal(((byte)0xDC, (byte)0xCC, (nuint)size), (report.Found, report.Expected, report.RequestedBytes));
        }

        Assert.Equal(0, heap.GetGuardStatistics().LiveObjects);
        heap.Validate();
    }

    [Fact]
    public void Validate_finds_what_was_written_beside_a_live_object_once()
    {
        using KmemHeap heap = Make(KmemFrontEnd.Auto, "G");
        byte* pointer = (byte*)heap.Alloc(60);
        pointer[61] = 1;
        KmemMisuseException damage = Assert.Throws<KmemMisuseException>(heap.Validate);
        Assert.Equal((KmemMisuse.WrittenPast, (nuint)pointer + 61), (damage.Misuse, damage.Report!.BadAddress));
        heap.Validate();
        heap.Free(pointer);
    }

    [Fact]
    public void Constructors_and_destructors_run_for_each_object()
    {
        s_made = s_ended = 0;
        using KmemHeap heap = Make(KmemFrontEnd.Auto, "G");
        KmemCache cache = new("built", 32, new KmemCacheOptions { Heap = heap, Constructor = &Build, Destructor = &End });
        void* first = cache.Alloc();
        void* second = cache.Alloc();
        Assert.Equal((7L, 7L), (*(long*)first, *(long*)second));
        Assert.True(cache.TryAlloc() == null, "the constructor refuses the third");
        cache.Free(first);
        cache.Free(second);
        Assert.Equal((3, 2, 0L), (s_made, s_ended, heap.GetGuardStatistics().LiveObjects));
        cache.Dispose();
        Assert.Equal(2, s_ended);
    }

    private static bool Build(void* each, void* context)
    {
        *(long*)each = 7;
        return ++s_made != 3;
    }

    private static void End(void* each, void* context) => s_ended += *(long*)each == 7 ? 1 : 100;

    [Fact]
    public void A_resize_in_place_reddens_what_is_given_up()
    {
        using KmemHeap heap = Make(KmemFrontEnd.Auto, "G");
        byte* pointer = (byte*)heap.Alloc(64);
        SurfaceHeap.FillPattern(pointer, 64, 1);
        byte* smaller = (byte*)heap.Realloc(pointer, 50);
        Assert.Equal((nint)pointer, (nint)smaller);
        Assert.Equal(50u, heap.UsableSize(smaller));
        SurfaceHeap.AssertPattern(smaller, 50, 1);
        byte* larger = (byte*)heap.Realloc(smaller, 200);
        Assert.NotEqual((nint)smaller, (nint)larger);
        SurfaceHeap.AssertPattern(larger, 50, 1);
        larger = (byte*)heap.Realloc(larger, 190);
        larger[195] = 1;
        Assert.Equal((nuint)larger + 195, Assert.Throws<KmemMisuseException>(() => heap.Free(larger)).Report!.BadAddress);
    }

    [Fact]
    public void A_cache_with_live_guarded_objects_does_not_end()
    {
        using KmemHeap heap = Make(KmemFrontEnd.Auto, "G");
        KmemCache cache = new("held", 64, new KmemCacheOptions { Heap = heap });
        void* held = cache.Alloc();
        KmemMisuseException alive = Assert.Throws<KmemMisuseException>(cache.Dispose);
        Assert.Equal((KmemMisuse.LiveObjects, (nuint)held), (alive.Misuse, alive.Address));
        Assert.Contains(nameof(A_cache_with_live_guarded_objects_does_not_end), alive.Message, StringComparison.Ordinal);
        cache.Free(held);
        cache.Dispose();

        // Its pages are nobody's now, also when another cache has the same number.
        using KmemCache next = new("next", 64, new KmemCacheOptions { Heap = heap });
        void* other = next.Alloc();
        Assert.NotEqual((nint)held, (nint)other);
        Assert.Contains("that nobody has", heap.Describe(held), StringComparison.Ordinal);
        Assert.Equal(KmemMisuse.WrongKind, Assert.Throws<KmemMisuseException>(() => heap.Free(held)).Misuse);
        next.Free(other);
        heap.Validate();
    }

    [Fact]
    public void Leaks_of_guarded_objects_are_found_by_site()
    {
        using KmemHeap heap = Make(KmemFrontEnd.Auto, "G");
        void* kept = AllocKept(heap);
        KmemLeakReport leaks = heap.FindLeaks();
        Assert.Contains(leaks.Sites, static site => site.Objects == 1 && site.RequestedBytes == 77 && site.Stack[0].Contains(nameof(AllocKept), StringComparison.Ordinal));
        KmemLeakScope scope = heap.LeakScope("scope");
        void* lost = AllocKept(heap);
        KmemMisuseException leaked = Assert.Throws<KmemMisuseException>(scope.Dispose);
        Assert.Contains("1 live object(s) of 77 bytes", leaked.Message, StringComparison.Ordinal);
        heap.Free(kept);
        heap.Free(lost);
    }

    [Theory]
    [InlineData(KmemFrontEnd.RestartableSequences)]
    [InlineData(KmemFrontEnd.TryLock)]
    public void The_gate_lets_one_through_and_magazines_are_emptied_for_it(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Make(frontEnd, "");
        heap.Free(heap.Alloc(64));
        Assert.Equal(0, heap.GetGuardStatistics().AllocatedObjects);

        // What is in the magazine goes the inlined way: the gate stays open, until the next tick empties the magazine.
        heap.OpenGate();
        heap.Free(heap.Alloc(64));
        Assert.Equal(0, heap.GetGuardStatistics().AllocatedObjects);
        heap.OpenGate();
        void* guarded = heap.Alloc(64);
        void* next = heap.Alloc(64);
        Assert.Equal(1, heap.GetGuardStatistics().AllocatedObjects);
        Assert.Contains("guarded object", heap.Describe(guarded), StringComparison.Ordinal);
        Assert.DoesNotContain("guarded object", heap.Describe(next), StringComparison.Ordinal);
        heap.Free(guarded);
        heap.Free(next);
        heap.Validate();
        Ledger.AssertAddsUp(heap.GetStatistics());
    }

    [Fact]
    public void Every_cache_has_its_turn()
    {
        using KmemHeap heap = Make(KmemFrontEnd.Auto, "");
        KmemCache[] caches = [.. Enumerable.Range(0, 6).Select(index => new KmemCache($"turn-{index}", 64, new KmemCacheOptions { Heap = heap }))];
        HashSet<int> seen = [];
        for (int tick = 0; tick < 30; tick++)
        {
            heap.OpenGate();
            for (int index = 0; index < caches.Length; index++)
            {
                void* each = caches[index].Alloc();
                if (heap.Describe(each).Contains("guarded object", StringComparison.Ordinal))
                {
                    seen.Add(index);
                }

                // The next one is from a magazine, and stays there for the next round.
                caches[index].Free(caches[index].Alloc());
                caches[index].Free(each);
            }
        }

        Assert.Equal(6, seen.Count);
        Array.ForEach(caches, static cache => cache.Dispose());
    }

    [Fact]
    public void By_time_objects_are_guarded_now_and_then()
    {
        using KmemHeap heap = new(new KmemHeapOptions { Name = "timed", GuardIntervalMilliseconds = 5 });
        long until = Environment.TickCount64 + 30_000;
        while (heap.GetGuardStatistics().AllocatedObjects < 5 && Environment.TickCount64 < until)
        {
            heap.Free(heap.Alloc(64));
        }

        Assert.InRange(heap.GetGuardStatistics().AllocatedObjects, 5, int.MaxValue);
        heap.GuardIntervalMilliseconds = 0;
        Assert.Equal(0, heap.GuardIntervalMilliseconds);
    }

    [Theory]
    [InlineData(KmemFrontEnd.RestartableSequences)]
    [InlineData(KmemFrontEnd.TryLock)]
    public void Threads_beside_validation_and_open_gates_report_nothing(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Make(frontEnd, "G,kmalloc-64", guarded: 16);
        bool stop = false;
        Exception? failure = null;
        Thread[] threads = [.. Enumerable.Range(0, 3).Select(index => new Thread(() => Work(heap, index, ref stop, ref failure)))];
        Array.ForEach(threads, static thread => thread.Start());
        for (int round = 0; round < 200 && failure == null; round++)
        {
            heap.OpenGate();
            heap.Validate();
            _ = heap.FindLeaks();
            _ = heap.GetStatistics();
        }

        Volatile.Write(ref stop, true);
        Array.ForEach(threads, static thread => thread.Join());
        Assert.Null(failure);
        heap.Validate();
        Ledger.AssertAddsUp(heap.GetStatistics());
        StatisticsAssert.NothingIsOut(heap.GetStatistics());
        Assert.InRange(heap.GetGuardStatistics().AllocatedObjects, 100, long.MaxValue);
    }

    private static void Work(KmemHeap heap, int seed, ref bool stop, ref Exception? failure)
    {
        try
        {
            Random random = new(seed);
            List<(nint Address, int Bytes)> held = [];
            while (!Volatile.Read(ref stop))
            {
                int bytes = random.Next(1, 200);
                byte* each = (byte*)heap.Alloc((nuint)bytes);
                SurfaceHeap.FillPattern(each, (nuint)bytes, bytes);
                held.Add(((nint)each, bytes));
                if (held.Count > 20)
                {
                    int at = random.Next(held.Count);
                    SurfaceHeap.AssertPattern((void*)held[at].Address, (nuint)held[at].Bytes, held[at].Bytes);
                    heap.Free((void*)held[at].Address);
                    held.RemoveAt(at);
                }
            }

            held.ForEach(each => heap.Free((void*)each.Address));
        }
        catch (Exception exception)
        {
            failure = exception;
        }
    }

    [Fact]
    public void Settings_out_of_range_are_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new KmemHeap(new KmemHeapOptions { GuardIntervalMilliseconds = -1 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => new KmemHeap(new KmemHeapOptions { GuardedObjects = 0 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => new KmemHeap(new KmemHeapOptions { GuardedObjects = 4097 }));
        using KmemHeap heap = Make(KmemFrontEnd.Auto, "");
        Assert.Throws<ArgumentOutOfRangeException>(() => heap.GuardIntervalMilliseconds = -1);
    }

    [Fact]
    public void Whichever_call_of_the_system_fails_allocations_go_on()
    {
        for (long call = 0; ; call++)
        {
            using FailingOs os = new();
            using KmemHeap heap = new(new KmemHeapOptions { Name = "failing", MaintenanceIntervalMilliseconds = 0, GuardedObjects = 4, Debug = "" }, *os.Table);
            heap.Free(heap.Alloc(64));
            heap.SetChecks("kmalloc-64", KmemChecks.Guard);
            os.FailAt(call);
            List<nint> all = [];
            for (int index = 0; index < 6; index++)
            {
                all.Add((nint)heap.Alloc(64));
                heap.Free(heap.Alloc(64));
            }

            foreach (nint each in all)
            {
                heap.Free((void*)each);
            }

            heap.Validate();
            StatisticsAssert.NothingIsOut(heap.GetStatistics());
            if (os.Failures == 0)
            {
                Assert.True(call > 5, $"only {call} calls were made");
                return;
            }
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void* AllocKept(KmemHeap heap) => heap.Alloc(77);

    private static KmemHeap Make(KmemFrontEnd frontEnd, string debug, int guarded = 128) => SurfaceHeap.Make(frontEnd, options =>
    {
        options.Name = "fenced";
        options.Debug = debug;
        options.GuardedObjects = guarded;
        options.GuardIntervalMilliseconds = 0;
    });
}
