using System;
using System.Threading;
using Xunit;

namespace Kmem.Tests.Unit.Checks;

/// <summary>
/// Twins of the kernel's own tests of its checks, lib/tests/slub_kunit.c. The kernel counts two errors for a report and its repair, and finds damage at the next validation; here each is one
/// report, and the object is whole afterwards.
/// </summary>
public sealed unsafe class SlubCaseTests
{
    private const string Zones = "FZU";
    private const string Poison = "FPU";

    [Fact]
    public void Clobbered_right_zone()
    {
        using CheckedHeap bench = new(Zones, KmemMisusePolicy.Repair);
        using KmemCache cache = bench.CreateCache("TestSlub_RZ_alloc", 64);
        byte* p = (byte*)cache.Alloc();
        p[64] = 0x12;
        cache.Validate();
        AssertReport(bench.TakeReport(), KmemMisuse.WrittenPast, p, 64, 0x12, 0xCC);
        bench.AssertClean();
        cache.Free(p);
        bench.AssertClean();
    }

    [Fact]
    public void Corrupted_next_pointer()
    {
        // The kernel's lies in the free object; ours in the track of an object that waits. What is behind it in the queue is lost, and nothing else.
        using CheckedHeap bench = new("FZPU", KmemMisusePolicy.Repair);
        using KmemCache cache = bench.CreateCache("TestSlub_next_ptr_free", 64);
        byte* p = (byte*)cache.Alloc();
        void* behind = cache.Alloc();
        cache.Free(p);
        cache.Free(behind);
        *(nuint*)(p + bench.LayoutOf(p).TrackOffset + 8) += 0x12;
        cache.Validate();
        KmemReport report = bench.TakeReport();
        Assert.Equal((KmemMisuse.TrackDamaged, (nuint)p), (report.Misuse, report.Address));
        bench.AssertClean();
        cache.Free(cache.Alloc());
        _ = cache.Shrink();
        bench.AssertClean();
    }

    [Fact]
    public void Corrupted_next_pointer_then_repaired_by_hand()
    {
        using CheckedHeap bench = new("FZPU", KmemMisusePolicy.Repair);
        using KmemCache cache = bench.CreateCache("TestSlub_next_ptr_free", 64);
        byte* p = (byte*)cache.Alloc();
        void* behind = cache.Alloc();
        cache.Free(p);
        cache.Free(behind);
        *(nuint*)(p + bench.LayoutOf(p).TrackOffset + 8) += 0x12;
        *(nuint*)(p + bench.LayoutOf(p).TrackOffset + 8) -= 0x12;
        bench.AssertClean();
        _ = cache.Shrink();
        bench.AssertClean();
    }

    [Theory]
    [InlineData("TestSlub_1th_word_free", 0)]
    [InlineData("TestSlub_50th_word_free", 50)]
    public void Written_after_the_free(string name, int offset)
    {
        using CheckedHeap bench = new(Poison, KmemMisusePolicy.Repair);
        using KmemCache cache = bench.CreateCache(name, 64);
        byte* p = (byte*)cache.Alloc();
        cache.Free(p);
        p[offset] = 0x78;
        cache.Validate();
        AssertReport(bench.TakeReport(), KmemMisuse.WrittenAfterFree, p, offset, 0x78, 0x6B);
        bench.AssertClean();
    }

    [Fact]
    public void Clobbered_right_zone_of_a_free_object()
    {
        using CheckedHeap bench = new(Zones, KmemMisusePolicy.Repair);
        using KmemCache cache = bench.CreateCache("TestSlub_RZ_free", 64);
        byte* p = (byte*)cache.Alloc();
        cache.Free(p);
        p[64] = 0xAB;
        cache.Validate();
        AssertReport(bench.TakeReport(), KmemMisuse.WrittenPast, p, 64, 0xAB, 0xBB);
        bench.AssertClean();
    }

