using System;
using System.Collections.Generic;
using System.Numerics;
using Xunit;

namespace Kmem.Tests.Unit.Surface;

public sealed unsafe class KmallocSizesTests
{
    private const nuint KiB = SurfaceHeap.KiB;
    private const nuint MiB = SurfaceHeap.MiB;

    [Theory]
    [InlineData(KmemFrontEnd.RestartableSequences, KmemSizeClasses.Default)]
    [InlineData(KmemFrontEnd.RestartableSequences, KmemSizeClasses.Kernel)]
    [InlineData(KmemFrontEnd.TryLock, KmemSizeClasses.Default)]
    [InlineData(KmemFrontEnd.TryLock, KmemSizeClasses.Kernel)]
    public void Every_size_up_to_40000_bytes_is_aligned_usable_and_freed_by_one_free(KmemFrontEnd frontEnd, KmemSizeClasses classes)
    {
        using KmemHeap heap = SurfaceHeap.Make(frontEnd, options => options.SizeClasses = classes);
        nuint largest = classes == KmemSizeClasses.Kernel ? 8 * KiB : 32 * KiB;
        Queue<nint> live = new();
        nuint previous = 0;
        for (nuint size = 0; size <= 40_000; size++)
        {
            byte* memory = (byte*)heap.Alloc(size);
            nuint usable = heap.UsableSize(memory);
            Assert.True(memory != null, $"size {size} is null");
            Assert.True(usable >= size, $"size {size} has {usable} usable bytes");
            Assert.True(usable == heap.RoundUpSize(size), $"size {size}: usable {usable}, rounded {heap.RoundUpSize(size)}");
            Assert.True(usable >= previous, $"size {size} rounds to {usable}, a smaller size to {previous}");
            Assert.True((nuint)memory % AlignmentOf(size, usable, largest) == 0, $"size {size} (usable {usable}) is at 0x{(nuint)memory:x}");
            if (size > 64 && classes == KmemSizeClasses.Default && size <= largest)
            {
                Assert.True((usable - size) * 5 <= usable, $"size {size} loses more than a fifth of {usable}");
            }

            if (size != 0)
            {
                memory[0] = (byte)size;
                memory[usable - 1] = (byte)(size + 1);
            }

            previous = usable;
            live.Enqueue((nint)memory);
            if (live.Count > 500)
            {
                heap.Free((void*)live.Dequeue());
            }
        }

        while (live.TryDequeue(out nint memory))
        {
            heap.Free((void*)memory);
        }

        heap.Validate();
        StatisticsAssert.AddsUp(heap.GetStatistics());
        StatisticsAssert.NothingIsOut(heap.GetStatistics());
        heap.Trim();
        StatisticsAssert.NothingIsKept(heap.GetStatistics());
    }

    [Theory]
    [InlineData(KmemFrontEnd.RestartableSequences)]
    [InlineData(KmemFrontEnd.TryLock)]
    public void No_two_live_allocations_share_a_byte(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = SurfaceHeap.Make(frontEnd);
        Random random = SurfaceHeap.MakeRandom();
        List<(nint Memory, nuint Size, int Salt)> live = [];
        for (int step = 0; step < 20_000; step++)
        {
            if (live.Count < 300 || random.Next(2) == 0)
            {
                nuint size = (nuint)(random.Next(20) == 0 ? random.Next(1, 200_000) : random.Next(1, 1000));
                void* memory = random.Next(4) == 0 ? heap.AllocAligned(size, (nuint)1 << random.Next(0, 14)) : heap.Alloc(size);
                SurfaceHeap.FillPattern(memory, size, step);
                live.Add(((nint)memory, size, step));
            }
            else
            {
                int index = random.Next(live.Count);
                (nint memory, nuint size, int salt) = live[index];
                SurfaceHeap.AssertPattern((void*)memory, size, salt);
                heap.Free((void*)memory);
                live[index] = live[^1];
                live.RemoveAt(live.Count - 1);
            }
        }

        StatisticsAssert.AddsUp(heap.GetStatistics());
        foreach ((nint memory, nuint size, int salt) in live)
        {
            SurfaceHeap.AssertPattern((void*)memory, size, salt);
            heap.Free((void*)memory);
        }

        heap.Validate();
        heap.Trim();
        StatisticsAssert.NothingIsKept(heap.GetStatistics());
        StatisticsAssert.AddsUp(heap.GetStatistics());
    }

