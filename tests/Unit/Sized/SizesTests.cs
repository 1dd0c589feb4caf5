using System;
using System.Numerics;
using Xunit;

namespace Kmem.Tests.Unit.Sized;

public sealed unsafe class SizesTests
{
    /// <summary>Both front ends, both sets of classes.</summary>
    public static TheoryData<KmemFrontEnd, KmemSizeClasses> Heaps2
    {
        get
        {
            TheoryData<KmemFrontEnd, KmemSizeClasses> data = [];
            foreach (KmemFrontEnd frontEnd in FrontEnds.All)
            {
                data.Add(frontEnd, KmemSizeClasses.Default);
                data.Add(frontEnd, KmemSizeClasses.Kernel);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Heaps2))]
    public void Every_size_up_to_40000_is_served_aligned_and_rounded_as_announced(KmemFrontEnd frontEnd, KmemSizeClasses classes)
    {
        using KmemHeap heap = Create(frontEnd, classes);
        nuint largest = classes == KmemSizeClasses.Kernel ? 8192u : 32_768u;
        nuint previous = 0;
        for (nuint size = 0; size <= 40_000; size++)
        {
            byte* pointer = (byte*)heap.Alloc(size);
            nuint usable = heap.UsableSize(pointer);
            nuint announced = heap.RoundUpSize(size);
            Assert.True(pointer != null && usable == announced && usable >= size && announced >= previous, $"{size}: usable {usable}, announced {announced}");
            previous = announced;

            // A power of two is aligned to itself up to a page, any other class to its largest power-of-two divisor, at least 16 (8 for the kernel's 8).
            nuint alignment = size == 0 ? 16 : usable & (~usable + 1);
            alignment = alignment > 4096 ? 4096 : alignment;
            Assert.True(alignment >= (classes == KmemSizeClasses.Kernel && usable == 8 ? 8u : 16u) && (nuint)pointer % alignment == 0, $"{size} at 0x{(nuint)pointer:x}");
            Assert.True(size == 0 || size > largest || (usable <= largest && heap.RoundUpSize(usable) == usable), $"{size}");
            Assert.True(size <= largest || usable == ((size + 4095) & ~(nuint)4095), $"{size}");
            if (size != 0)
            {
                pointer[0] = 1;
                pointer[usable - 1] = 2;
            }

            heap.Free(pointer);
        }

        Ledger.AssertEmptyAfterTrim(heap);
    }

    [Fact]
    public void The_default_classes_are_sixteen_apart_and_then_eight_to_a_doubling()
    {
        using KmemHeap heap = Create(FrontEnds.All[0], KmemSizeClasses.Default);
        int classes = 0;
        for (nuint size = 1; size <= 32_768; size = heap.RoundUpSize(size) + 1)
        {
            nuint rounded = heap.RoundUpSize(size);
            classes++;
            nuint below = (nuint)BitOperations.RoundUpToPowerOf2(rounded) / 2;
            nuint step = below < 128 ? 16 : below / 8;
            Assert.Equal((nuint)0, rounded % step);
            Assert.True(rounded <= 128 || (rounded - size) * 9 <= rounded, $"{size} → {rounded} loses more than a ninth");
        }

        Assert.Equal(72, classes);
        Assert.Equal((nuint)36_864, heap.RoundUpSize(32_769));
        Assert.Equal((nuint)0, heap.RoundUpSize(0));
        Assert.Equal(nuint.MaxValue, heap.RoundUpSize(nuint.MaxValue));
    }

    [Fact]
    public void The_kernels_classes_are_the_kernels()
    {
        using KmemHeap heap = Create(FrontEnds.All[0], KmemSizeClasses.Kernel);
        nuint[] expected = [8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192];
        nuint size = 1;
        foreach (nuint each in expected)
        {
            Assert.Equal(each, heap.RoundUpSize(size));
            size = each + 1;
        }

        Assert.Equal((nuint)12_288, heap.RoundUpSize(size));
        Assert.Equal(4, Ledger.Of(heap, "kmalloc-2k").Order + 1);
    }

    [Theory]
    [MemberData(nameof(Heaps2))]
    public void Every_power_of_two_alignment_up_to_64_MiB_is_served_for_sizes_around_every_power_of_two(KmemFrontEnd frontEnd, KmemSizeClasses classes)
    {
        using KmemHeap heap = Create(frontEnd, classes);
        for (nuint alignment = 1; alignment <= 64 << 20; alignment *= 2)
        {
            for (nuint power = 1; power <= 1 << 18; power *= 2)
            {
                foreach (nuint size in new[] { power - 1, power, power + 1 })
                {
                    byte* pointer = (byte*)heap.AllocAligned(size, alignment);
                    Assert.True((nuint)pointer % alignment == 0, $"{size} aligned to {alignment}: 0x{(nuint)pointer:x}");
                    Assert.True(heap.UsableSize(pointer) >= size);
                    if (size != 0)
                    {
                        pointer[0] = 1;
                        pointer[size - 1] = 1;
                        heap.Free(pointer, size);
                    }
                    else
                    {
                        heap.Free(pointer);
                    }
                }
            }
        }

        Ledger.AssertEmptyAfterTrim(heap);
    }

