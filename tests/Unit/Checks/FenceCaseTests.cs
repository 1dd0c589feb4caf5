using System;
using System.Linq;
using Xunit;

namespace Kmem.Tests.Unit.Checks;

/// <summary>Twins of the cases of the kernel's mm/kfence/kfence_test.c that need no guard page, and of the errors that libumem tells apart.</summary>
public sealed unsafe class FenceCaseTests
{
    private static readonly Finish[] s_finishes = [new("Free", static (heap, p) => heap.Free((void*)p)), new("Realloc to more", static (heap, p) => heap.Realloc((void*)p, 1000))];

    private sealed record Finish(string Name, Action<KmemHeap, nint> Do);

    // ------------------------------------------------------------------ kfence_test

    [Theory]
    [InlineData("")]
    [InlineData("P")]
    [InlineData("Z")]
    [InlineData("FZPU")]
    public void Double_free(string letters)
    {
        using CheckedHeap bench = new(letters);
        void* p = bench.Heap.Alloc(32);
        bench.Heap.Free(p);
        KmemReport report = bench.AssertThrows(() => bench.Heap.Free(p));
        Assert.Equal((KmemMisuse.AlreadyFree, (nuint)p), (report.Misuse, report.Address));
        bench.AssertClean();
        Assert.Equal(0, bench.Heap.FindLeaks().Objects);
    }

    [Fact]
    public void Double_free_that_a_magazine_hid_is_a_report_too()
    {
        using CheckedHeap bench = new("-");
        using KmemCache cache = bench.CreateCache("hidden", 64);
        void* p = cache.Alloc();
        void* other = cache.Alloc();
        cache.Free(p);
        cache.Free(other);
        cache.Free(p);
        KmemReport report = bench.AssertThrows(() => cache.Shrink());
        Assert.Equal((KmemMisuse.AlreadyFree, (nuint)p, "hidden", "Free"), (report.Misuse, report.Address, report.CacheName, report.Operation));
        bench.AssertClean();
    }

    [Theory]
    [InlineData("")]
    [InlineData("FZPU")]
    public void Invalid_free_of_an_address_one_byte_in(string letters)
    {
        using CheckedHeap bench = new(letters);
        byte* p = (byte*)bench.Heap.Alloc(32);
        Assert.Equal(KmemMisuse.InteriorPointer, bench.AssertThrows(() => bench.Heap.Free(p + 1)).Misuse);
        bench.Heap.Free(p);
        bench.AssertClean();
    }

    [Fact]
    public void Invalid_free_of_an_address_in_a_zone()
    {
        using CheckedHeap bench = new("FZPU");
        using KmemCache cache = bench.CreateCache("zoned", 64);
        byte* p = (byte*)cache.Alloc();
        foreach (int offset in new[] { -1, -8, 64, 72, 80 })
        {
            KmemReport report = bench.AssertThrows(() => cache.Free(p + offset));
            Assert.Equal((KmemMisuse.InteriorPointer, (nuint)(p + offset)), (report.Misuse, report.Address));
        }

        cache.Free(p);
        bench.AssertClean();
    }

    [Fact]
    public void Corruption_on_either_side_is_found_at_the_end_of_the_object()
    {
        foreach (Finish finish in s_finishes)
        {
            foreach (int offset in new[] { -1, 32 })
            {
                using CheckedHeap bench = new("Z");
                byte* p = (byte*)bench.Heap.Alloc(32);
                p[offset] = 42;
                KmemReport report = bench.AssertThrows(() => finish.Do(bench.Heap, (nint)p));
                Assert.Equal((offset < 0 ? KmemMisuse.WrittenBefore : KmemMisuse.WrittenPast, (nuint)(p + offset)), (report.Misuse, report.BadAddress));
                bench.AssertClean();
                Assert.Equal(0, LiveObjects(bench.Heap));
            }
        }
    }

    [Fact]
    public void Corruption_is_found_by_a_change_of_size_in_place()
    {
        using CheckedHeap bench = new("Z");
        byte* p = (byte*)bench.Heap.Alloc(60);
        p[60] = 42;
        KmemReport report = bench.AssertThrows(() => bench.Heap.Realloc(p, 62));
        Assert.Equal((KmemMisuse.WrittenPast, (nuint)(p + 60), (nuint)60), (report.Misuse, report.BadAddress, report.RequestedBytes));
    }