    [Theory]
    [InlineData(KmemFrontEnd.RestartableSequences, KmemSizeClasses.Default)]
    [InlineData(KmemFrontEnd.RestartableSequences, KmemSizeClasses.Kernel)]
    [InlineData(KmemFrontEnd.TryLock, KmemSizeClasses.Default)]
    [InlineData(KmemFrontEnd.TryLock, KmemSizeClasses.Kernel)]
    public void Every_alignment_up_to_64_MiB_is_kept_and_the_size_that_was_asked_for_frees_it(KmemFrontEnd frontEnd, KmemSizeClasses classes)
    {
        using KmemHeap heap = SurfaceHeap.Make(frontEnd, options => options.SizeClasses = classes);
        ReadOnlySpan<nuint> sizes = [0, 1, 7, 24, 100, 1000, 4096, 5000, 30_000, 32 * KiB, 40_000, MiB + 1];
        for (nuint alignment = 1; alignment <= 64 * MiB; alignment *= 2)
        {
            foreach (nuint size in sizes)
            {
                byte* first = (byte*)heap.AllocAligned(size, alignment);
                byte* second = (byte*)heap.AllocAligned(size, alignment);
                Assert.True((nuint)first % alignment == 0 && (nuint)second % alignment == 0, $"{size} bytes aligned to {alignment}: 0x{(nuint)first:x}, 0x{(nuint)second:x}");
                Assert.True(heap.UsableSize(first) >= size, $"{size} bytes aligned to {alignment}: {heap.UsableSize(first)} usable");
                if (size != 0)
                {
                    (first[0], first[size - 1], second[0], second[size - 1]) = (1, 1, 2, 2);
                    Assert.True(first[0] == 1 && first[size - 1] == 1, $"{size} bytes aligned to {alignment} overlap");
                }

                heap.Free(first);
                heap.Free(second, size);
            }
        }

        heap.Validate();
        StatisticsAssert.AddsUp(heap.GetStatistics());
        StatisticsAssert.NothingIsOut(heap.GetStatistics());
    }

    [Theory]
    [InlineData(KmemFrontEnd.RestartableSequences)]
    [InlineData(KmemFrontEnd.TryLock)]
    public void Realloc_keeps_the_bytes_whatever_the_two_sizes(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = SurfaceHeap.Make(frontEnd);
        ReadOnlySpan<nuint> sizes = [1, 16, 17, 64, 65, 100, 512, 1000, 4096, 5000, 20_000, 32 * KiB, (32 * KiB) + 1, 40_000, 64 * KiB, 300_000, MiB, (3 * MiB) + 7];
        int moved = 0;
        int stayed = 0;
        int salt = 0;
        foreach (nuint from in sizes)
        {
            foreach (nuint to in sizes)
            {
                void* memory = heap.Alloc(from);
                SurfaceHeap.FillPattern(memory, from, ++salt);
                void* result = heap.Realloc(memory, to);
                SurfaceHeap.AssertPattern(result, nuint.Min(from, to), salt);
                Assert.True(heap.UsableSize(result) >= to, $"{from} → {to}: {heap.UsableSize(result)} usable");
                SurfaceHeap.FillPattern(result, to, salt);
                (moved, stayed) = result == memory ? (moved, stayed + 1) : (moved + 1, stayed);
                heap.Free(result, to);
            }
        }

        Assert.True(moved > 20 && stayed > 20, $"moved {moved}, stayed {stayed}");
        heap.Validate();
        StatisticsAssert.AddsUp(heap.GetStatistics());
        StatisticsAssert.NothingIsOut(heap.GetStatistics());
    }

    [Theory]
    [InlineData(KmemFrontEnd.RestartableSequences)]
    [InlineData(KmemFrontEnd.TryLock)]
    public void Realloc_in_a_long_random_walk_keeps_the_bytes_and_the_counts(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = SurfaceHeap.Make(frontEnd);
        Random random = SurfaceHeap.MakeRandom();
        void*[] memory = new void*[8];
        nuint[] size = new nuint[8];
        for (int step = 0; step < 1500; step++)
        {
            int index = random.Next(memory.Length);
            nuint to = (nuint)(1 + (random.NextDouble() * Math.Pow(2, random.Next(1, 20))));
            memory[index] = heap.Realloc(memory[index], to);
            SurfaceHeap.AssertPattern(memory[index], nuint.Min(size[index], to), index);
            SurfaceHeap.FillPattern(memory[index], to, index);
            size[index] = to;
        }

        StatisticsAssert.AddsUp(heap.GetStatistics());
        heap.Validate();
        for (int index = 0; index < memory.Length; index++)
        {
            SurfaceHeap.AssertPattern(memory[index], size[index], index);
            heap.Realloc(memory[index], 0);
        }

        StatisticsAssert.NothingIsOut(heap.GetStatistics());
    }

