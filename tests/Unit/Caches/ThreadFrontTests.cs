using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using System.Threading;
using Kmem.Engine;
using Kmem.Engine.Caches;
using Kmem.Engine.Primitives;
using Xunit;

namespace Kmem.Tests.Unit.Caches;

/// <summary>One front, or a few, by their pointers: whose turn it is, is what the test says.</summary>
public sealed unsafe class ThreadFrontTests
{
    [Fact]
    public void The_parts_of_a_front_do_not_overlap()
    {
        Assert.Equal(ThreadFront.SizeBytes, sizeof(ThreadFront));
        Assert.True(ThreadFront.EntriesOffset + (ThreadFront.EntryCount * 8) <= ThreadFront.PreviousOffset);
        Assert.Equal(ThreadFront.EntriesOffset, ThreadFront.RememberedOffset + (ThreadFront.RememberedCount * 8));
        Assert.True(sizeof(nuint) * 7 <= ThreadFront.RememberedOffset);
        Assert.True(ThreadFront.PreviousOffset + (ThreadFront.EntryCount * 8) <= ThreadFront.SizeBytes);
        Assert.Equal(ThreadFront.StateOffset, (int)Marshal.OffsetOf<ThreadFront>(nameof(ThreadFront.State)));
    }

    [Fact]
    public void A_new_front_is_empty_and_full_at_once_in_every_entry()
    {
        using TestFronts fronts = new();
        ThreadFront* front = fronts.Create();
        for (nuint entry = 0; entry < (nuint)fronts.Registry->Count; entry++)
        {
            Assert.False(ThreadFront.TryPop(front, ThreadFront.EntryOf(front, entry), out _));
            Assert.False(ThreadFront.TryPush(front, ThreadFront.EntryOf(front, entry), (void*)0x1000));
        }

        Assert.Equal(0u, front->Busy);
        Assert.True(ThreadFront.IsValid(front, fronts.Cache));
        Assert.Equal(0, ThreadFront.CountRounds(front, fronts.Cache));
    }

    [Theory]
    [InlineData(2)]
    [InlineData(13)]
    [InlineData(253)]
    public void Whatever_goes_out_comes_back_and_every_object_is_handed_out_once(int capacity)
    {
        using TestFronts fronts = new(capacity: capacity);
        ThreadFront* front = fronts.Create();
        for (int round = 0; round < 3; round++)
        {
            List<nint> objects = fronts.AllocateMany(front, (4 * capacity) + 7);
            Assert.Equal(objects.Count, objects.Distinct().Count());
            Assert.Equal(objects.Count, fronts.Live);
            fronts.AssertValid();
            fronts.FreeMany(front, objects);
            Assert.Equal(0, fronts.Live);
            fronts.AssertValid();
        }

        fronts.AssertEmptyAfterDrain();
    }

    [Fact]
    public void To_and_fro_over_a_magazines_edge_stays_in_the_front()
    {
        const int Capacity = 13;
        using TestFronts fronts = new(capacity: Capacity);
        ThreadFront* front = fronts.Create();
        List<nint> held = [];
        for (int start = 0; start < 3 * Capacity; start++)
        {
            held.AddRange(fronts.AllocateMany(front, 1));
            long visits = fronts.Cache->FrontsFromDepot + fronts.Cache->FrontsFromSlabs + fronts.Cache->FrontsToDepot + fronts.Cache->FrontsToSlabs;
            for (int turn = 0; turn < 100; turn++)
            {
                fronts.FreeMany(front, fronts.AllocateMany(front, 2).AsEnumerable().Reverse());
            }

            visits = fronts.Cache->FrontsFromDepot + fronts.Cache->FrontsFromSlabs + fronts.Cache->FrontsToDepot + fronts.Cache->FrontsToSlabs - visits;
            Assert.True(visits <= 2, $"{visits} visits below the front in 400 operations");
        }

        fronts.FreeMany(front, held);
        fronts.AssertEmptyAfterDrain();
    }

    [Fact]
    public void A_front_that_is_only_freed_to_and_one_that_is_only_allocated_from_exchange_whole_magazines()
    {
        using TestFronts fronts = new(capacity: 29);
        ThreadFront* maker = fronts.Create();
        ThreadFront* eater = fronts.Create();
        for (int round = 0; round < 100; round++)
        {
            fronts.FreeMany(eater, fronts.AllocateMany(maker, 50));
            Assert.Equal(0, fronts.Live);
        }

        Assert.True(fronts.Cache->Slabs.Slabs * fronts.Cache->Slabs.Layout.Objects < 1000, "objects come round");
        fronts.AssertEmptyAfterDrain();
    }

