using System;
using System.Runtime.InteropServices;
using Xunit;

namespace Kmem.Tests.Unit.Sized;

public sealed unsafe class SizedMisuseTests
{
    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void A_sized_free_takes_every_size_of_the_class_and_refuses_others(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        for (nuint size = 1; size <= 4096; size += size < 200 ? 1u : 97u)
        {
            void* pointer = heap.Alloc(size);
            nuint usable = heap.UsableSize(pointer);
            AssertMisuse(heap, pointer, usable + 1, KmemMisuse.WrongSize);
            AssertMisuse(heap, pointer, nuint.MaxValue, KmemMisuse.WrongSize);
            AssertMisuse(heap, pointer, 0, KmemMisuse.WrongSize);
            heap.Free(pointer, size);
            pointer = heap.Alloc(size);
            heap.Free(pointer, usable);
        }

        void* plain = heap.Alloc(1000);
        KmemMisuseException found = AssertMisuse(heap, plain, 1025, KmemMisuse.WrongSize);
        Assert.Contains("Free of 1025 bytes: the size is not this allocation's", found.Message, StringComparison.Ordinal);
        Assert.Contains("'kmalloc-1024'", found.Message, StringComparison.Ordinal);
        heap.Free(plain);
        Ledger.AssertEmptyAfterTrim(heap);
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void A_sized_free_of_much_too_small_a_size_is_found(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);

        // 1536 bytes: objects are not aligned to more than 512, so that 100 bytes cannot mean one of them.
        void* pointer = heap.Alloc(1536);
        AssertMisuse(heap, pointer, 100, KmemMisuse.WrongSize);
        heap.Free(pointer);
        void* large = heap.Alloc(200_000);
        AssertMisuse(heap, large, 40_000, KmemMisuse.WrongSize);
        heap.Free(large);
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Mistakes_with_small_allocations_have_their_names(KmemFrontEnd frontEnd) => OneCpu.Run(() =>
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        KmemHeapOptions options = Heaps.Options(frontEnd);
        options.Name = "elsewhere";
        using KmemHeap other = new(options);
        byte* pointer = (byte*)heap.Alloc(64);
        Assert.Equal(KmemMisuse.InteriorPointer, Misuse(() => heap.Free(pointer + 8)));
        Assert.Equal(KmemMisuse.InteriorPointer, Misuse(() => heap.Free(pointer + 1)));
        Assert.Equal(KmemMisuse.WrongHeap, Misuse(() => other.Free(pointer)));
        Assert.Equal(KmemMisuse.WrongHeap, Misuse(() => Kmalloc.Free(pointer)));
        Assert.Equal(KmemMisuse.WrongKind, Misuse(() => heap.Pages.Free(pointer)));
        byte* native = (byte*)NativeMemory.Alloc(64);
        Assert.Equal(KmemMisuse.ForeignPointer, Misuse(() => heap.Free(native)));
        Assert.Equal(KmemMisuse.ForeignPointer, Misuse(() => heap.UsableSize(native)));
        Assert.Equal(KmemMisuse.ForeignPointer, Misuse(() => heap.Free(native, 64)));
        NativeMemory.Free(native);
        heap.Free(pointer);
        Assert.Equal(KmemMisuse.AlreadyFree, Misuse(() => heap.Free(pointer)));
        Ledger.AssertEmptyAfterTrim(heap);
        Assert.Equal(KmemMisuse.AlreadyFree, Misuse(() => heap.Free(pointer)));

        // Above the frontier: reserved, never handed out.
        byte* beyond = heap.FirstBase + (512 << 20);
        Assert.Equal(KmemMisuse.ForeignPointer, Misuse(() => heap.Free(beyond)));
        Ledger.AssertEmptyAfterTrim(heap);
        Ledger.AssertEmptyAfterTrim(other);
    });

    /// <summary>No address at all, whatever it is, makes anything but a named mistake, and describing it never fails.</summary>
    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Any_address_at_all_is_answered(KmemFrontEnd frontEnd)
    {
        int seed = Environment.TickCount;
        Random random = new(seed);
        using KmemHeap heap = Heaps.Create(frontEnd);
        void* kept = heap.Alloc(300);
        void* large = heap.Alloc(3 << 20);
        void* block = heap.Pages.Alloc(3);
        heap.Free(heap.Alloc(5000));
        for (int round = 0; round < 20_000; round++)
        {
            nuint address = random.Next(4) switch
            {
                0 => (nuint)random.NextInt64(),
                1 => (nuint)random.Next(1, 1 << 16),
                _ => (nuint)heap.FirstBase + (nuint)random.Next(0, 16 << 20),
            };
            string description = heap.Describe((void*)address);

            // The start of an object is taken: one that is free already, in its slab or below the top of a magazine, is found when the magazine is emptied.
            bool held = description.Contains(": object ", StringComparison.Ordinal);
            bool isStart = address == (nuint)kept || address == (nuint)large || held || description.Contains("allocation of 0 bytes", StringComparison.Ordinal);
            if (!isStart)
            {
                KmemMisuse misuse = Misuse(() => heap.Free((void*)address));
                Assert.True(misuse is KmemMisuse.ForeignPointer or KmemMisuse.InteriorPointer or KmemMisuse.AlreadyFree or KmemMisuse.WrongKind, $"seed {seed}: {description}: {misuse}");
            }
        }

        heap.Free(kept);
        heap.Free(large);
        heap.Pages.Free(block);
        Ledger.AssertEmptyAfterTrim(heap);
    }

    private static KmemMisuse Misuse(Action action) => Assert.Throws<KmemMisuseException>(action).Misuse;

    private static KmemMisuseException AssertMisuse(KmemHeap heap, void* pointer, nuint size, KmemMisuse misuse)
    {
        nint address = (nint)pointer;
        KmemMisuseException found = Assert.Throws<KmemMisuseException>(() => heap.Free((void*)address, size));
        Assert.Equal(misuse, found.Misuse);
        return found;
    }
}