    [Fact]
    public void The_largest_alignment_is_1_GiB_and_anything_else_is_refused()
    {
        KmemHeapOptions options = Kmem.Tests.Heaps.Options(FrontEnds.All[0]);
        options.ReserveBytes = (nuint)4 << 30;
        using KmemHeap heap = new(options);
        void* pointer = heap.AllocAligned(100, 1 << 30);
        Assert.Equal((nuint)0, (nuint)pointer % (1 << 30));
        heap.Free(pointer);
        foreach (nuint alignment in new nuint[] { 0, 3, 12, 4095, ((nuint)1 << 30) + 1, (nuint)1 << 31, nuint.MaxValue, (nuint)1 << 63 })
        {
            Assert.Contains("power of two", Assert.Throws<ArgumentException>(() => { heap.AllocAligned(8, alignment); }).Message, StringComparison.Ordinal);
        }

        Ledger.AssertEmptyAfterTrim(heap);
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void A_size_of_zero_gives_a_pointer_that_is_not_memory_and_may_be_freed(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Kmem.Tests.Heaps.Create(frontEnd);
        void* zero = heap.Alloc(0);
        Assert.True(zero != null);
        Assert.Equal((nuint)0, heap.UsableSize(zero));
        Assert.True(heap.TryAlloc(0) != null && heap.AllocZeroed(0) != null);
        Assert.Contains("an allocation of 0 bytes", heap.Describe(zero), StringComparison.Ordinal);
        heap.Free(zero);
        heap.Free(zero);
        heap.Free(zero, 0);
        heap.Free(heap.AllocAligned(0, 1 << 20));
        heap.Free(null);
        heap.Free(null, 8);
        Assert.Equal((nuint)0, heap.UsableSize(null));
        void* grown = heap.Realloc(zero, 40);
        Assert.True(heap.UsableSize(grown) >= 40);
        Assert.Equal((nuint)0, heap.UsableSize(heap.Realloc(grown, 0)));
        Ledger.AssertEmptyAfterTrim(heap);
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Zeroed_memory_is_zero_fresh_or_used(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Kmem.Tests.Heaps.Create(frontEnd);
        foreach (int size in new[] { 1, 16, 100, 4096, 32_768, 32_769, 200_000, 5_000_000 })
        {
            for (int round = 0; round < 4; round++)
            {
                void* pointer = heap.AllocZeroed((nuint)size);
                Span<byte> bytes = new(pointer, size);
                Assert.Equal(-1, bytes.IndexOfAnyExcept((byte)0));
                bytes.Fill(0xFF);
                heap.Free(pointer);
                if (round == 2)
                {
                    heap.Trim();
                }
            }
        }
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void The_shared_heap_serves_the_static_calls(KmemFrontEnd frontEnd)
    {
        _ = frontEnd;
        byte* pointer = (byte*)Kmalloc.Alloc(100);
        Assert.Equal(KmemHeap.Shared.UsableSize(pointer), Kmalloc.UsableSize(pointer));
        Assert.Equal((nuint)112, Kmalloc.RoundUpSize(100));
        pointer = (byte*)Kmalloc.Realloc(pointer, 5000);
        Kmalloc.Free(pointer, 5000);
        pointer = (byte*)Kmalloc.AllocZeroed(50_000);
        Assert.Equal(0, pointer[49_999]);
        Kmalloc.Free(pointer);
        pointer = (byte*)Kmalloc.AllocAligned(10, 4096);
        Assert.Equal((nuint)0, (nuint)pointer % 4096);
        Kmalloc.Free(pointer);
        Kmalloc.Free(Kmalloc.TryAlloc(7));
        Kmalloc.Free(Kmalloc.Alloc(0));
        Kmalloc.Free(null);
        Assert.Equal(KmemMisuse.ForeignPointer, Assert.Throws<KmemMisuseException>(() => Kmalloc.Free((void*)0x1234_5678)).Misuse);
        KmemHeap.Shared.Dispose();
        Kmalloc.Free(Kmalloc.Alloc(8));
    }

    private static KmemHeap Create(KmemFrontEnd frontEnd, KmemSizeClasses classes)
    {
        KmemHeapOptions options = Kmem.Tests.Heaps.Options(frontEnd);
        options.SizeClasses = classes;
        return new KmemHeap(options);
    }
}