    [Fact]
    public void Magazines_of_every_capacity_mix_in_one_front()
    {
        using TestFronts fronts = new();
        ThreadFront* front = fronts.Create();
        int[] capacities = [253, 2, 29, 8, 125, 4, 13, 61];
        List<nint> objects = [];
        foreach (int capacity in capacities)
        {
            (fronts.Cache->Capacity, fronts.Cache->CapacityLeast, fronts.Cache->CapacityMost) = (capacity, capacity, capacity);
            objects.AddRange(fronts.AllocateMany(front, 300));
            fronts.FreeMany(front, objects[100..]);
            objects.RemoveRange(100, objects.Count - 100);
            fronts.AssertValid();
            Assert.Equal(objects.Count, fronts.Live);
        }

        fronts.FreeMany(front, objects);
        fronts.AssertEmptyAfterDrain();
    }

    [Fact]
    public void A_round_that_is_on_top_is_freed_twice_and_a_deeper_one_is_found_when_it_reaches_its_slab()
    {
        using TestFronts fronts = new();
        ThreadFront* front = fronts.Create();
        List<nint> objects = fronts.AllocateMany(front, 2);
        fronts.FreeMany(front, objects);
        Assert.False(fronts.Free(front, (void*)objects[1], out bool isTwice));
        Assert.True(isTwice);
        Assert.True(fronts.Free(front, (void*)objects[0], out isTwice));
        Assert.False(isTwice);
        ThreadFront.Drain(front, fronts.Cache, 0);
        Assert.Equal((1, (ulong)objects[0]), (fronts.Registry->DoubleFrees, fronts.Registry->FirstDoubleFree));
        fronts.AssertValid();
    }

    [Fact]
    public void Others_find_an_object_wherever_in_a_front_it_is()
    {
        using TestFronts fronts = new(capacity: 8);
        ThreadFront* front = fronts.Create();
        List<nint> objects = fronts.AllocateMany(front, 12);
        Assert.All(objects, each => Assert.False(ThreadFronts.Contain(fronts.Cache, (nuint)each)));
        fronts.FreeMany(front, objects);
        Assert.Equal(12, objects.Count(each => ThreadFronts.Contain(fronts.Cache, (nuint)each)));
        fronts.AssertEmptyAfterDrain();
        Assert.All(objects, each => Assert.False(ThreadFronts.Contain(fronts.Cache, (nuint)each)));
    }

    [Fact]
    public void While_somebody_looks_the_owner_takes_other_ways_and_loses_nothing()
    {
        using TestFronts fronts = new();
        ThreadFront* front = fronts.Create();
        List<nint> objects = fronts.AllocateMany(front, 1);
        ThreadFront.Drain(front, fronts.Cache, 0);
        Assert.True(RankedLock.TryEnter(&front->Lock, LockRank.ThreadFront));
        Assert.Equal(0u, ThreadFront.AllocateSlow(front, fronts.Cache));
        Assert.False(ThreadFront.FreeSlow(front, fronts.Cache, (void*)objects[0], out bool isTwice));
        Assert.False(isTwice);
        RankedLock.Exit(&front->Lock, LockRank.ThreadFront);
        fronts.FreeMany(front, objects);
        fronts.AssertEmptyAfterDrain();
    }

    /// <summary>
    /// A drain may take the CPU's word between the compare and the store of the sequence that exchanges it; then it knows only by what it finds there
    /// that the magazine has gone. Storms show the damage: FrontStormTests.
    /// </summary>
    [Fact]
    public void A_CPUs_magazine_is_taken_for_another_one_and_never_for_nothing() => OneCpu.Run(() =>
    {
        using TestFronts fronts = new(capacity: 13);
        ThreadFront* front = fronts.Create();
        Magazine* magazine = CacheRegistry.AllocateMagazine(fronts.Registry, 13, 0);
        List<nint> objects = fronts.AllocateMany(front, 3);
        ThreadFront.Drain(front, fronts.Cache, 0);
        (Magazine.RoundsOf(magazine)[0], Magazine.RoundsOf(magazine)[1]) = ((nuint)objects[0], (nuint)objects[1]);
        ulong* word = Cache.WordOf(fronts.Cache, CacheRegistry.CurrentCpu(fronts.Registry));
        Atomic.Store(word, new SlotWord(magazine, 2).Value);

        nint first = (nint)fronts.Allocate(front);
        Assert.DoesNotContain(first, objects[..2]);
        Assert.Equal(new SlotWord(magazine, 2).Value, Atomic.Load(word));

        // What is left of the magazine that it has now goes out; then it gives that for the CPU's.
        List<nint> rest = fronts.AllocateMany(front, ThreadFront.CountRounds(front, fronts.Cache));
        Assert.Equal(objects[1], (nint)fronts.Allocate(front));
        Assert.True(new SlotWord(Atomic.Load(word)) is { HasMagazine: true, Rounds: 0 });
        fronts.FreeMany(front, [first, objects[1], objects[2], .. rest]);
        fronts.AssertEmptyAfterDrain();
    });

