using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Threading;
using Kmem.Engine;
using Kmem.Engine.Caches;
using Kmem.Engine.Primitives;
using Xunit;

namespace Kmem.Tests.Unit.Surface;

/// <summary>The fronts of the shared heap as users meet them. They run in a process where nobody else uses that heap.</summary>
public sealed class SharedFrontTests
{
    [Fact]
    public void Threads_of_the_shared_heap_keep_rounds_of_their_own()
    {
        Assert.SkipUnless(KmemHeap.Shared.HasFronts, "The shared heap has no fronts here.");
        (int exitCode, string output) = ChildTest.RunClass(nameof(SharedFrontChildTests));
        Assert.True(exitCode == 0, output);
    }
}

/// <summary>
/// What the child runs, one test after the other. Each has a size class of its own, so that its figures are exact; maintenance goes on once a
/// second in the background, so that what it could disturb is tried again.
/// </summary>
public sealed unsafe class SharedFrontChildTests
{
    private const int Attempts = 10;

    private static KmemHeap Shared => KmemHeap.Shared;

    private static CacheRegistry* Registry => &Shared.Core->Registry;

    [Fact(Explicit = true)]
    public void Figures_are_exact_while_rounds_lie_in_fronts()
    {
        const int Size = 64;
        using FrontThread first = new();
        using FrontThread second = new();
        nint[] objects = first.Do(() => AllocateMany(Size, 100));
        first.Do(() => FreeMany(objects.AsSpan(..60)));
        second.Do(() => FreeMany(objects.AsSpan(60..70)));
        KmemStatistics statistics = Shared.GetStatistics();
        Ledger.AssertAddsUp(statistics);
        KmemCacheStatistics cache = Cache(Size);
        Assert.Equal(30, cache.LiveObjects);
        Assert.True(cache.MagazineObjects >= 10, cache.ToString());
        Shared.Validate();
        first.Do(() => FreeMany(objects.AsSpan(70..)));
        Assert.Equal(0, Cache(Size).LiveObjects);
        Shared.Validate();
    }

    [Fact(Explicit = true)]
    public void Trim_empties_the_front_of_a_thread_that_lives_and_its_next_calls_work()
    {
        const int Size = 1024;
        using FrontThread thread = new();
        thread.Do(() => FreeMany(AllocateMany(Size, 3)));
        Assert.NotEqual(0, Cache(Size).MagazineObjects);
        Shared.Trim();
        Assert.Equal((0, 0), (Cache(Size).MagazineObjects, Cache(Size).Slabs));
        nint[] again = thread.Do(() => AllocateMany(Size, 3));
        Assert.Equal(3, Cache(Size).LiveObjects);
        thread.Do(() => FreeMany(again));
        Assert.Equal(0, Cache(Size).LiveObjects);
    }

    [Fact(Explicit = true)]
    public void Maintenance_empties_the_front_of_an_idle_thread_after_some_passes()
    {
        const int Size = 2048;
        using FrontThread thread = new();
        thread.Do(() => FreeMany(AllocateMany(Size, 2)));
        for (int pass = 0; pass < 8; pass++)
        {
            Shared.Maintain();
        }

        Assert.Equal(0, RoundsInFronts(Size));
        thread.Do(() => FreeMany(AllocateMany(Size, 2)));
        Assert.NotEqual(0, RoundsInFronts(Size));
    }

    [Fact(Explicit = true)]
    public void A_thread_that_starts_takes_over_front_and_objects_of_one_that_ended()
    {
        const int Size = 96;
        bool taken = false;
        for (int attempt = 0; attempt < Attempts && !taken; attempt++)
        {
            nint first = 0;
            nint second = 0;
            OnNewThread(() => FreeMany([first = (nint)Kmalloc.Alloc(Size)]));
            int fronts = ThreadFronts.Count(Registry);
            OnNewThread(() => FreeMany([second = (nint)Kmalloc.Alloc(Size)]));
            Assert.Equal(fronts, ThreadFronts.Count(Registry));
            taken = first == second;
        }

        Assert.True(taken);
    }

    [Fact(Explicit = true)]
    public void One_pass_of_maintenance_empties_the_fronts_of_threads_that_ended()
    {
        const int Size = 4096;
        OnNewThread(() => FreeMany(AllocateMany(Size, 2)));
        Shared.Maintain();
        Assert.Equal(0, RoundsInFronts(Size));
    }

    [Fact(Explicit = true)]
    public void Hundreds_of_threads_one_after_the_other_need_no_more_fronts_than_live_at_once()
    {
        OnNewThread(() => Kmalloc.Free(Kmalloc.Alloc(16)));
        int fronts = ThreadFronts.Count(Registry);
        for (int thread = 0; thread < 300; thread++)
        {
            OnNewThread(() => Kmalloc.Free(Kmalloc.Alloc(16)));
        }

        Assert.Equal(fronts, ThreadFronts.Count(Registry));
    }