    [Theory]
    [InlineData(73, 64)]
    [InlineData(73, 8)]
    [InlineData(33, 32)]
    public void A_write_into_the_gap_behind_an_aligned_object(int size, int alignment)
    {
        using CheckedHeap bench = new("Z");
        using KmemCache cache = bench.CreateCache("gap", size, set: options => options.AlignmentBytes = (nuint)alignment);
        byte* p = (byte*)cache.Alloc();
        Assert.Equal((nuint)0, (nuint)p % (nuint)alignment);
        p[size] ^= 0xFF;
        Assert.Equal((nuint)(p + size), bench.AssertThrows(() => cache.Free(p)).BadAddress);
        bench.AssertClean();
    }

    [Fact]
    public void Realloc_keeps_the_bytes_and_a_zone_behind_them()
    {
        using CheckedHeap bench = new("FZPU");
        byte* p = (byte*)bench.Heap.Alloc(1);
        p[0] = 1;
        for (int bytes = 2; bytes < 3000; bytes++)
        {
            p = (byte*)bench.Heap.Realloc(p, (nuint)bytes);
            p[bytes - 1] = (byte)bytes;
            Assert.Equal((byte)(bytes - 1), p[bytes - 2]);
            Assert.Equal(0xCC, p[bytes]);
        }

        for (int at = 0; at < 2999; at++)
        {
            Assert.Equal((byte)(at + 1), p[at]);
        }

        Assert.True(bench.Heap.Realloc(p, 0) != p);
        KmemReport report = bench.AssertThrows(() => bench.Heap.Realloc(p, 10));
        Assert.Equal(KmemMisuse.AlreadyFree, report.Misuse);
        bench.AssertClean();
        Assert.Equal(0, LiveObjects(bench.Heap));
    }

    [Fact]
    public void Bulk_frees_tell_of_the_damaged_one_and_free_the_others()
    {
        using CheckedHeap bench = new("FZPU");
        using KmemCache cache = bench.CreateCache("bulk", 32);
        nint[] objects = new nint[20];
        Assert.True(cache.AllocBulk(objects));
        ((byte*)objects[7])[32] = 42;
        KmemReport report = bench.AssertThrows(() => cache.FreeBulk(objects));
        Assert.Equal((KmemMisuse.WrittenPast, (nuint)objects[7]), (report.Misuse, report.Address));
        foreach (nint each in objects)
        {
            Assert.Contains(each == objects[7] ? "set aside" : "free", bench.Heap.Describe((void*)each), StringComparison.Ordinal);
        }

        bench.AssertClean();
    }

    [Fact]
    public void Bulk_frees_that_name_one_twice()
    {
        using CheckedHeap bench = new("FZPU");
        using KmemCache cache = bench.CreateCache("bulk", 32);
        nint[] objects = new nint[4];
        Assert.True(cache.AllocBulk(objects));
        KmemReport report = bench.AssertThrows(() => cache.FreeBulk([objects[0], objects[1], objects[0], objects[2]]));
        Assert.Equal((KmemMisuse.AlreadyFree, (nuint)objects[0]), (report.Misuse, report.Address));
        cache.Free((void*)objects[3]);
        bench.AssertClean();
        Assert.Equal(0, cache.GetStatistics().LiveObjects);
    }

    [Fact]
    public void Bulk_allocations_tell_of_a_damaged_free_object()
    {
        using CheckedHeap bench = new("P");
        using KmemCache cache = bench.CreateCache("bulk", 32);
        void* kept = cache.Alloc();
        byte* p = (byte*)cache.Alloc();
        cache.Free(p);
        p[3] = 42;
        nint[] objects = new nint[200];
        KmemReport report = bench.AssertThrows(() => cache.AllocBulk(objects));
        Assert.Equal((KmemMisuse.WrittenAfterFree, (nuint)(p + 3)), (report.Misuse, report.BadAddress));
        Assert.All(objects, static each => Assert.Equal(0, each));
        cache.Free(kept);
        bench.AssertClean();
    }

    [Theory]
    [InlineData("")]
    [InlineData("F")]
    [InlineData("Z")]
    [InlineData("P")]
    [InlineData("FZPU")]
    public void Objects_are_handed_out_in_constructed_state(string letters)
    {
        using CheckedHeap bench = new(letters);
        using KmemCache cache = bench.CreateCache("ctor", 32, set: static options => options.Constructor = &Construct);
        for (int round = 0; round < 100; round++)
        {
            byte* p = (byte*)cache.Alloc();
            Assert.Equal(new string('x', 32), new string((sbyte*)p, 0, 32));
            cache.Free(p);
        }

        bench.AssertClean();
    }

