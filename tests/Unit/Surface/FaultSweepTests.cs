using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Xunit;

namespace Kmem.Tests.Unit.Surface;

/// <summary>A sweep lets each allocation of a body fail once, and finds what the body then does wrong.</summary>
public sealed unsafe class FaultSweepTests
{
    public static TheoryData<KmemFrontEnd> FrontEnds => [KmemFrontEnd.RestartableSequences, KmemFrontEnd.TryLock];

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void Code_that_cleans_up_passes_and_its_allocations_are_counted(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = SurfaceHeap.Make(frontEnd);
        using KmemCache cache = new("swept", 40, new KmemCacheOptions { Heap = heap });
        int runs = 0;
        KmemFaultSweepResult result = KmemFaultSweep.Run(heap, () =>
        {
            runs++;
            using Owner owner = new(heap);
            owner.Alloc(64);
            owner.Alloc(100_000);
            owner.Add((nint)cache.Alloc());
            owner.Add((nint)heap.AllocAligned(64, 4096));
            void* pages = heap.Pages.Alloc(2);
            heap.Pages.Free(pages);
            owner.Alloc(0);
        });
        Assert.Equal(new KmemFaultSweepResult(5, 5, 0), result);
        Assert.Equal(7, runs);
        Assert.Equal(KmemChecks.None, cache.Checks);
        Assert.Equal(KmemChecks.None, heap.GetChecks("kmalloc-64"));
        Assert.Equal(0, heap.GetStatistics().Caches.Sum(each => each.LiveObjects));
        heap.Validate();
    }

    [Fact]
    public void What_a_failure_leaves_behind_is_found_with_both_stacks()
    {
        using KmemHeap heap = SurfaceHeap.Make(KmemFrontEnd.TryLock);
        KmemFaultSweepException found = Assert.Throws<KmemFaultSweepException>(() => KmemFaultSweep.Run(heap, () =>
        {
            void* first = First(heap);
            void* second = Second(heap);
            heap.Free(second);
            heap.Free(first);
        }));
        Assert.Equal(2, found.FailedAllocation);
        Assert.Contains(nameof(Second), found.FailedAt[0], StringComparison.Ordinal);
        KmemSweepLeak leak = Assert.Single(found.Leaks);
        Assert.Equal(48u, leak.Bytes);
        Assert.Contains(nameof(First), leak.Frames[0], StringComparison.Ordinal);
        Assert.StartsWith("Kmem: When allocation 2 failed, 1 allocation(s) of the body were left behind:", found.Message, StringComparison.Ordinal);
        Assert.IsType<OutOfMemoryException>(found.InnerException);
        heap.Free((void*)leak.Address);
    }

    [Theory]
    [InlineData(100_000)]
    [InlineData(-1)]
    public void Runs_and_pages_that_are_left_behind_are_found_too(int size)
    {
        using KmemHeap heap = SurfaceHeap.Make(KmemFrontEnd.TryLock);
        KmemFaultSweepException found = Assert.Throws<KmemFaultSweepException>(() => KmemFaultSweep.Run(heap, () =>
        {
            void* first = size < 0 ? heap.Pages.Alloc(1) : heap.Alloc((nuint)size);
            heap.Free(Second(heap));
            if (size < 0)
            {
                heap.Pages.Free(first);
            }
            else
            {
                heap.Free(first);
            }
        }));
        Assert.Equal(2, found.FailedAllocation);
        Assert.Equal(size < 0 ? 8192u : (nuint)size, Assert.Single(found.Leaks).Bytes);
    }

