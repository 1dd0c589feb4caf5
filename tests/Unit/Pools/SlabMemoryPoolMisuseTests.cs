using System;
using System.Buffers;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Threading;
using Kmem.Pooling;
using Xunit;

namespace Kmem.Tests.Unit.Pools;

/// <summary>Mistakes with leases: each is found where it was promised, and harms nobody.</summary>
public sealed class SlabMemoryPoolMisuseTests
{
    public static TheoryData<string> Kinds => [.. TestPool.All];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void To_return_twice_throws_and_names_pool_and_block(string kind)
    {
        using TestPool test = new(kind);
        List<KmemReport> reports = [];
        void Keep(KmemReport report) => reports.Add(report);
        IMemoryOwner<byte> owner = test.Pool.Rent(4000);
        owner.Dispose();
        KmemReports.Reported += Keep;
        KmemMisuseException thrown = Assert.Throws<KmemMisuseException>(owner.Dispose);
        KmemReports.Reported -= Keep;
        Assert.Contains("memory pool 'test-pool' of the heap 'pools'", thrown.Message, StringComparison.Ordinal);
        Assert.Contains("returned twice", thrown.Message, StringComparison.Ordinal);
        Assert.Contains($"0x{thrown.Address:x}", thrown.Message, StringComparison.Ordinal);
        KmemReport report = Assert.Single(reports, report => report.HeapName == "pools");
        Assert.Same(report, thrown.Report);
        Assert.Equal(KmemMisuse.AlreadyFree, report.Misuse);
        Assert.Equal((nuint)4096, report.RequestedBytes);
        Assert.NotEmpty(report.FoundBy);
        Assert.Equal(0, test.Pool.GetStatistics().RentedBlocks);
        Assert.Equal(1, test.Pool.GetStatistics().TotalReturns);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Use_after_the_return_throws(string kind)
    {
        using TestPool test = new(kind);
        IMemoryOwner<byte> owner = test.Pool.Rent(100);
        Memory<byte> memory = owner.Memory;
        owner.Dispose();
        foreach (Action use in new Action[] { () => _ = owner.Memory, () => _ = memory.Span, () => memory.Pin(), () => _ = memory[10..].Span })
        {
            ObjectDisposedException thrown = Assert.Throws<ObjectDisposedException>(use);
            Assert.Contains("'test-pool'", thrown.Message, StringComparison.Ordinal);
            Assert.Contains("used after it was returned", thrown.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void An_owner_is_used_again_only_after_many_others_were_returned()
    {
        using TestPool test = new("any");
        List<IMemoryOwner<byte>> returned = [];
        for (int turn = 0; turn < 10_000; turn++)
        {
            IMemoryOwner<byte> owner = test.Pool.Rent(16);
            Assert.DoesNotContain(owner, returned.TakeLast(LeaseShard.Window - 1));
            owner.Dispose();
            returned.Add(owner);
        }

        Assert.True(test.Pool.GetStatistics().OwnersCreated <= (LeaseShard.CountMax + 1) * Environment.ProcessorCount);
    }

    [Fact]
    public void Of_many_who_return_one_lease_one_succeeds()
    {
        using TestPool test = new("any");
        for (int turn = 0; turn < 200; turn++)
        {
            IMemoryOwner<byte> owner = test.Pool.Rent(64);
            int failures = 0;
            Thread[] threads = [.. Enumerable.Range(0, 3).Select(_ => new Thread(() =>
            {
                try
                {
                    owner.Dispose();
                }
                catch (KmemMisuseException)
                {
                    Interlocked.Increment(ref failures);
                }
            }))];
            Array.ForEach(threads, thread => thread.Start());
            Array.ForEach(threads, thread => thread.Join());
            Assert.Equal(2, failures);
        }

        Assert.Equal(200, test.Pool.GetStatistics().TotalReturns);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Checked_leases_tell_every_mistake_and_where_it_began(string kind)
    {
        using TestPool test = new(kind, options => options.CheckLeases = true);
        IMemoryOwner<byte> old = RentHere(test.Pool);
        Memory<byte> memory = old.Memory;
        ReturnHere(old);
        for (int turn = 0; turn < 1000; turn++)
        {
            test.Pool.Rent(100).Dispose();
        }

        KmemMisuseException twice = Assert.Throws<KmemMisuseException>(old.Dispose);
        Assert.Contains(twice.Report!.AllocatedBy, frame => frame.Contains(nameof(RentHere), StringComparison.Ordinal));
        Assert.Contains(twice.Report!.FreedBy, frame => frame.Contains(nameof(ReturnHere), StringComparison.Ordinal));
        Assert.Contains("\n  rented ", twice.Message, StringComparison.Ordinal);
        Assert.Throws<ObjectDisposedException>(() => memory.Span[0]);
        Assert.Equal(0, test.Pool.GetStatistics().PooledOwners);
        Assert.Equal(1001, test.Pool.GetStatistics().OwnersCreated);
    }

    [Fact]
    public void Checks_can_be_switched_while_leases_are_out()
    {
        using TestPool test = new("any");
        IMemoryOwner<byte> before = test.Pool.Rent(100);
        test.Pool.ChecksLeases = true;
        IMemoryOwner<byte> during = test.Pool.Rent(100);
        test.Pool.ChecksLeases = false;
        IMemoryOwner<byte> after = test.Pool.Rent(100);
        before.Dispose();
        during.Dispose();
        after.Dispose();
        Assert.Equal(0, test.Pool.GetStatistics().RentedBlocks);
        Assert.Equal(2, test.Pool.GetStatistics().PooledOwners);
        Assert.Throws<KmemMisuseException>(during.Dispose);
    }

    [Fact]
    public void A_lease_that_nobody_returned_is_counted_and_reported()
    {
        using TestPool test = new("any");
        List<KmemReport> reports = [];
        void Keep(KmemReport report)
        {
            lock (reports)
            {
                reports.Add(report);
            }
        }

        KmemReports.Reported += Keep;
        Drop(test.Pool, 20);
        for (int turn = 0; turn < 50 && test.Pool.GetStatistics().LostLeases < 20; turn++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        KmemReports.Reported -= Keep;
        Assert.Equal(20, test.Pool.GetStatistics().LostLeases);
        Assert.Equal(20, test.Pool.GetStatistics().RentedBlocks);
        List<KmemReport> lost = [.. reports.Where(report => report is { HeapName: "pools", Misuse: KmemMisuse.Leaked })];
        Assert.Equal(16, lost.Count);
        Assert.All(lost, report => Assert.Contains("'test-pool'", report.Text, StringComparison.Ordinal));
    }

    [Fact]
    public void Leases_that_outlive_their_heap_say_so()
    {
        KmemHeap heap = new(new KmemHeapOptions { Name = "short-lived" });
        SlabMemoryPool pool = new(new SlabMemoryPoolOptions { Name = "late", Heap = heap, BlockBytes = 4096 });
        IMemoryOwner<byte> owner = pool.Rent();
        Memory<byte> memory = owner.Memory;
        heap.Dispose();
        ObjectDisposedException thrown = Assert.Throws<ObjectDisposedException>(() => memory.Span[0]);
        Assert.Contains("used after its heap was disposed", thrown.Message, StringComparison.Ordinal);
        Assert.Throws<ObjectDisposedException>(() => owner.Memory);
        Assert.Throws<ObjectDisposedException>(owner.Dispose);
        Assert.Throws<ObjectDisposedException>(() => pool.Rent());
        pool.Dispose();
    }

    [Fact]
    public void A_write_after_the_return_is_found_with_the_letter_P()
    {
        using TestPool test = new("blocks");
        test.Heap.SetChecks("test-pool", KmemChecks.All);
        IMemoryOwner<byte> owner = test.Pool.Rent();
        Span<byte> kept = owner.Memory.Span;
        owner.Dispose();
        kept[17] = 1;
        KmemMisuseException thrown = Assert.Throws<KmemMisuseException>(test.Heap.Validate);
        Assert.Equal(KmemMisuse.WrittenAfterFree, thrown.Misuse);
        Assert.Contains("test-pool", thrown.Message, StringComparison.Ordinal);
        kept[17] = 0x6b;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static IMemoryOwner<byte> RentHere(SlabMemoryPool pool) => pool.Rent(100);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void ReturnHere(IMemoryOwner<byte> owner) => owner.Dispose();

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Drop(SlabMemoryPool pool, int count)
    {
        for (int index = 0; index < count; index++)
        {
            pool.Rent(100).Memory.Span[0] = 1;
        }
    }
}
