using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using Kmem.Engine.Caches;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Sized;
using Kmem.Tests.Unit.Caches;
using Xunit;

namespace Kmem.Tests.Unit.Sized;

/// <summary>What a process does before it copies itself and after, without a copy: all locks, and what the threads that are no more had.</summary>
public sealed unsafe class ForkTests
{
    [Fact]
    public void Every_lock_of_the_heap_is_held_in_between_and_none_afterwards()
    {
        using TestFronts fronts = new();
        ThreadFront* first = fronts.Create();
        ThreadFront* second = fronts.Create();
        fronts.FreeMany(first, fronts.AllocateMany(first, 100));
        Assert.DoesNotContain(true, HeldLocks(fronts.Heap));

        // In Debug every step of this is checked against the ranks.
        SizedHeap.EnterAll(fronts.Heap);
        List<bool> held = HeldLocks(fronts.Heap);
        SizedHeap.ExitAll(fronts.Heap);

        int caches = fronts.Registry->Count - 1;
        Assert.Equal(2 + 2 + (caches * (fronts.Registry->CpuCount + 2)) + fronts.Heap->Zone.CpuCount + 2, held.Count);
        Assert.DoesNotContain(false, held);
        Assert.DoesNotContain(true, HeldLocks(fronts.Heap));
        fronts.FreeMany(second, fronts.AllocateMany(second, 100));
        fronts.AssertEmptyAfterDrain();
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void A_thread_that_needs_memory_from_the_slabs_waits_until_all_locks_are_given_back(KmemFrontEnd frontEnd)
    {
        using TestHeap heap = new(frontEnd);
        SizedHeap.EnterAll(heap);
        void* memory = null;
        Thread other = new(() => memory = SizedHeap.Allocate(heap, 100));
        other.Start();
        Assert.False(other.Join(50));
        SizedHeap.ExitAll(heap);
        other.Join();
        Assert.Equal(Misuse.None, SizedHeap.Free(heap, memory));
        heap.AssertEmptyAfterTrim();
    }

    /// <summary>What a copy of the memory would hold: while all locks are held, nothing below the magazines moves.</summary>
    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void In_a_storm_slabs_depots_and_pages_stand_still_while_all_locks_are_held_and_nothing_is_lost(KmemFrontEnd frontEnd)
    {
        const int Copies = 150;
        using TestHeap heap = new(frontEnd);
        int seed = Environment.TickCount;
        bool stop = false;
        long operations = 0;
        Thread[] threads = [.. Enumerable.Range(0, 3).Select(index => new Thread(() =>
        {
            Random random = new(seed + index);
            nint[] held = new nint[400];
            while (!Volatile.Read(ref stop))
            {
                int at = random.Next(held.Length);
                Assert.Equal(Misuse.None, SizedHeap.Free(heap, (void*)held[at]));
                held[at] = (nint)SizedHeap.Allocate(heap, (nuint)random.Next(1, random.Next(8) == 0 ? 200_000 : 3000));
                _ = Interlocked.Increment(ref operations);
                if (random.Next(2000) == 0)
                {
                    _ = SizedHeap.TryMaintain(heap, 0);
                }
            }

            Array.ForEach(held, each => Assert.Equal(Misuse.None, SizedHeap.Free(heap, (void*)each)));
        }))];
        Array.ForEach(threads, thread => thread.Start());
        for (int copy = 0; copy < Copies; copy++)
        {
            long before = Interlocked.Read(ref operations);
            SizedHeap.EnterAll(heap);
            string seen = Figures(heap);
            for (int turn = 0; turn < 20; turn++)
            {
                Thread.Yield();
            }

            string later = Figures(heap);
            SizedHeap.ExitAll(heap);
            Assert.True(seen == later, $"seed {seed}: {seen} became {later}");
            Assert.True(SpinWait.SpinUntil(() => Interlocked.Read(ref operations) > before + 10, 10_000), $"seed {seed}: the others stand still");
        }

        Volatile.Write(ref stop, true);
        Array.ForEach(threads, thread => thread.Join());
        heap.AssertEmptyAfterTrim();
    }

    [Fact]
    public void The_fronts_of_threads_that_are_no_more_are_left_to_new_ones_with_what_is_in_them()
    {
        using TestFronts fronts = new();
        ThreadFront* own = fronts.Create();
        ThreadFront* busy = fronts.Create();
        ThreadFront* left = fronts.Create();
        foreach (nint front in new[] { (nint)own, (nint)busy, (nint)left })
        {
            fronts.FreeMany((ThreadFront*)front, fronts.AllocateMany((ThreadFront*)front, 3));
        }

        int rounds = ThreadFront.CountRounds(busy, fronts.Cache);
        Assert.NotEqual(0, rounds);
        busy->Busy = 1;
        left->State = ThreadFrontState.Abandoned;
        SizedHeap.ForgetOtherThreads(fronts.Heap, own);
        Assert.Equal((ThreadFrontState.Owned, 0u), (own->State, own->Busy));
        Assert.Equal((ThreadFrontState.Abandoned, 0u), (busy->State, busy->Busy));
        Assert.Equal((ThreadFrontState.Abandoned, 0u), (left->State, left->Busy));
        Assert.Equal(rounds, ThreadFront.CountRounds(busy, fronts.Cache));
        Assert.True(ThreadFronts.Adopt(fronts.Registry) == busy);
        Assert.True(ThreadFronts.Adopt(fronts.Registry) == left);
        Assert.True(ThreadFronts.Adopt(fronts.Registry) == null);

        // An owner that stayed busy would be waited for here, for ever.
        fronts.AssertEmptyAfterDrain();
    }

    [Fact]
    public void A_process_whose_only_thread_has_no_front_leaves_all_of_them()
    {
        using TestFronts fronts = new();
        ThreadFront* front = fronts.Create();
        SizedHeap.ForgetOtherThreads(fronts.Heap, null);
        Assert.Equal(ThreadFrontState.Abandoned, front->State);
    }

    [Fact]
    public void A_word_that_another_thread_had_in_hand_is_empty_in_the_copy_and_others_stay()
    {
        using TestHeap heap = new(KmemFrontEnd.TryLock);
        Cache* cache = heap.CreateCache(64);
        void* memory = Cache.Allocate(cache);
        Assert.True(Cache.Free(cache, memory));
        int cpu = Enumerable.Range(0, heap.Registry->CpuCount).First(each => new SlotWord(Atomic.Load(Cache.WordOf(cache, each))).HasMagazine);
        ulong loaded = Atomic.Load(Cache.WordOf(cache, cpu));
        Cache* other = heap.CreateCache(64);
        Atomic.Store(Cache.WordOf(other, cpu), SlotWord.Busy);
        SizedHeap.ForgetOtherThreads(heap, null);
        Assert.Equal(SlotWord.None, Atomic.Load(Cache.WordOf(other, cpu)));
        Assert.Equal(loaded, Atomic.Load(Cache.WordOf(cache, cpu)));

        // A word that stayed busy would be waited for here, for ever.
        heap.AssertEmptyAfterTrim();
    }

    private static List<bool> HeldLocks(SizedHeap* heap)
    {
        CacheRegistry* registry = &heap->Registry;
        List<bool> held = [RankedLock.IsHeld(&registry->ReaperLock), RankedLock.IsHeld(&registry->Lock)];
        for (int index = 0; index < ThreadFronts.Count(registry); index++)
        {
            held.Add(RankedLock.IsHeld(&ThreadFronts.At(registry, index)->Lock));
        }

        for (int index = 1; index < registry->Count; index++)
        {
            Cache* cache = CacheRegistry.At(registry, index);
            held.AddRange([RankedLock.IsHeld(&cache->Depot.Lock), RankedLock.IsHeld(&cache->Slabs.Lock)]);
            for (int cpu = 0; cpu < registry->CpuCount; cpu++)
            {
                held.Add(RankedLock.IsHeld(&Cache.CpuSlotOf(cache, cpu)->Lock));
            }
        }

        for (int cpu = 0; cpu < heap->Zone.CpuCount; cpu++)
        {
            held.Add(RankedLock.IsHeld(&heap->Zone.CpuLists[cpu].Lock));
        }

        held.AddRange([RankedLock.IsHeld(&heap->Zone.PurgeLock), RankedLock.IsHeld(&heap->Zone.Lock)]);
        return held;
    }

    /// <summary>What only holders of locks change.</summary>
    private static string Figures(SizedHeap* heap)
    {
        long slabs = 0;
        long free = 0;
        long depots = 0;
        for (int index = 1; index < heap->Registry.Count; index++)
        {
            Cache* cache = CacheRegistry.At(&heap->Registry, index);
            slabs = (slabs * 31) + cache->Slabs.SlabsCreated + cache->Slabs.SlabsDestroyed;
            free = (free * 31) + cache->Slabs.FreeObjects;
            depots = (depots * 31) + Atomic.Load(&cache->Depot.Rounds);
            for (int cpu = 0; cpu < heap->Registry.CpuCount; cpu++)
            {
                CpuSlot* slot = Cache.CpuSlotOf(cache, cpu);
                depots = (depots * 31) + (long)Atomic.Load(&slot->Previous) + Atomic.Load(&slot->Shelf.Rounds);
            }
        }

        int listed = 0;
        for (int cpu = 0; cpu < heap->Zone.CpuCount; cpu++)
        {
            listed = (listed * 31) + heap->Zone.CpuLists[cpu].Pages;
        }

        return $"slabs {slabs}, free {free}, depots {depots}, pages {heap->Zone.FreePages} of {heap->Zone.TotalPages}, listed {listed}, isolated {heap->Zone.IsolatedPages}";
    }
}
