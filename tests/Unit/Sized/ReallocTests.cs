using System;
using System.Collections.Generic;
using Xunit;

namespace Kmem.Tests.Unit.Sized;

public sealed unsafe class ReallocTests
{
    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Growing_and_shrinking_keeps_the_bytes(KmemFrontEnd frontEnd)
    {
        int[] sizes = [1, 15, 16, 17, 100, 500, 4096, 5000, 32_768, 32_769, 40_000, 100_000, 1_000_000, 5_000_000];
        using KmemHeap heap = Heaps.Create(frontEnd);
        foreach (int from in sizes)
        {
            foreach (int to in sizes)
            {
                byte* pointer = (byte*)heap.Alloc((nuint)from);
                new Span<byte>(pointer, from).Fill(0xA7);
                pointer[from - 1] = 0x15;
                byte* moved = (byte*)heap.Realloc(pointer, (nuint)to);
                Assert.True(heap.UsableSize(moved) >= (nuint)to);
                int kept = Math.Min(from, to);
                Assert.Equal(-1, new Span<byte>(moved, kept - 1).IndexOfAnyExcept((byte)0xA7));
                Assert.Equal(to >= from ? 0x15 : 0xA7, moved[kept - 1]);
                new Span<byte>(moved, to).Fill(0x33);
                heap.Free(moved, (nuint)to);
            }
        }

        Ledger.AssertEmptyAfterTrim(heap);
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Null_allocates_and_zero_frees(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        void* pointer = heap.Realloc(null, 100);
        Assert.Equal((nuint)112, heap.UsableSize(pointer));
        void* zero = heap.Realloc(pointer, 0);
        Assert.True(zero != null);
        heap.Free(zero);
        Assert.Equal((nuint)0, heap.UsableSize(heap.Realloc(null, 0)));
        Ledger.AssertEmptyAfterTrim(heap);
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void A_size_of_the_same_class_stays_in_place_and_half_of_it_does_too(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        void* pointer = heap.Alloc(1000);
        Assert.True(heap.Realloc(pointer, 1024) == pointer);
        Assert.True(heap.Realloc(pointer, 600) == pointer);
        Assert.False(heap.Realloc(pointer, 100) == pointer);
        Assert.Throws<KmemMisuseException>(() => heap.UsableSize((void*)((nint)pointer + 1)));
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void A_large_allocation_grows_and_shrinks_in_place_where_there_is_room(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        byte* pointer = (byte*)heap.Alloc(100_000);
        pointer[99_999] = 7;
        byte* same = (byte*)heap.Realloc(pointer, 300_000);
        Assert.True(same == pointer && same[99_999] == 7);
        Assert.Equal(300_000ul, heap.GetStatistics().LargeRequestedBytes);
        Assert.True(heap.Realloc(pointer, 50_000) == pointer);
        KmemStatistics statistics = Ledger.AssertWhole(heap);
        Assert.Equal((1, 50_000ul), (statistics.LargeAllocations, statistics.LargeRequestedBytes));
        void* small = heap.Realloc(pointer, 100);
        Assert.Equal((nuint)112, heap.UsableSize(small));
        heap.Free(small);
        Ledger.AssertEmptyAfterTrim(heap);
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Objects_of_caches_can_be_resized_too(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache cache = new("resized", 70, new KmemCacheOptions { Heap = heap });
        byte* pointer = (byte*)cache.Alloc();
        new Span<byte>(pointer, 70).Fill(9);
        byte* moved = (byte*)heap.Realloc(pointer, 200);
        Assert.Equal(-1, new Span<byte>(moved, 70).IndexOfAnyExcept((byte)9));
        Assert.Equal(0, cache.GetStatistics().LiveObjects);
        heap.Free(moved);
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void What_cannot_be_resized_stays_as_it_was(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        byte* pointer = (byte*)heap.Alloc(1000);
        new Span<byte>(pointer, 1000).Fill(0x5A);
        OutOfMemoryException refused = Assert.Throws<OutOfMemoryException>(() => { heap.Realloc(pointer, nuint.MaxValue); });
        Assert.Contains($"{nuint.MaxValue} bytes in place of 1024", refused.Message, StringComparison.Ordinal);
        byte* large = (byte*)heap.Alloc(100_000);
        Assert.Throws<OutOfMemoryException>(() => { heap.Realloc(large, (nuint)1 << 46); });
        Assert.Throws<OutOfMemoryException>(() => { heap.Realloc(large, (nuint)1 << 45); });
        Assert.Equal(-1, new Span<byte>(pointer, 1000).IndexOfAnyExcept((byte)0x5A));
        Assert.Equal(KmemMisuse.InteriorPointer, Assert.Throws<KmemMisuseException>(() => { heap.Realloc(pointer + 16, 5); }).Misuse);
        Assert.Equal(KmemMisuse.ForeignPointer, Assert.Throws<KmemMisuseException>(() => { heap.Realloc((void*)0x100_0008, 5); }).Misuse);
        heap.Free(pointer);
        heap.Free(large);
        Ledger.AssertEmptyAfterTrim(heap);
    }

    /// <summary>Sizes that a reallocation left in place are sizes that a free accepts.</summary>
    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void After_any_chain_of_reallocations_the_last_size_frees(KmemFrontEnd frontEnd)
    {
        int seed = Environment.TickCount;
        Random random = new(seed);
        using KmemHeap heap = Heaps.Create(frontEnd);
        void* pointer = null;
        for (int step = 0; step < 3000; step++)
        {
            nuint size = (nuint)random.Next(1, random.Next(4) == 0 ? 200_000 : 3000);
            try
            {
                pointer = heap.Realloc(pointer, size);
                if (random.Next(3) == 0)
                {
                    heap.Free(pointer, size);
                    pointer = null;
                }
            }
            catch (KmemMisuseException wrong)
            {
                Assert.Fail($"seed {seed}, step {step}, {size} bytes: {wrong.Message}");
            }
        }

        heap.Free(pointer);
        Ledger.AssertEmptyAfterTrim(heap);
    }

    /// <summary>A heap so full that the smaller size finds no place of its own.</summary>
    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void In_a_full_heap_a_smaller_size_is_one_that_a_sized_free_accepts_or_is_refused(KmemFrontEnd frontEnd)
    {
        KmemHeapOptions options = Heaps.Options(frontEnd);
        (options.ReserveBytes, options.Growable) = (4 << 20, false);
        using KmemHeap heap = new(options);
        foreach (int size in new[] { 20_000, 100_000 })
        {
            byte* pointer = (byte*)heap.Alloc((nuint)size);
            new Span<byte>(pointer, size).Fill(0x5A);
            List<nint> taken = [];
            for (void* another; (another = heap.TryAlloc((nuint)size)) != null;)
            {
                taken.Add((nint)another);
            }

            List<nint> pages = [];
            for (void* page; (page = heap.Pages.TryAlloc(0)) != null;)
            {
                pages.Add((nint)page);
            }

            nuint last = (nuint)size;
            try
            {
                pointer = (byte*)heap.Realloc(pointer, 100);
                last = 100;
            }
            catch (OutOfMemoryException)
            {
                // The allocation stays as it was.
            }

            Assert.Equal(-1, new Span<byte>(pointer, (int)last).IndexOfAnyExcept((byte)0x5A));
            heap.Free(pointer, last);
            pages.ForEach(page => heap.Pages.Free((void*)page));
            taken.ForEach(each => heap.Free((void*)each));
        }

        Ledger.AssertEmptyAfterTrim(heap);
    }
}