    /// <summary>
    /// The owner stands between reading its entry and storing it when another takes the magazine away. Whoever takes must wait, and must take again what the
    /// owner stores.
    /// </summary>
    [Theory]
    [InlineData(-1)]
    [InlineData(1)]
    public void An_entry_that_is_taken_from_an_owner_in_the_middle_of_an_operation_is_taken_again(int rounds)
    {
        using TestFronts fronts = new(capacity: 29);
        ThreadFront* front = fronts.Create();
        List<nint> objects = fronts.AllocateMany(front, 3);
        fronts.FreeMany(front, objects[..2]);

        // As TryPop and TryPush do, in slow motion.
        Atomic.Store(&front->Busy, 1u);
        nuint* entry = fronts.EntryOf(front);
        nuint* top = (nuint*)Atomic.Load(entry);
        Thread taker = new(() => ThreadFront.Drain(front, fronts.Cache, 0));
        taker.Start();
        Assert.True(SpinWait.SpinUntil(() => Atomic.Load(entry) != (nuint)top, 10_000), "nothing was taken");
        Assert.False(taker.Join(20));
        if (rounds == 1)
        {
            *top = (nuint)objects[2];
        }

        nint popped = (nint)top[-1];
        Atomic.Store(entry, (nuint)(top + rounds));
        Atomic.Store(&front->Busy, 0u);
        taker.Join();
        Assert.Equal(ThreadFronts.EmptyTop(fronts.Registry), Atomic.Load(entry));
        Assert.Equal(rounds == 1 ? 0 : 2, fronts.Live);
        fronts.FreeMany(front, rounds == 1 ? [] : [popped, objects[2]]);
        fronts.AssertEmptyAfterDrain();
    }

    [Fact]
    public void The_end_of_a_thread_closes_its_windows_and_leaves_its_front_to_one_other()
    {
        using TestFronts fronts = new();
        ThreadFront* front = fronts.Create();
        fronts.FreeMany(front, fronts.AllocateMany(front, 5));
        FrontWindow* windows = fronts.Registry->Fronts.Windows;
        (front->StackLow, front->StackBytes) = (0x7000_0000, 64 * 4096);
        for (nuint page = 0; page < 40; page++)
        {
            ThreadFronts.OpenWindow(fronts.Registry, front, (void*)(0x7000_0008 + (page * 4096)));
        }

        bool[] found = [.. Enumerable.Range(0, 40).Select(page => ThreadFronts.TryFind(windows, (void*)(0x7000_0F00 + (page * 4096)), out ThreadFront* one) && one == front)];
        Assert.Equal(ThreadFront.RememberedCount, found.Count(each => each));
        Assert.True(found[39], "the last ones are remembered");
        Assert.Null((object?)Reflected(ThreadFronts.Adopt(fronts.Registry)));

        ((delegate* unmanaged<ThreadFront*, void>)FaceStubs.Abandon)(front);
        Assert.Equal(ThreadFrontState.Abandoned, front->State);
        Assert.DoesNotContain(true, Enumerable.Range(0, 40).Select(page => ThreadFronts.TryFind(windows, (void*)(0x7000_0F00 + (page * 4096)), out _)));
        Assert.Equal((nint)front, Reflected(ThreadFronts.Adopt(fronts.Registry)));
        Assert.Null((object?)Reflected(ThreadFronts.Adopt(fronts.Registry)));
        Assert.NotEqual(0, ThreadFront.CountRounds(front, fronts.Cache));
        fronts.AssertEmptyAfterDrain();
    }