    [Fact(Explicit = true)]
    public void A_double_free_is_found_at_once_when_it_is_the_next_free()
    {
        void* pointer = Kmalloc.Alloc(160);
        Kmalloc.Free(pointer);
        KmemMisuseException found = Assert.Throws<KmemMisuseException>(() => Kmalloc.Free(pointer));
        Assert.Equal(KmemMisuse.AlreadyFree, found.Misuse);
        Assert.Contains("'kmalloc-160'", found.Message, StringComparison.Ordinal);
        Shared.Validate();
        Shared.Trim();
        Assert.Equal(0, Cache(160).LiveObjects);
    }

    [Fact(Explicit = true)]
    public void A_double_free_with_others_in_between_or_by_another_thread_is_found_when_magazines_are_emptied()
    {
        using FrontThread thread = new();
        void* first = Kmalloc.Alloc(192);
        void* second = Kmalloc.Alloc(192);
        Kmalloc.Free(first);
        Kmalloc.Free(second);
        Kmalloc.Free(first);
        Assert.Equal(KmemMisuse.AlreadyFree, Assert.Throws<KmemMisuseException>(() => Shared.Trim()).Misuse);
        void* third = Kmalloc.Alloc(192);
        Kmalloc.Free(third);
        thread.Do(() => Kmalloc.Free(third));
        Assert.Equal(KmemMisuse.AlreadyFree, Assert.Throws<KmemMisuseException>(() => Shared.Trim()).Misuse);
        Shared.Trim();
        Shared.Validate();
        Assert.Equal((0, 0), (Cache(192).LiveObjects, Cache(192).Slabs));
    }

    [Fact(Explicit = true)]
    public void Mistakes_are_named_and_harm_nothing()
    {
        byte* pointer = (byte*)Kmalloc.Alloc(224);
        byte* large = (byte*)Kmalloc.Alloc(100_000);
        byte local;
        byte* stack = &local;
        AssertNamed(KmemMisuse.InteriorPointer, pointer + 8);
        AssertNamed(KmemMisuse.InteriorPointer, pointer + 1);
        AssertNamed(KmemMisuse.InteriorPointer, large + 4096);
        AssertNamed(KmemMisuse.ForeignPointer, stack);
        AssertNamed(KmemMisuse.ForeignPointer, (void*)8);
        AssertNamed(KmemMisuse.ForeignPointer, FindMagazine());
        Kmalloc.Free(null);
        Kmalloc.Free(Kmalloc.Alloc(0));
        Kmalloc.Free(pointer);
        Kmalloc.Free(large);
        Shared.Validate();
        Assert.Equal(0, Cache(224).LiveObjects);
    }

    [Fact(Explicit = true)]
    public void An_object_in_another_threads_front_is_described_as_free_in_a_magazine()
    {
        using FrontThread thread = new();
        nint pointer = thread.Do(() => AllocateMany(320, 1))[0];
        Assert.EndsWith(", in use", Shared.Describe((void*)pointer), StringComparison.Ordinal);
        thread.Do(() => FreeMany([pointer]));
        Assert.EndsWith(", free in a magazine", Shared.Describe((void*)pointer), StringComparison.Ordinal);
        Shared.Trim();
        Assert.DoesNotContain("magazine", Shared.Describe((void*)pointer), StringComparison.Ordinal);
    }

    /// <summary>
    /// Where in its page the caller's frame lies must not matter: the rung that opens the window runs in frames below it, maybe on the page below. From the
    /// deepest frame upwards, since a page that was found once stays found.
    /// </summary>
    [Fact(Explicit = true)]
    public void After_a_slow_call_the_caller_finds_its_front_wherever_its_frame_lies() => OnNewThread(() =>
    {
        List<int> lost = [];
        for (int depth = 3 * 4096; depth >= 0; depth -= 32)
        {
            if (!FindsItsFrontAt(depth))
            {
                lost.Add(depth);
            }
        }

        Assert.True(lost.Count == 0, $"{lost.Count} depths of the stack never find their front: {string.Join(' ', lost)}");
    });

    [Fact(Explicit = true)]
    public void A_caller_with_a_large_frame_finds_its_front() => OnNewThread(() => Assert.True(FindsItsFrontAboveLargeFrame()));

    [Theory(Explicit = true)]
    [InlineData(128 * 1024)]
    [InlineData(1024 * 1024)]
    [InlineData(256 * 1024 * 1024)]
    public void Threads_with_stacks_of_any_size_have_fronts(int stackBytes)
    {
        // Compiled by a thread with room for the compiler: what is asked is whether the front fits, not the JIT.
        FreeMany(AllocateMany(400, 10));
        Assert.True(FindsItsFrontAt(0));
        bool found = false;
        OnNewThread(
            () =>
            {
                FreeMany(AllocateMany(400, 10));
                found = FindsItsFrontAt(0);
            },
            stackBytes);
        Assert.True(found);
    }

