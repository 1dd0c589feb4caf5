using System;
using System.Collections.Generic;
using Xunit;

namespace Kmem.Tests.Unit.Sized;

public sealed unsafe class PageAllocatorTests
{
    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Blocks_of_every_order_and_mobility_are_aligned_to_their_size(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        long pages = 0;
        List<(nint Address, int Order)> held = [];
        for (int order = 0; order <= PageAllocator.MaxOrder; order++)
        {
            foreach (KmemMobility mobility in Enum.GetValues<KmemMobility>())
            {
                byte* block = (byte*)heap.Pages.Alloc(order, mobility);
                Assert.Equal(0ul, (ulong)block % ((ulong)PageAllocator.PageSizeBytes << order));
                block[(PageAllocator.PageSizeBytes << order) - 1] = 1;
                held.Add(((nint)block, order));
                pages += 1L << order;
                Assert.Equal(pages, Ledger.AssertWhole(heap).PagesInUse);
            }
        }

        foreach ((nint address, int order) in held)
        {
            if (order % 2 == 0)
            {
                heap.Pages.Free((void*)address);
            }
            else
            {
                heap.Pages.Free((void*)address, order);
            }
        }

        heap.Pages.Free(null);
        heap.Pages.Free(null, 3);
        Ledger.AssertEmptyAfterTrim(heap);
    }

    [Fact]
    public void Orders_and_mobilities_out_of_range_are_refused()
    {
        using KmemHeap heap = Heaps.Create(FrontEnds.All[0]);
        foreach (int order in new[] { -1, 11, int.MaxValue, int.MinValue })
        {
            Assert.Throws<ArgumentOutOfRangeException>(() => { heap.Pages.Alloc(order); });
            Assert.Throws<ArgumentOutOfRangeException>(() => { heap.Pages.TryAlloc(order); });
            Assert.Throws<ArgumentOutOfRangeException>(() => heap.Pages.Free(null, order));
        }

        Assert.Throws<ArgumentOutOfRangeException>(() => { heap.Pages.Alloc(0, (KmemMobility)3); });
        Assert.Throws<ArgumentOutOfRangeException>(() => { heap.Pages.Alloc(0, (KmemMobility)(-1)); });
    }

    [Fact]
    public void Mistakes_with_blocks_have_their_names_and_no_effect()
    {
        using KmemHeap heap = Heaps.Create(FrontEnds.All[0]);
        byte* block = (byte*)heap.Pages.Alloc(3);
        void* small = heap.Alloc(100);
        void* large = heap.Alloc(100_000);
        AssertMisuse(() => heap.Pages.Free(block + 4096), KmemMisuse.InteriorPointer, "4096 bytes into a block of order 3");
        AssertMisuse(() => heap.Pages.Free(block + 8), KmemMisuse.InteriorPointer, "8 bytes into a block of order 3");
        AssertMisuse(() => heap.Pages.Free(block, 2), KmemMisuse.WrongSize, "Free of a block of order 2: the size is not this allocation's");
        AssertMisuse(() => heap.Free(block), KmemMisuse.WrongKind, "a block of order 3 of the page allocator");
        AssertMisuse(() => heap.Free(block + 4096), KmemMisuse.WrongKind, "a block of order 3 of the page allocator");
        AssertMisuse(() => heap.Free(block, 100), KmemMisuse.WrongKind, "a block of order 3");
        AssertMisuse(() => { heap.Realloc(block, 100); }, KmemMisuse.WrongKind, "a block of order 3");
        AssertMisuse(() => heap.Pages.Free(small), KmemMisuse.WrongKind, "'kmalloc-112'");
        AssertMisuse(() => heap.Pages.Free(large), KmemMisuse.WrongKind, "a large allocation");
        AssertMisuse(() => heap.Pages.Free((void*)0x1000_1000), KmemMisuse.ForeignPointer, "not an address of any Kmem heap");
        Assert.Equal(8, Ledger.AssertWhole(heap).PagesInUse);
        heap.Pages.Free(block, 3);
        AssertMisuse(() => heap.Pages.Free(block), KmemMisuse.AlreadyFree, "free pages");
        AssertMisuse(() => heap.Pages.Free(block + 4096, 0), KmemMisuse.AlreadyFree, "free pages");
        heap.Free(small);
        heap.Free(large);
        Ledger.AssertEmptyAfterTrim(heap);
    }

    [Fact]
    public void A_full_heap_says_so_and_gives_up_its_magazines_first()
    {
        KmemHeapOptions options = Heaps.Options(FrontEnds.All[0]);
        (options.ReserveBytes, options.Growable) = (8 << 20, false);
        using KmemHeap heap = new(options);
        void*[] objects = new void*[4000];
        for (int index = 0; index < objects.Length; index++)
        {
            objects[index] = heap.Alloc(1024);
        }

        foreach (void* each in objects)
        {
            heap.Free(each);
        }

        void* first = heap.Pages.Alloc(10);
        void* second = heap.Pages.Alloc(10);
        Assert.True(heap.Pages.TryAlloc(0) == null);
        OutOfMemoryException refused = Assert.Throws<OutOfMemoryException>(() => { heap.Pages.Alloc(10); });
        Assert.Contains("a block of order 10 (4,194,304 bytes)", refused.Message, StringComparison.Ordinal);
        heap.Pages.Free(first);
        heap.Pages.Free(second);
        Assert.Equal(0, heap.Pages.GetStatistics().AllocatedPages);
        Ledger.AssertEmptyAfterTrim(heap);
    }

    private static void AssertMisuse(Action action, KmemMisuse misuse, string words)
    {
        KmemMisuseException found = Assert.Throws<KmemMisuseException>(action);
        Assert.Equal(misuse, found.Misuse);
        Assert.Contains(words, found.Message, StringComparison.Ordinal);
    }
}