    [Fact]
    public void A_window_belongs_to_the_page_that_took_it_last_and_none_is_opened_beside_the_owners_stack()
    {
        using TestFronts fronts = new();
        ThreadFront* first = fronts.Create();
        ThreadFront* second = fronts.Create();
        FrontWindow* windows = fronts.Registry->Fronts.Windows;
        void* page = (void*)0x3000_1000;
        void* rival = (void*)0x4000_1000;
        (first->StackLow, first->StackBytes) = (0x3000_0000, 1 << 20);
        (second->StackLow, second->StackBytes) = (0x4000_0000, 1 << 20);
        ThreadFronts.OpenWindow(fronts.Registry, first, page);
        ThreadFronts.OpenWindow(fronts.Registry, second, page);
        ThreadFronts.OpenWindow(fronts.Registry, second, (void*)(0x4000_0000 + (1 << 20)));
        Assert.True(ThreadFronts.TryFind(windows, page, out ThreadFront* found) && found == first);
        Assert.False(ThreadFronts.TryFind(windows, (void*)(0x4000_0000 + (1 << 20)), out _));

        // The one that has it keeps it for many misses of the other, so that the two do not take it from each other at each call.
        for (int miss = 0; miss < 1023; miss++)
        {
            ThreadFronts.OpenWindow(fronts.Registry, second, rival);
            Assert.True(ThreadFronts.TryFind(windows, page, out found) && found == first);
        }

        ThreadFronts.OpenWindow(fronts.Registry, second, rival);
        Assert.False(ThreadFronts.TryFind(windows, page, out _));
        Assert.True(ThreadFronts.TryFind(windows, rival, out found) && found == second);

        // The end of the one that lost it may close it, which costs the other one slow call.
        ((delegate* unmanaged<ThreadFront*, void>)FaceStubs.Abandon)(first);
        ThreadFronts.OpenWindow(fronts.Registry, second, rival);
        Assert.True(ThreadFronts.TryFind(windows, rival, out found) && found == second);
        ((delegate* unmanaged<ThreadFront*, void>)FaceStubs.Abandon)(second);
        Assert.False(ThreadFronts.TryFind(windows, rival, out _));
    }

    [Fact]
    public void A_front_that_was_left_is_adopted_by_exactly_one_of_many()
    {
        using TestFronts fronts = new();
        ThreadFront* front = fronts.Create();
        for (int round = 0; round < 200; round++)
        {
            Atomic.Store(&front->State, ThreadFrontState.Abandoned);
            int adopted = 0;
            using Barrier barrier = new(3);
            Thread[] threads = [.. Enumerable.Range(0, 3).Select(_ => new Thread(() =>
            {
                barrier.SignalAndWait();
                if (ThreadFronts.Adopt(fronts.Registry) != null)
                {
                    Interlocked.Increment(ref adopted);
                }
            }))];
            Array.ForEach(threads, thread => thread.Start());
            Array.ForEach(threads, thread => thread.Join());
            Assert.Equal(1, adopted);
        }
    }

    [Fact]
    public void There_are_as_many_fronts_as_there_is_room_for_and_no_more()
    {
        using TestFronts fronts = new();
        for (uint index = 0; index < ThreadFronts.CountMax; index++)
        {
            Assert.True(ThreadFronts.Create(fronts.Registry) == ThreadFronts.At(fronts.Registry, (int)index));
        }

        Assert.True(ThreadFronts.Create(fronts.Registry) == null);
        Assert.Equal((int)ThreadFronts.CountMax, ThreadFronts.Count(fronts.Registry));
        ThreadFront* last = ThreadFronts.At(fronts.Registry, (int)ThreadFronts.CountMax - 1);
        List<nint> objects = fronts.AllocateMany(last, 10);
        fronts.FreeMany(last, objects);
        last->State = ThreadFrontState.Abandoned;
        Reaper.Maintain(fronts.Registry);
        Assert.Equal(0, ThreadFronts.CountRounds(fronts.Cache));
        Assert.True(ThreadFronts.Adopt(fronts.Registry) == last);
        fronts.AssertEmptyAfterDrain();
    }