    [Fact(Explicit = true)]
    public void A_thread_whose_first_call_is_deep_down_has_a_front_there_and_above() => OnNewThread(
        () =>
        {
            Assert.True(Recurse(200));
            Assert.True(FindsItsFrontAt(0));
            Assert.True(Recurse(200));
        },
        8 * 1024 * 1024);

    [Fact(Explicit = true)]
    public void What_one_thread_only_allocates_and_another_only_frees_comes_round()
    {
        const int Size = 448;
        using FrontThread maker = new();
        using FrontThread eater = new();
        for (int round = 0; round < 200; round++)
        {
            nint[] objects = maker.Do(() => AllocateMany(Size, 50));
            eater.Do(() => FreeMany(objects));
        }

        KmemCacheStatistics cache = Cache(Size);
        Assert.Equal(0, cache.LiveObjects);
        Assert.True(cache.TotalObjects < 2000, cache.ToString());
        Shared.Validate();
    }

    [Fact(Explicit = true)]
    public void Magazines_of_several_capacities_mix()
    {
        const int Size = 128;
        using FrontThread first = new();
        using FrontThread second = new();
        HashSet<int> capacities = [];
        for (int round = 0; round < 30; round++)
        {
            int count = 20 + (round % 10 * 700);
            nint[] objects = first.Do(() => AllocateMany(Size, count));
            capacities.Add(Cache(Size).MagazineCapacity);
            second.Do(() => FreeMany(objects));
            Assert.Equal(0, Cache(Size).LiveObjects);
            Shared.Validate();
            for (int pass = 0; round % 10 == 9 && pass < 4; pass++)
            {
                Shared.Maintain();
                capacities.Add(Cache(Size).MagazineCapacity);
            }
        }

        Assert.True(capacities.Count > 2, string.Join(' ', capacities));
        Shared.Trim();
        Assert.Equal(0, Cache(Size).Slabs);
    }

    [Fact(Explicit = true)]
    public void A_cache_goes_while_others_fronts_hold_its_rounds_and_another_takes_its_place()
    {
        using FrontThread first = new();
        using FrontThread second = new();
        nint[] ofSized = first.Do(() => AllocateMany(512, 5));
        int index = -1;
        for (int round = 0; round < 40; round++)
        {
            // Of every fourth, no front has an entry: its number must not lead to one.
            KmemCacheOptions options = new() { MagazineCapacity = round % 4 == 3 ? 8 : 0, Flags = round % 4 == 2 ? KmemCacheFlags.NoMagazines : 0 };
            KmemCache cache = new($"visitor-{round}", (nuint)(48 + (round % 5 * 64)), options);
            nint[] objects = first.Do(() => Enumerable.Range(0, 60).Select(_ => (nint)cache.Alloc()).ToArray());
            Assert.Equal(60, objects.Distinct().Count());
            int slabIndex = Engine.Pages.Zone.PageOf(&Shared.Core->Zone, (void*)objects[0])->CacheIndex;
            Assert.True(index < 0 || index == slabIndex, "the index is used again");
            index = slabIndex;
            first.Do(() => FreeMany(objects.AsSpan(..20)));
            second.Do(() => FreeMany(objects.AsSpan(20..40)));
            second.Do(() => Array.ForEach(objects[40..59], each => cache.Free((void*)each)));
            Assert.Equal(1, cache.GetStatistics().LiveObjects);
            Assert.Equal(KmemMisuse.LiveObjects, Assert.Throws<KmemMisuseException>(cache.Dispose).Misuse);
            second.Do(() => FreeMany([objects[59]]));
            Assert.Equal(0, cache.GetStatistics().LiveObjects);
            cache.Validate();
            cache.Dispose();
            Shared.Validate();
        }

        first.Do(() => FreeMany(ofSized));
        Assert.Equal(0, Cache(512).LiveObjects);
    }