    [Fact]
    public void Written_past_18_requested_bytes_of_32()
    {
        using CheckedHeap bench = new(Zones, KmemMisusePolicy.Repair);
        byte* p = (byte*)bench.Heap.Alloc(18);
        p[18] = 0xAB;
        p[19] = 0xAB;
        bench.Heap.Validate();
        KmemReport report = bench.TakeReport();
        AssertReport(report, KmemMisuse.WrittenPast, p, 18, 0xAB, 0xCC, bytes: 2);
        Assert.Equal(((nuint)18, "kmalloc-32"), (report.RequestedBytes, report.CacheName));
        bench.Heap.Free(p);
        bench.AssertClean();
    }

    [Fact]
    public void Freed_by_another_thread_and_the_cache_ends_at_once()
    {
        using CheckedHeap bench = new("FZPU");
        for (int round = 0; round < 10; round++)
        {
            KmemCache cache = bench.CreateCache("TestSlub_kfree_rcu_wq", 64);
            nint p = (nint)cache.Alloc();
            Thread freer = new(() => cache.Free((void*)p));
            freer.Start();
            freer.Join();
            cache.Dispose();
        }

        bench.AssertClean();
    }

    [Fact]
    public void Leaked_then_destroyed()
    {
        using CheckedHeap bench = new("FZPU");
        KmemCache cache = bench.CreateCache("TestSlub_leak_destroy", 64);
        void* p = cache.Alloc();
        KmemReport report = bench.AssertThrows(cache.Dispose);
        Assert.Equal((KmemMisuse.LiveObjects, (nuint)p, (nuint)64), (report.Misuse, report.Address, report.RequestedBytes));
        Assert.Contains(nameof(Leaked_then_destroyed), report.AllocatedBy[0], StringComparison.Ordinal);
        cache.Free(p);
        cache.Dispose();
        bench.AssertClean();
    }

    [Fact]
    public void Shrunk_and_grown_the_zone_moves_along()
    {
        using CheckedHeap bench = new("FZPU", set: static options => options.SizeClasses = KmemSizeClasses.Kernel);
        byte* p = (byte*)bench.Heap.AllocZeroed(64);
        AssertAll(p, 0, 64, 0);

        // Smaller: what is given up becomes red.
        Assert.True((byte*)bench.Heap.Realloc(p, 40) == p);
        AssertAll(p, 0, 40, 0);
        AssertAll(p, 40, 64, 0xCC);
        bench.AssertClean();

        // Larger again, which never is in place with zones: what is new is not red, and may be written.
        byte* old = p;
        p = (byte*)bench.Heap.Realloc(p, 56);
        Assert.True(p != old);
        AssertAll(p, 0, 40, 0);
        AssertAll(old, 0, 63, 0x6B);
        AssertAll(p, 56, 64, 0xCC);
        p[55] = 1;
        bench.AssertClean();
        p[56] = 0x12;
        AssertReport(bench.AssertThrows(bench.Heap.Validate), KmemMisuse.WrittenPast, p, 56, 0x12, 0xCC);

        // To another class: the bytes come along, and the old object is poisoned.
        byte* q = (byte*)bench.Heap.Realloc(p, 112);
        Assert.True(q != p);
        AssertAll(q, 0, 40, 0);
        Assert.Equal(1, q[55]);
        AssertAll(q, 112, 128, 0xCC);
        AssertAll(p, 0, 63, 0x6B);
        bench.Heap.Free(q);
        bench.AssertClean();
    }

    private static void AssertReport(KmemReport report, KmemMisuse misuse, byte* p, int offset, byte found, byte expected, int bytes = 1)
    {
        Assert.Equal((misuse, (nuint)p, (nuint)(p + offset)), (report.Misuse, report.Address, report.BadAddress));
        Assert.Equal((found, expected, (nuint)bytes), (report.Found, report.Expected, report.BadBytes));
    }

    private static void AssertAll(byte* p, int from, int to, byte value)
    {
        for (int at = from; at < to; at++)
        {
            Assert.True(p[at] == value, $"byte {at} is 0x{p[at]:x2}, not 0x{value:x2}");
        }
    }
}