    /// <summary>Without a front, every call is slow; it must not also look through all of them.</summary>
    [Fact]
    public void A_thread_that_found_no_front_lets_others_look_again_after_the_next_maintenance()
    {
        using FailingOs os = new();
        using TestFronts fronts = new(os);
        ThreadFront* front = fronts.Create();
        os.FailAllFrom(0, OsCalls.Commit);
        Assert.True(ThreadFronts.Take(fronts.Registry) == null);
        front->State = ThreadFrontState.Abandoned;
        os.FailNothing();
        for (int look = 0; look < 10; look++)
        {
            Assert.True(ThreadFronts.Take(fronts.Registry) == null);
        }

        Assert.Equal(0, os.Calls);
        Reaper.Maintain(fronts.Registry);
        Assert.True(ThreadFronts.Take(fronts.Registry) == front);
        Assert.True(ThreadFronts.Take(fronts.Registry) == front + 1);
    }

    /// <summary>Stacks that a program placed itself need not end where a page does.</summary>
    [Fact]
    public void A_page_of_which_another_stack_may_have_a_part_has_no_window()
    {
        using TestFronts fronts = new();
        ThreadFront* front = fronts.Create();
        (front->StackLow, front->StackBytes) = (0x3000_0800, 2 * 4096);
        for (nuint page = 0x3000_0000; page <= 0x3000_3000; page += 4096)
        {
            ThreadFronts.OpenWindow(fronts.Registry, front, (void*)(page + 0x900));
            Assert.Equal(page == 0x3000_1000, ThreadFronts.TryFind(fronts.Registry->Fronts.Windows, (void*)page, out _));
        }

        front->StackBytes = 0;
        ThreadFronts.OpenWindow(fronts.Registry, front, (void*)0x3000_2000);
        Assert.False(ThreadFronts.TryFind(fronts.Registry->Fronts.Windows, (void*)0x3000_2000, out _));
    }

    [Fact]
    public void Maintenance_empties_at_once_what_was_left_and_after_five_idle_passes_what_is_owned()
    {
        using TestFronts fronts = new();
        ThreadFront* left = fronts.Create();
        ThreadFront* idle = fronts.Create();
        ThreadFront* used = fronts.Create();
        foreach (nint front in new[] { (nint)left, (nint)idle, (nint)used })
        {
            fronts.FreeMany((ThreadFront*)front, fronts.AllocateMany((ThreadFront*)front, 3));
        }

        left->State = ThreadFrontState.Abandoned;
        for (int pass = 1; pass <= 7; pass++)
        {
            nint held = (nint)fronts.Allocate(used);
            if (pass % 2 == 0)
            {
                fronts.FreeMany(used, [held]);
                held = 0;
            }

            Reaper.Maintain(fronts.Registry);
            Assert.Equal(0, ThreadFront.CountRounds(left, fronts.Cache));
            Assert.Equal(pass <= 5, ThreadFront.CountRounds(idle, fronts.Cache) != 0);
            Assert.NotEqual(0, ThreadFront.CountRounds(used, fronts.Cache));
            fronts.FreeMany(used, held != 0 ? [held] : []);
        }

        fronts.AssertEmptyAfterDrain();
    }

    [Fact]
    public void A_cache_that_goes_leaves_nothing_in_any_front_for_the_one_that_takes_its_place()
    {
        using TestFronts fronts = new();
        ThreadFront* first = fronts.Create();
        ThreadFront* second = fronts.Create();
        nuint* ofFirst = fronts.EntryOf(first);
        nuint* ofSecond = fronts.EntryOf(second);
        List<nint> objects = fronts.AllocateMany(first, 20);
        fronts.FreeMany(second, objects[1..]);
        Assert.False(Cache.TryDestroy(fronts.Cache));
        fronts.FreeMany(first, objects[..1]);
        Assert.True(Cache.TryDestroy(fronts.Cache));
        Assert.False(ThreadFront.TryPop(first, ofFirst, out _) || ThreadFront.TryPop(second, ofSecond, out _));

        CacheDefinition definition = new()
        {
            Layout = Engine.Slabs.SlabLayout.Compute(128, 0, Engine.Slabs.SlabRule.Default, 2, false),
            HasMagazines = true,
            MagazineCapacity = 8,
        };
        Cache* next = CacheRegistry.Create(fronts.Registry, &definition);
        Assert.Equal((nint)fronts.Cache, (nint)next);
        Assert.Equal(0, next->FrontOffset);
        Assert.Equal(0, ThreadFronts.CountRounds(next));
        Assert.True(Cache.TryDestroy(next));
    }

