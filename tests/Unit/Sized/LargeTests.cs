using System;
using System.Collections.Generic;
using System.Linq;
using Xunit;

namespace Kmem.Tests.Unit.Sized;

/// <summary>Allocations with pages of their own, sizes that no memory holds, and small heaps that fill up.</summary>
public sealed unsafe class LargeTests
{
    private const nuint KiB = 1024;
    private const nuint MiB = 1 << 20;

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void From_33_KiB_to_64_MiB_every_allocation_has_pages_of_its_own(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        List<nint> held = [];
        ulong requested = 0;
        for (nuint size = 33 * KiB; size <= 64 * MiB; size = (size * 7 / 3) + 11)
        {
            byte* pointer = (byte*)heap.Alloc(size);
            Assert.Equal((nuint)0, (nuint)pointer % 4096);
            Assert.Equal((size + 4095) & ~(nuint)4095, heap.UsableSize(pointer));
            for (nuint offset = 0; offset < size; offset += 4096)
            {
                pointer[offset] = (byte)held.Count;
            }

            pointer[size - 1] = (byte)held.Count;
            held.Add((nint)pointer);
            requested += size;
            KmemStatistics statistics = Ledger.AssertWhole(heap);
            Assert.Equal((held.Count, requested), (statistics.LargeAllocations, statistics.LargeRequestedBytes));
        }

        for (int index = 0; index < held.Count; index++)
        {
            Assert.Equal(index, *(byte*)held[index]);
            heap.Free((void*)held[index]);
        }

        Ledger.AssertEmptyAfterTrim(heap);
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Mistakes_with_large_allocations_have_their_names_and_no_effect(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        byte* pointer = (byte*)heap.Alloc(10 * MiB);
        AssertMisuse(heap, pointer + 4096, KmemMisuse.InteriorPointer, "4096 bytes into a large allocation of 10485760 bytes (2560 pages)");
        AssertMisuse(heap, pointer + (5 * MiB) + 3, KmemMisuse.InteriorPointer, "into a large allocation");
        AssertMisuse(heap, pointer + (10 * MiB) - 1, KmemMisuse.InteriorPointer, "into a large allocation");
        AssertMisuse(heap, pointer + 1, KmemMisuse.InteriorPointer, "1 bytes into");
        Assert.Equal(KmemMisuse.WrongKind, Assert.Throws<KmemMisuseException>(() => heap.Pages.Free(pointer)).Misuse);
        Assert.Equal(KmemMisuse.WrongSize, Assert.Throws<KmemMisuseException>(() => heap.Free(pointer, 10_000)).Misuse);
        Assert.Equal(KmemMisuse.WrongSize, Assert.Throws<KmemMisuseException>(() => heap.Free(pointer, (10 * MiB) + 1)).Misuse);
        Ledger.AssertWhole(heap);
        heap.Free(pointer, 10 * MiB);
        AssertMisuse(heap, pointer, KmemMisuse.AlreadyFree, "free pages");
        AssertMisuse(heap, pointer + (5 * MiB), KmemMisuse.AlreadyFree, "free pages");
        Ledger.AssertEmptyAfterTrim(heap);
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Sizes_that_no_memory_holds_are_out_of_memory_with_a_clear_message(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        KmemStatistics before = heap.GetStatistics();
        nuint[] sizes =
        [
            nuint.MaxValue, nuint.MaxValue - 1, nuint.MaxValue - 4096, nuint.MaxValue - 8191, (nuint)1 << 63, ((nuint)1 << 46) + 1, (nuint)1 << 46,
            ((nuint)1 << 46) - 1, (nuint)1 << 45, ((nuint)1 << 44) + 1, (nuint)1 << 44,
        ];
        foreach (nuint size in sizes)
        {
            OutOfMemoryException refused = Assert.Throws<OutOfMemoryException>(() => { heap.Alloc(size); });
            Assert.Contains($"no memory for {size} bytes: the heap 'test' has committed", refused.Message, StringComparison.Ordinal);
            Assert.True(heap.TryAlloc(size) == null);
            Assert.Throws<OutOfMemoryException>(() => { heap.AllocZeroed(size); });
            foreach (nuint alignment in new nuint[] { 1, 64, 4096, 1 << 30 })
            {
                Assert.Contains($"aligned to {alignment}", Assert.Throws<OutOfMemoryException>(() => { heap.AllocAligned(size, alignment); }).Message, StringComparison.Ordinal);
            }
        }

        Assert.Equal(before.CommittedBytes, Ledger.AssertWhole(heap).CommittedBytes);
        Assert.Equal(before.ReservedBytes, heap.GetStatistics().ReservedBytes);
        heap.Free(heap.Alloc(100_000));
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void A_small_heap_fills_up_works_again_after_a_free_and_trims(KmemFrontEnd frontEnd)
    {
        KmemHeapOptions options = Heaps.Options(frontEnd);
        (options.ReserveBytes, options.Growable) = (8 * MiB, false);
        using KmemHeap heap = new(options);
        foreach (nuint size in new nuint[] { 64, 1000, 8192, 30_000, 40_000, MiB, 4 * MiB })
        {
            List<nint> held = [];
            for (void* pointer; (pointer = heap.TryAlloc(size)) != null;)
            {
                *(nint*)pointer = held.Count;
                held.Add((nint)pointer);
            }

            // What is lost is rounding and tails; 10 pages come from a block of 16, whose other 6 serve smaller requests only.
            nuint least = size == 40_000 ? 8 * MiB * 10 / 16 : 8 * MiB * 9 / 10;
            Assert.InRange((nuint)held.Count * heap.RoundUpSize(size), least, 8 * MiB);
            OutOfMemoryException refused = Assert.Throws<OutOfMemoryException>(() => { heap.Alloc(size); });
            Assert.Contains($"{size} bytes", refused.Message, StringComparison.Ordinal);
            Ledger.AssertWhole(heap);
            for (int index = 0; index < held.Count; index++)
            {
                Assert.Equal(index, *(nint*)held[index]);
            }

            heap.Free((void*)held[^1]);
            held[^1] = (nint)heap.Alloc(size);
            foreach (nint each in held)
            {
                heap.Free((void*)each);
            }

            // Without a trim another size finds room, since whatever is cached is given up first.
            void* whole = heap.Alloc(4 * MiB);
            heap.Free(whole);
            Assert.True(heap.Trim() > 0);
            Ledger.AssertEmptyAfterTrim(heap);
            KmemStatistics statistics = heap.GetStatistics();
            Assert.Equal(statistics.MetadataBytes, statistics.CommittedBytes);
        }
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void A_heap_that_may_grow_goes_on_beyond_its_first_range(KmemFrontEnd frontEnd)
    {
        KmemHeapOptions options = Heaps.Options(frontEnd);
        options.ReserveBytes = 4 * MiB;
        using KmemHeap heap = new(options);
        using KmemCache cache = new("spread", 1000, new KmemCacheOptions { Heap = heap });
        List<nint> held = [];
        for (int index = 0; index < 40_000; index++)
        {
            void* pointer = index % 2 == 0 ? cache.Alloc() : heap.Alloc(1000);
            *(int*)pointer = index;
            held.Add((nint)pointer);
        }

        Assert.Equal(held.Count, held.Distinct().Count());
        KmemStatistics statistics = Ledger.AssertWhole(heap);
        Assert.True(statistics.ReservedBytes > 40 * MiB);
        for (int index = 0; index < held.Count; index++)
        {
            Assert.Equal(index, *(int*)held[index]);
            if (index % 2 == 0)
            {
                cache.Free((void*)held[index]);
            }
            else
            {
                heap.Free((void*)held[index], 1000);
            }
        }

        void* large = heap.Alloc(100 * MiB);
        Assert.Equal(KmemMisuse.InteriorPointer, Assert.Throws<KmemMisuseException>(() => heap.Free((byte*)large + 4096)).Misuse);
        heap.Free(large);
        Ledger.AssertEmptyAfterTrim(heap);
    }

    private static void AssertMisuse(KmemHeap heap, byte* pointer, KmemMisuse misuse, string words)
    {
        KmemMisuseException found = Assert.Throws<KmemMisuseException>(() => heap.Free(pointer));
        Assert.Equal((misuse, (nuint)pointer), (found.Misuse, found.Address));
        Assert.Contains(words, found.Message, StringComparison.Ordinal);
        Assert.Contains("of the heap 'test'", found.Message, StringComparison.Ordinal);
    }
}