    [Theory]
    [InlineData(KmemFrontEnd.RestartableSequences)]
    [InlineData(KmemFrontEnd.TryLock)]
    public void A_run_shrinks_and_grows_in_place_where_pages_are_free_and_counts_what_was_asked(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = SurfaceHeap.Make(frontEnd);
        void* run = heap.Alloc(MiB);
        SurfaceHeap.FillPattern(run, MiB, 1);
        Assert.True(heap.Realloc(run, 100 * KiB) == run);
        Assert.Equal(100 * KiB, heap.UsableSize(run));
        Assert.Equal(100UL * KiB, heap.GetStatistics().LargeRequestedBytes);
        Assert.True(heap.Realloc(run, (500 * KiB) - 1) == run, "the pages behind are free");
        SurfaceHeap.AssertPattern(run, 100 * KiB, 1);
        Assert.Equal(500 * KiB, heap.UsableSize(run));
        Assert.Equal((500UL * KiB) - 1, heap.GetStatistics().LargeRequestedBytes);
        Assert.Equal(1, heap.GetStatistics().LargeAllocations);
        heap.Free(run);
        Assert.Equal(0UL, heap.GetStatistics().LargeRequestedBytes);
        StatisticsAssert.AddsUp(heap.GetStatistics());
        heap.Validate();
    }

    [Theory]
    [InlineData(KmemFrontEnd.RestartableSequences)]
    [InlineData(KmemFrontEnd.TryLock)]
    public void Zeroed_memory_is_zero_also_where_the_last_owner_left_it_dirty(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = SurfaceHeap.Make(frontEnd);
        foreach (nuint size in (ReadOnlySpan<nuint>)[1, 16, 100, 1000, 4096, 32 * KiB, 33 * KiB, 300_000, 5 * MiB])
        {
            for (int round = 0; round < 4; round++)
            {
                byte* dirty = (byte*)heap.Alloc(size);
                new Span<byte>(dirty, (int)size).Fill(0xA5);
                heap.Free(dirty);
                if (round == 3)
                {
                    heap.Trim();
                }

                byte* zeroed = (byte*)heap.AllocZeroed(size);
                Assert.False(new Span<byte>(zeroed, (int)size).ContainsAnyExcept((byte)0), $"{size} bytes, round {round}");
                new Span<byte>(zeroed, (int)size).Fill(0x5A);
                heap.Free(zeroed);
            }
        }
    }

    [Theory]
    [InlineData(KmemFrontEnd.RestartableSequences)]
    [InlineData(KmemFrontEnd.TryLock)]
    public void Zero_bytes_get_a_pointer_that_is_not_null_costs_nothing_and_may_be_freed_any_number_of_times(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = SurfaceHeap.Make(frontEnd);
        KmemStatistics before = heap.GetStatistics();
        foreach (nint each in new[] { (nint)heap.Alloc(0), (nint)heap.TryAlloc(0), (nint)heap.AllocZeroed(0), (nint)heap.AllocAligned(0, 1), (nint)heap.AllocAligned(0, 64 * MiB), (nint)heap.Realloc(null, 0) })
        {
            Assert.NotEqual(0, each);
            Assert.Equal((nuint)0, heap.UsableSize((void*)each));
            heap.Free((void*)each);
            heap.Free((void*)each);
            heap.Free((void*)each, 0);
            Assert.Contains("0 bytes", heap.Describe((void*)each), StringComparison.Ordinal);
        }

        StatisticsAssert.IsUnchanged(before, heap.GetStatistics());
        void* grown = heap.Realloc(heap.Alloc(0), 100);
        SurfaceHeap.FillPattern(grown, 100, 0);
        Assert.Equal((nuint)0, heap.UsableSize(heap.Realloc(grown, 0)));
        StatisticsAssert.NothingIsOut(heap.GetStatistics());
    }

    [Theory]
    [InlineData(KmemFrontEnd.RestartableSequences)]
    [InlineData(KmemFrontEnd.TryLock)]
    public void Null_may_be_freed_measured_and_reallocated(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = SurfaceHeap.Make(frontEnd);
        heap.Free(null);
        heap.Free(null, 7);
        heap.Pages.Free(null);
        heap.Pages.Free(null, 3);
        Assert.Equal((nuint)0, heap.UsableSize(null));
        void* memory = heap.Realloc(null, 50);
        Assert.Equal((nuint)64, heap.UsableSize(memory));
        heap.Free(memory);
    }