    [Fact]
    public void Caches_beyond_the_last_entry_have_none()
    {
        using TestFronts fronts = new();
        CacheDefinition definition = new() { Layout = Engine.Slabs.SlabLayout.Compute(64, 0, Engine.Slabs.SlabRule.Default, 2, false), HasMagazines = true };
        Cache* cache = null;
        while (fronts.Registry->Count <= ThreadFront.EntryCount)
        {
            cache = CacheRegistry.Create(fronts.Registry, &definition);
            Assert.Equal(cache->Index < ThreadFront.EntryCount, cache->FrontOffset != 0);
            Assert.True(cache->FrontOffset + 8 <= ThreadFront.PreviousOffset);
        }

        Assert.Equal(0, cache->FrontOffset);
    }

    /// <summary>Whichever call of the operating system fails while fronts are made, used and emptied: nothing is lost.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Whichever_call_of_the_OS_fails_no_round_is_lost(bool forGood)
    {
        int call = 0;
        for (bool reached = true; reached; call++)
        {
            Assert.True(call < 300, "the scenario never passed");
            using FailingOs os = new();
            os.FailAt(call, OsCalls.All, forGood ? long.MaxValue / 2 : 1);
            using (TestFronts? fronts = TryCreate(os))
            {
                if (fronts != null)
                {
                    reached = Use(fronts, os);
                    fronts.AssertEmptyAfterDrain();
                }
            }

            Assert.Equal(0, os.ReservedBytes);
        }

        Assert.True(call > 10, $"only {call} calls were swept");
    }

    /// <summary>An end that is damaged is told, and looking for it does not leave the magazine.</summary>
    [Theory]
    [InlineData(0ul)]
    [InlineData(0x7F00_0000_1000ul)]
    [InlineData(ulong.MaxValue)]
    [InlineData(1ul << 63)]
    public void A_damaged_end_is_found(ulong damage)
    {
        using TestFronts fronts = new(capacity: 253);
        ThreadFront* front = fronts.Create();
        fronts.FreeMany(front, fronts.AllocateMany(front, 20));
        nuint* end = (nuint*)*fronts.EntryOf(front);
        while (!Magazine.IsEnd(*end))
        {
            end++;
        }

        nuint whole = *end;
        *end = (nuint)damage;
        Assert.False(ThreadFront.IsValid(front, fronts.Cache));
        _ = Cache.Validate(fronts.Cache, out bool magazinesAreValid);
        Assert.False(magazinesAreValid);
        *end = whole;
        fronts.AssertEmptyAfterDrain();
    }

    [Fact]
    public void A_damaged_word_before_the_first_round_is_found()
    {
        using TestFronts fronts = new();
        ThreadFront* front = fronts.Create();
        fronts.FreeMany(front, fronts.AllocateMany(front, 3));
        nuint* end = (nuint*)*fronts.EntryOf(front);
        while (!Magazine.IsEnd(*end))
        {
            end++;
        }

        Magazine.OfEnd(end)->Next = (Magazine*)0x1000;
        Assert.False(ThreadFront.IsValid(front, fronts.Cache));
        Magazine.OfEnd(end)->Next = null;
        fronts.AssertEmptyAfterDrain();
    }

    private static TestFronts? TryCreate(FailingOs os)
    {
        TestFronts fronts = new(os);
        if (fronts.Heap != null)
        {
            return fronts;
        }

        fronts.Dispose();
        return null;
    }

    /// <summary>Whether the scenario reached the call.</summary>
    private static bool Use(TestFronts fronts, FailingOs os)
    {
        ThreadFront* front = ThreadFronts.Create(fronts.Registry);
        ThreadFront* other = ThreadFronts.Create(fronts.Registry);
        Assert.True((front != null && other != null) || os.Failures != 0);
        if (front == null || other == null)
        {
            os.FailNothing();
            return true;
        }

        HashSet<nint> objects = [];
        for (int index = 0; index < 3000; index++)
        {
            void* round = fronts.Allocate(front);
            Assert.True(round != null || os.Failures != 0);
            Assert.True(round == null || objects.Add((nint)round));
        }

        List<nint> refused = [];
        foreach (nint each in objects)
        {
            if (!fronts.Free(other, (void*)each, out bool isTwice))
            {
                Assert.True(!isTwice && os.Failures != 0);
                refused.Add(each);
            }
        }

        Assert.Equal(refused.Count, fronts.Live);
        bool reached = os.Failures != 0;
        os.FailNothing();
        fronts.FreeMany(other, refused);
        return reached;
    }

    private static nint? Reflected(ThreadFront* front) => front == null ? null : (nint)front;
}