    [Theory]
    [InlineData("P")]
    [InlineData("FZPU")]
    public void Cleared_memory_is_cleared_of_poison(string letters)
    {
        using CheckedHeap bench = new(letters);
        using KmemCache cache = bench.CreateCache("zero", 100, set: static options => options.Flags = KmemCacheFlags.ZeroOnAlloc);
        nint[] bulk = new nint[3];
        for (int round = 0; round < 3; round++)
        {
            foreach (int bytes in new[] { 1, 18, 100, 4096, 100_000 })
            {
                void* p = bench.Heap.AllocZeroed((nuint)bytes);
                Assert.False(new ReadOnlySpan<byte>(p, bytes).ContainsAnyExcept((byte)0));
                bench.Heap.Free(p);
            }

            void* object1 = cache.Alloc();
            Assert.False(new ReadOnlySpan<byte>(object1, 100).ContainsAnyExcept((byte)0));
            cache.Free(object1);
            Assert.True(cache.AllocBulk(bulk));
            Assert.All(bulk, static each => Assert.False(new ReadOnlySpan<byte>((void*)each, 100).ContainsAnyExcept((byte)0)));
            cache.FreeBulk(bulk);
        }

        bench.AssertClean();
    }

    // ------------------------------------------------------------------ libumem

    [Fact]
    public void Wrong_cache_names_both()
    {
        using CheckedHeap bench = new("FZPU");
        using KmemCache cache = bench.CreateCache("right", 64);
        using KmemCache other = bench.CreateCache("wrong", 64);
        void* p = cache.Alloc();
        KmemReport report = bench.AssertThrows(() => other.Free(p));
        Assert.Equal((KmemMisuse.WrongCache, "right"), (report.Misuse, report.CacheName));
        Assert.Contains("Free to the cache 'wrong'", report.Text, StringComparison.Ordinal);
        cache.Free(p);
        bench.AssertClean();
    }

    [Fact]
    public void Size_mismatch()
    {
        using CheckedHeap bench = new("FZPU");
        void* p = bench.Heap.Alloc(100);
        Assert.Equal(KmemMisuse.WrongSize, bench.AssertThrows(() => bench.Heap.Free(p, 200)).Misuse);
        bench.Heap.Free(p, 100);
        bench.AssertClean();
    }

    [Fact]
    public void Modified_after_free_tells_where_and_what()
    {
        using CheckedHeap bench = new("FZPU");
        uint* p = (uint*)bench.Heap.Alloc(64);
        bench.Heap.Free(p);
        p[3] = 0xDEADBEEF;
        KmemReport report = bench.AssertThrows(() => bench.Heap.Trim());
        Assert.Equal((KmemMisuse.WrittenAfterFree, (nuint)(p + 3), (nuint)4, (byte)0xEF), (report.Misuse, report.BadAddress, report.BadBytes, report.Found));
        Assert.Contains("ef>be>ad>de", report.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Bad_addresses()
    {
        using CheckedHeap bench = new("FZPU");
        int local = 0;
        byte[] managed = GC.AllocateArray<byte>(64, pinned: true);
        fixed (byte* inside = managed)
        {
            foreach (nint each in new[] { (nint)(&local), (nint)inside, 0x1234560, -16 })
            {
                Assert.Equal(KmemMisuse.ForeignPointer, bench.AssertThrows(() => bench.Heap.Free((void*)each)).Misuse);
            }
        }

        bench.AssertClean();
    }

    [Fact]
    public void A_duplicate_free_is_told_long_after_with_who_did_the_first()
    {
        using CheckedHeap bench = new("FZPU");
        void* p = bench.Heap.Alloc(64);
        FreeFirst(bench.Heap, p);
        for (int round = 0; round < 1000; round++)
        {
            bench.Heap.Free(bench.Heap.Alloc(64));
        }

        KmemReport report = bench.AssertThrows(() => bench.Heap.Free(p));
        Assert.Equal(KmemMisuse.AlreadyFree, report.Misuse);
        Assert.Contains(nameof(FreeFirst), report.FreedBy[0], StringComparison.Ordinal);
        Assert.Contains(nameof(A_duplicate_free_is_told_long_after_with_who_did_the_first), report.AllocatedBy[0], StringComparison.Ordinal);
    }

    [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
    private static void FreeFirst(KmemHeap heap, void* p) => heap.Free(p);

    private static bool Construct(void* p, void* context)
    {
        new Span<byte>(p, 32).Fill((byte)'x');
        return true;
    }

    private static long LiveObjects(KmemHeap heap) => heap.FindLeaks().Objects + heap.FindLeaks().UntrackedObjects;
}