    [Theory]
    [InlineData(KmemFrontEnd.RestartableSequences)]
    [InlineData(KmemFrontEnd.TryLock)]
    public void Sizes_that_no_machine_has_are_refused_with_size_and_heap_in_the_message(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = SurfaceHeap.Make(frontEnd, options => options.Name = "little-one");
        void* held = heap.Alloc(100);
        SurfaceHeap.FillPattern(held, 100, 3);
        KmemStatistics before = heap.GetStatistics();
        foreach (nuint size in (ReadOnlySpan<nuint>)[nuint.MaxValue, nuint.MaxValue - 4095, nuint.MaxValue / 2, (nuint)1 << 47, ((nuint)1 << 46) + 1])
        {
            nuint asked = size;
            Assert.True(heap.TryAlloc(asked) == null);
            AssertRefused(asked, () => heap.Alloc(asked));
            AssertRefused(asked, () => heap.AllocZeroed(asked));
            AssertRefused(asked, () => heap.AllocAligned(asked, 1));
            AssertRefused(asked, () => heap.AllocAligned(asked, 1 << 30));
            AssertRefused(asked, () => heap.Realloc(held, asked));
            Assert.Equal(asked, heap.RoundUpSize(asked));
        }

        SurfaceHeap.AssertPattern(held, 100, 3);
        StatisticsAssert.AddsUp(heap.GetStatistics());
        Assert.Equal(before.SizeClassBytes, heap.GetStatistics().SizeClassBytes);
        heap.Free(held);
        heap.Validate();

        static void AssertRefused(nuint size, Action action)
        {
            OutOfMemoryException refusal = Assert.Throws<OutOfMemoryException>(action);
            Assert.Contains(size.ToString(System.Globalization.CultureInfo.InvariantCulture), refusal.Message, StringComparison.Ordinal);
            Assert.Contains("'little-one'", refusal.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(KmemFrontEnd.RestartableSequences)]
    [InlineData(KmemFrontEnd.TryLock)]
    public void Large_allocations_from_33_KiB_to_64_MiB_are_whole_pages_of_their_own(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = SurfaceHeap.Make(frontEnd);
        List<nint> live = [];
        ulong asked = 0;
        for (nuint size = 33 * KiB; size <= 64 * MiB; size += (size / 3) + 1)
        {
            byte* memory = (byte*)heap.Alloc(size);
            Assert.Equal((nuint)0, (nuint)memory % 4096);
            nuint usable = heap.UsableSize(memory);
            Assert.True(usable >= size && usable - size < 4096, $"{size} bytes: {usable} usable");
            (memory[0], memory[size / 2], memory[usable - 1]) = (1, 2, 3);
            live.Add((nint)memory);
            asked += size;
        }

        KmemStatistics full = heap.GetStatistics();
        Assert.Equal(asked, full.LargeRequestedBytes);
        Assert.Equal(live.Count, full.LargeAllocations);
        StatisticsAssert.AddsUp(full);
        foreach (nint memory in live)
        {
            byte* bytes = (byte*)memory;
            Assert.True(bytes[0] == 1 && bytes[heap.UsableSize(bytes) - 1] == 3, "another allocation wrote here");
            heap.Free(bytes);
        }

        heap.Trim();
        heap.Validate();
        StatisticsAssert.NothingIsKept(heap.GetStatistics());
        StatisticsAssert.AddsUp(heap.GetStatistics());
    }

    [Fact]
    public void The_shared_heap_behind_the_static_class_does_the_same()
    {
        void* small = Kmalloc.Alloc(100);
        void* large = Kmalloc.AllocZeroed(100_000);
        void* aligned = Kmalloc.AllocAligned(10, 256);
        void* tried = Kmalloc.TryAlloc(48);
        Assert.Equal(Kmalloc.RoundUpSize(100), Kmalloc.UsableSize(small));
        Assert.Equal((nuint)0, (nuint)aligned % 256);
        Assert.False(new Span<byte>(large, 100_000).ContainsAnyExcept((byte)0));
        SurfaceHeap.FillPattern(small, 100, 1);
        small = Kmalloc.Realloc(small, 5000);
        SurfaceHeap.AssertPattern(small, 100, 1);
        Kmalloc.Free(small);
        Kmalloc.Free(large);
        Kmalloc.Free(aligned);
        Kmalloc.Free(tried, 48);
        Kmalloc.Free(null);
        KmemMisuseException mistake = Assert.Throws<KmemMisuseException>(() => Kmalloc.Free((void*)0x7000_1234_5670));
        Assert.Equal(KmemMisuse.ForeignPointer, mistake.Misuse);
        KmemHeap.Shared.Dispose();
        Kmalloc.Free(Kmalloc.Alloc(1));
    }

    /// <summary>What the documentation promises: 16 bytes, powers of two to themselves up to a page, pages for what is larger than every class.</summary>
    private static nuint AlignmentOf(nuint size, nuint usable, nuint largest)
    {
        if (size > largest)
        {
            return 4096;
        }

        nuint divisor = usable & (~usable + 1);
        return divisor == 0 ? 16 : nuint.Min(4096, BitOperations.IsPow2(usable) ? usable : divisor);
    }
}