    [Fact(Explicit = true)]
    public void Neither_fast_path_nor_slow_rungs_leave_anything_for_the_garbage_collector() => OnNewThread(() =>
    {
        nint[] objects = new nint[3000];
        long bytes = long.MaxValue;
        for (int look = 0; look < 10 && bytes != 0; look++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int round = 0; round < 10; round++)
            {
                for (int index = 0; index < objects.Length; index++)
                {
                    objects[index] = (nint)Kmalloc.Alloc(640);
                }

                FreeMany(objects);
                Shared.Trim();
            }

            bytes = GC.GetAllocatedBytesForCurrentThread() - before;
        }

        Assert.Equal(0, bytes);
        Assert.True(Cache(640).AllocFromSlab > 20, Cache(640).ToString());
    });

    private static void AssertNamed(KmemMisuse expected, void* pointer) =>
        Assert.Equal(expected, Assert.Throws<KmemMisuseException>(() => Kmalloc.Free(pointer)).Misuse);

    private static void* FindMagazine()
    {
        Engine.Pages.Page* page = null;
        for (nuint at = 0; page == null; at += 4096)
        {
            Engine.Pages.Page* each = Engine.Pages.Zone.PageOf(&Shared.Core->Zone, Shared.FirstBase + at);
            page = each->CacheIndex is > 0 and < CacheRegistry.FirstOrdinary && each->PageInSlab == 0 ? each : null;
        }

        return Engine.Pages.Zone.AddressOf(&Shared.Core->Zone, page);
    }

    /// <summary>Whether a frame that lies so many bytes further down finds the thread's front after one call that may have been slow.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool FindsItsFrontAt(int depth)
    {
        byte* down = stackalloc byte[depth];
        Touch(down);
        return FindsItsFront();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool FindsItsFront()
    {
        Kmalloc.Free(Kmalloc.Alloc(16));
        using Watch watch = new(16);
        void* pointer = Kmalloc.Alloc(16);
        bool allocates = watch.Moved(-1);
        Kmalloc.Free(pointer);
        return allocates && watch.Moved(0);
    }

    /// <summary>What a method has of stackalloc lies between its locals and the frames of what it calls.</summary>
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    private static bool FindsItsFrontAboveLargeFrame()
    {
        byte* large = stackalloc byte[20_000];
        Touch(large);
        bool finds = false;
        for (int look = 0; look < 2; look++)
        {
            void* pointer = Kmalloc.Alloc(16);
            using Watch watch = new(16);
            Kmalloc.Free(pointer);
            finds = watch.Moved(1);
        }

        return finds;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool Recurse(int frames)
    {
        byte* frame = stackalloc byte[8000];
        Touch(frame);
        return frames == 0 ? FindsItsFront() : Recurse(frames - 1) && frame != null;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Touch(byte* memory) => _ = memory;

    private static long RoundsInFronts(nuint size) =>
        ThreadFronts.CountRounds(Engine.Sized.SizedHeap.ClassFor(Shared.Core, size));

    private static KmemCacheStatistics Cache(nuint size)
    {
        Cache* cache = Engine.Sized.SizedHeap.ClassFor(Shared.Core, size);
        KmemCacheStatistics statistics = Diagnostics.HeapSnapshot.OfCache(cache);
        Ledger.AssertAddsUp(statistics);
        return statistics;
    }

    private static nint[] AllocateMany(nuint size, int count)
    {
        nint[] objects = new nint[count];
        for (int index = 0; index < count; index++)
        {
            objects[index] = (nint)Kmalloc.Alloc(size);
        }

        return objects;
    }

    private static void FreeMany(ReadOnlySpan<nint> objects)
    {
        foreach (nint each in objects)
        {
            Kmalloc.Free((void*)each);
        }
    }

    private static void OnNewThread(Action work, int stackBytes = 0)
    {
        Exception? failure = null;
        ThreadFront* front = null;
        Thread thread = new(
            () =>
            {
                try
                {
                    work();
                    front = Face.CurrentFront();
                }
#pragma warning disable CA1031 // It is thrown where the thread was started.
                catch (Exception exception)
#pragma warning restore CA1031
                {
                    failure = exception;
                }
            },
            stackBytes);
        thread.Start();
        thread.Join();

        // The thread's last steps come after what a join waits for.
        Assert.True(front == null || SpinWait.SpinUntil(() => Atomic.Load(&front->State) != ThreadFrontState.Owned, 10_000), "the front was not abandoned");
        if (failure != null)
        {
            throw new InvalidOperationException("A thread failed.", failure);
        }
    }

    /// <summary>
    /// Tells the inlined rung from the slow ones: while the lock of the current thread's front looks held, only the inlined rung moves the entry.
    /// </summary>
    private readonly ref struct Watch
    {
        private readonly ThreadFront* _front = Face.CurrentFront();
        private readonly nuint* _entry;
        private readonly nuint _top;

        public Watch(nuint size)
        {
            _entry = (nuint*)((byte*)_front + Engine.Sized.SizedHeap.ClassFor(Shared.Core, size)->FrontOffset);
            SpinWait.SpinUntil(TryHold);
            _top = *_entry;
        }

        public bool Moved(int rounds) => *_entry == _top + (nuint)(rounds * 8);

        public void Dispose() => Atomic.Store((int*)&Face.CurrentFront()->Lock, 0);

        private static bool TryHold() => Atomic.CompareExchange((int*)&Face.CurrentFront()->Lock, 0, 1);
    }
}