    [Fact]
    public void A_leak_without_a_failure_is_found_in_the_last_run()
    {
        using KmemHeap heap = SurfaceHeap.Make(KmemFrontEnd.TryLock);
        KmemFaultSweepException found = Assert.Throws<KmemFaultSweepException>(() => KmemFaultSweep.Run(heap, () => First(heap)));
        Assert.Equal(0, found.FailedAllocation);
        Assert.Contains("When no allocation failed", found.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Another_exception_than_out_of_memory_is_a_finding()
    {
        using KmemHeap heap = SurfaceHeap.Make(KmemFrontEnd.TryLock);
        Action body = () =>
        {
            void* memory = heap.TryAlloc(64);
            if (memory == null)
            {
                throw new InvalidOperationException("no plan B");
            }

            heap.Free(memory);
        };
        KmemFaultSweepException found = Assert.Throws<KmemFaultSweepException>(() => KmemFaultSweep.Run(heap, body));
        Assert.Contains("When allocation 1 failed, the body threw System.InvalidOperationException: no plan B", found.Message, StringComparison.Ordinal);
        Assert.Equal(1, KmemFaultSweep.Run(heap, body, new KmemFaultSweepOptions { IsExpected = each => each is InvalidOperationException }).Allocations);
    }

    [Fact]
    public void A_body_that_fails_by_itself_and_one_without_end_are_findings()
    {
        using KmemHeap heap = SurfaceHeap.Make(KmemFrontEnd.TryLock);
        KmemFaultSweepException found = Assert.Throws<KmemFaultSweepException>(() => KmemFaultSweep.Run(heap, () => throw new OutOfMemoryException("mine")));
        Assert.Contains("When no allocation failed, the body threw", found.Message, StringComparison.Ordinal);
        int runs = 0;
        found = Assert.Throws<KmemFaultSweepException>(() => KmemFaultSweep.Run(
            heap,
            () =>
            {
                runs++;
                for (int index = 0; index < runs; index++)
                {
                    heap.Free(heap.Alloc(64));
                }
            },
            new KmemFaultSweepOptions { AllocationsMax = 20 }));
        Assert.Contains("more than 20 allocations", found.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Damage_that_a_failure_leads_to_is_a_finding()
    {
        using KmemHeap heap = SurfaceHeap.Make(KmemFrontEnd.TryLock);
        KmemFaultSweepException found = Assert.Throws<KmemFaultSweepException>(() => KmemFaultSweep.Run(heap, () =>
        {
            byte* first = (byte*)heap.Alloc(20);
            byte* larger = (byte*)heap.TryAlloc(40);
            (larger == null ? first : larger)[20] = 1;
            heap.Free(larger);
            heap.Free(first);
        }));
        Assert.Equal(2, found.FailedAllocation);
        Assert.Contains(nameof(KmemMisuseException), found.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_body_that_goes_on_is_told_apart_from_one_that_throws()
    {
        using KmemHeap heap = SurfaceHeap.Make(KmemFrontEnd.TryLock);
        Assert.Equal(new KmemFaultSweepResult(3, 1, 2), KmemFaultSweep.Run(heap, () =>
        {
            heap.Free(heap.TryAlloc(10));
            heap.Free(heap.TryAlloc(20_000_000));
            heap.Free(heap.Alloc(30));
        }));
    }

    [Fact]
    public void Allocations_of_other_threads_neither_count_nor_fail_nor_leak()
    {
        using KmemHeap heap = SurfaceHeap.Make(KmemFrontEnd.TryLock);
        using CancellationTokenSource stop = new();
        Thread other = new(() =>
        {
            List<nint> live = [];
            while (!stop.IsCancellationRequested)
            {
                live.Add((nint)heap.Alloc(64));
                if (live.Count > 100)
                {
                    live.ForEach(each => heap.Free((void*)each));
                    live.Clear();
                }
            }

            live.ForEach(each => heap.Free((void*)each));
        });
        other.Start();
        KmemFaultSweepResult result = KmemFaultSweep.Run(heap, () =>
        {
            using Owner owner = new(heap);
            for (int index = 0; index < 50; index++)
            {
                owner.Alloc(64);
            }
        });
        stop.Cancel();
        other.Join();
        Assert.Equal(new KmemFaultSweepResult(50, 50, 0), result);
        heap.Validate();
    }

    [Fact]
    public void What_is_made_once_or_given_back_by_the_clean_up_is_no_leak()
    {
        using KmemHeap heap = SurfaceHeap.Make(KmemFrontEnd.TryLock);
        nint once = 0;
        nint pooled = 0;
        KmemFaultSweepResult result = KmemFaultSweep.Run(
            heap,
            () =>
            {
                once = once == 0 ? (nint)heap.Alloc(64) : once;
                pooled = pooled == 0 ? (nint)heap.Alloc(64) : pooled;
            },
            new KmemFaultSweepOptions
            {
                CleanUp = () =>
                {
                    heap.Free((void*)pooled);
                    pooled = 0;
                },
            });
        Assert.Equal(1, result.Allocations);
        heap.Free((void*)once);
    }

    [Fact]
    public void One_finding_can_be_had_again_by_its_number()
    {
        using KmemHeap heap = SurfaceHeap.Make(KmemFrontEnd.TryLock);
        int runs = 0;
        Action body = () =>
        {
            runs++;
            using Owner owner = new(heap);
            for (int index = 0; index < 20; index++)
            {
                owner.Alloc(64);
            }

            nint last = (nint)owner.TryAlloc(64);
            if (last == 0)
            {
                _ = First(heap);
            }
        };
        Assert.Equal(21, Assert.Throws<KmemFaultSweepException>(() => KmemFaultSweep.Run(heap, body)).FailedAllocation);
        runs = 0;
        KmemFaultSweepOptions again = new() { FirstAllocation = 21, WarmsUp = false };
        Assert.Equal(21, Assert.Throws<KmemFaultSweepException>(() => KmemFaultSweep.Run(heap, body, again)).FailedAllocation);
        Assert.Equal(1, runs);
    }

    [Fact]
    public void A_cache_that_the_body_makes_is_swept_and_checks_come_back_as_they_were()
    {
        using KmemHeap heap = SurfaceHeap.Make(KmemFrontEnd.TryLock, options => options.Debug = "U,kmalloc-64");
        KmemFaultSweepResult result = KmemFaultSweep.Run(heap, () =>
        {
            using KmemCache cache = new("inner", 40, new KmemCacheOptions { Heap = heap });
            void* first = cache.Alloc();
            nint[] many = new nint[3];
            bool done = cache.AllocBulk(many);
            cache.FreeBulk(done ? many : []);
            cache.Free(first);
        });
        Assert.Equal(new KmemFaultSweepResult(4, 1, 3), result);
        Assert.Equal(KmemChecks.Users, heap.GetChecks("kmalloc-64"));
        Assert.Equal(KmemChecks.None, heap.GetChecks("kmalloc-80"));
        using KmemCache later = new("later", 40, new KmemCacheOptions { Heap = heap });
        Assert.Equal(KmemChecks.None, later.Checks);
    }

    [Fact]
    public void Two_sweeps_at_a_time_in_one_heap_do_not_mix()
    {
        using KmemHeap heap = SurfaceHeap.Make(KmemFrontEnd.TryLock);
        KmemFaultSweepResult[] results = new KmemFaultSweepResult[2];
        Thread[] threads = [.. Enumerable.Range(0, 2).Select(which => new Thread(() => results[which] = KmemFaultSweep.Run(heap, () =>
        {
            using Owner owner = new(heap);
            for (int index = 0; index < 30 + (which * 10); index++)
            {
                owner.Alloc(64);
            }
        })))];
        Array.ForEach(threads, each => each.Start());
        Array.ForEach(threads, each => each.Join());
        Assert.Equal([30, 40], results.Select(each => each.Allocations));
        Assert.Equal(KmemChecks.None, heap.GetChecks("kmalloc-64"));
    }

    private static void* First(KmemHeap heap) => heap.Alloc(48);

    private static void* Second(KmemHeap heap) => heap.Alloc(200);

    /// <summary>Frees what it was given.</summary>
    internal sealed class Owner(KmemHeap heap) : IDisposable
    {
        private readonly List<nint> _live = [];

        public void Alloc(nuint size) => Add((nint)heap.Alloc(size));

        public void* TryAlloc(nuint size)
        {
            nint memory = (nint)heap.TryAlloc(size);
            Add(memory);
            return (void*)memory;
        }

        public void Add(nint memory) => _live.Add(memory);

        public void Dispose() => _live.ForEach(each => heap.Free((void*)each));
    }
}

/// <summary>A flow goes where the body's tasks go.</summary>
public sealed class FaultSweepFlowTests
{
    [Fact]
    public async Task Tasks_of_the_body_belong_to_its_flow()
    {
        using KmemHeap heap = SurfaceHeap.Make(KmemFrontEnd.TryLock);
        KmemFaultSweepResult result = await KmemFaultSweep.RunAsync(heap, async () =>
        {
            using FaultSweepTests.Owner owner = new(heap);
            owner.Alloc(64);
            await Task.Yield();
            owner.Alloc(64);
            await Task.Run(() => owner.Alloc(64));
            owner.Alloc(64);
        });
        Assert.Equal(new KmemFaultSweepResult(4, 4, 0), result);
        Assert.Equal(2, KmemFaultSweep.Run(heap, () => Task.WaitAll(Task.Run(() => AllocAndFree(heap)), Task.Run(() => AllocAndFree(heap)))).Allocations);
    }

    private static unsafe void AllocAndFree(KmemHeap heap) => heap.Free(heap.Alloc(1));
}
