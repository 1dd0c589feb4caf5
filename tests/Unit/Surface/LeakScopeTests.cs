using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Xunit;

namespace Kmem.Tests.Unit.Surface;

/// <summary>Scopes that must end empty.</summary>
public sealed class LeakScopeTests
{
    [Fact]
    public unsafe void A_scope_that_freed_everything_ends_in_silence()
    {
        using KmemHeap heap = LeakTests.Make("");
        void* before = heap.Alloc(100);
        using (KmemLeakScope scope = heap.LeakScope("clean"))
        {
            Assert.Equal(("clean", heap), (scope.Name, scope.Heap));
            heap.Free((void*)LeakTests.AllocSmall(heap));
        }

        heap.Free(before);
    }

    [Fact]
    public unsafe void What_a_scope_leaves_is_one_report_by_site()
    {
        using KmemHeap heap = LeakTests.Make("");
        void* before = heap.Alloc(100);
        KmemLeakScope scope = heap.LeakScope("request");
        nint small = LeakTests.AllocSmall(heap);
        nint big = LeakTests.AllocBig(heap);
        KmemMisuseException leaked = Assert.Throws<KmemMisuseException>(scope.Dispose);
        Assert.Equal(KmemMisuse.Leaked, leaked.Misuse);
        Assert.StartsWith("Kmem: leaked: 2 live object(s) of 1100 bytes at the end of the scope 'request' of the heap 'leaky'\n", leaked.Message, StringComparison.Ordinal);
        Assert.Contains(nameof(LeakTests.AllocSmall), leaked.Message, StringComparison.Ordinal);
        Assert.Contains(nameof(LeakTests.AllocBig), leaked.Report!.AllocatedBy[0], StringComparison.Ordinal);
        Assert.Equal((1100u, "Dispose", "leaky"), (leaked.Report.RequestedBytes, leaked.Report.Operation, leaked.Report.HeapName));
        Assert.Contains((nint)leaked.Report.Address, new[] { small, big });

        // It is told once; the objects live on and can be freed.
        scope.Dispose();
        heap.Free((void*)small);
        heap.Free((void*)big);
        heap.Free(before);
        heap.Validate();
    }

    [Fact]
    public async Task A_scope_flows_through_await_and_into_tasks_and_threads()
    {
        using KmemHeap heap = LeakTests.Make("");
        KmemLeakScope scope = heap.LeakScope("flow");
        await Task.Yield();
        nint here = LeakTests.AllocSmall(heap);
        nint inTask = await Task.Run(() => LeakTests.AllocSmall(heap), TestContext.Current.CancellationToken);
        nint inThread = 0;
        Thread thread = new(() => inThread = LeakTests.AllocSmall(heap));
        thread.Start();
        thread.Join();
        nint elsewhere;
        AsyncFlowControl cut = ExecutionContext.SuppressFlow();
        Task<nint> outside = Task.Run(() => LeakTests.AllocSmall(heap), TestContext.Current.CancellationToken);
        cut.Undo();
        elsewhere = await outside;
        KmemMisuseException leaked = Assert.Throws<KmemMisuseException>(scope.Dispose);
        Assert.Contains("3 live object(s) of 300 bytes", leaked.Message, StringComparison.Ordinal);
        Free(heap, here, inTask, inThread, elsewhere);
    }

    [Fact]
    public async Task A_task_that_went_on_is_the_same_site_whoever_ran_it()
    {
        using KmemHeap heap = LeakTests.Make("U");
        await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => Task.Run(() => AllocLateAsync(heap), TestContext.Current.CancellationToken)));
        KmemLeakSite site = Assert.Single(heap.FindLeaks().Sites);
        Assert.Equal(10, site.Objects);
        Assert.Equal(2, site.Stack.Count);
        Assert.Contains(nameof(AllocLateAsync), site.Stack[1], StringComparison.Ordinal);

        static async Task<nint> AllocLateAsync(KmemHeap heap)
        {
            await Task.Yield();
            return LeakTests.AllocSmall(heap);
        }
    }

    [Fact]
    public async Task Concurrent_flows_have_scopes_of_their_own()
    {
        using KmemHeap heap = LeakTests.Make("");
        string[] ends = await Task.WhenAll(Enumerable.Range(0, 8).Select(index => Task.Run(() => RunAsync(heap, index), TestContext.Current.CancellationToken)));
        for (int index = 0; index < ends.Length; index++)
        {
            Assert.Contains(index == 0 ? "clean" : $"{index} live object(s) of {index * 100} bytes at the end of the scope 's{index}'", ends[index], StringComparison.Ordinal);
        }

        static async Task<string> RunAsync(KmemHeap heap, int leaks)
        {
            KmemLeakScope scope = heap.LeakScope($"s{leaks}");
            for (int count = 0; count < leaks; count++)
            {
                await Task.Yield();
                _ = LeakTests.AllocSmall(heap);
                Free(heap, LeakTests.AllocBig(heap));
            }

            try
            {
                scope.Dispose();
                return "clean";
            }
            catch (KmemMisuseException leaked)
            {
                return leaked.Message;
            }
        }
    }

    [Fact]
    public void Objects_belong_to_the_innermost_scope()
    {
        using KmemHeap heap = LeakTests.Make("");
        KmemLeakScope outer = heap.LeakScope("outer");
        nint first = LeakTests.AllocSmall(heap);
        KmemLeakScope inner = heap.LeakScope("inner");
        nint second = LeakTests.AllocBig(heap);
        Assert.Contains("1 live object(s) of 1000 bytes", Assert.Throws<KmemMisuseException>(inner.Dispose).Message, StringComparison.Ordinal);
        nint third = LeakTests.AllocSmall(heap);
        Assert.Contains("2 live object(s) of 200 bytes", Assert.Throws<KmemMisuseException>(outer.Dispose).Message, StringComparison.Ordinal);
        Free(heap, first, second, third);
    }

    [Fact]
    public void Scopes_of_another_heap_are_passed_over()
    {
        using KmemHeap heap = LeakTests.Make("");
        using KmemHeap other = LeakTests.Make("");
        KmemLeakScope outer = heap.LeakScope("outer");
        KmemLeakScope inner = other.LeakScope("inner");
        nint mine = LeakTests.AllocSmall(heap);
        nint theirs = LeakTests.AllocSmall(other);
        Assert.Contains("1 live object(s)", Assert.Throws<KmemMisuseException>(inner.Dispose).Message, StringComparison.Ordinal);
        Assert.Contains("1 live object(s)", Assert.Throws<KmemMisuseException>(outer.Dispose).Message, StringComparison.Ordinal);
        Free(heap, mine);
        Free(other, theirs);
    }

    [Fact]
    public unsafe void A_kept_object_may_outlive_its_scope()
    {
        using KmemHeap heap = LeakTests.Make("");
        nint before = LeakTests.AllocSmall(heap);
        nint kept;
        using (KmemLeakScope scope = heap.LeakScope("one"))
        {
            kept = LeakTests.AllocSmall(heap);
            Assert.True(scope.Keep((void*)kept));
            Assert.False(scope.Keep((void*)kept));
            Assert.False(scope.Keep((void*)before));
            Assert.False(scope.Keep(null));
            void* large = heap.Alloc(500_000);
            Assert.True(scope.Keep(large));
            Assert.False(scope.Keep(large));
            heap.Free(large);
            Assert.Equal(KmemMisuse.InteriorPointer, Assert.Throws<KmemMisuseException>(() => scope.Keep((byte*)kept + 8)).Misuse);
            Assert.Equal(KmemMisuse.ForeignPointer, Assert.Throws<KmemMisuseException>(() => scope.Keep((void*)0x1234560)).Misuse);
        }

        Free(heap, before, kept);
    }

    [Fact]
    public unsafe void A_kept_object_passes_to_the_scope_around()
    {
        using KmemHeap heap = LeakTests.Make("");
        KmemLeakScope outer = heap.LeakScope("outer");
        nint kept;
        using (KmemLeakScope inner = heap.LeakScope("inner"))
        {
            kept = LeakTests.AllocSmall(heap);
            Assert.True(inner.Keep((void*)kept));
        }

        Assert.Contains("1 live object(s)", Assert.Throws<KmemMisuseException>(outer.Dispose).Message, StringComparison.Ordinal);
        Free(heap, kept);
    }

    [Fact]
    public void The_first_scope_switches_users_on_for_good_beside_what_is_on()
    {
        using KmemHeap heap = LeakTests.Make("Z,kmalloc-64");
        using KmemCache old = new("old", 50, new KmemCacheOptions { Heap = heap });
        Assert.Equal(KmemChecks.None, old.Checks);
        heap.LeakScope("first").Dispose();
        Assert.Equal(KmemChecks.Users, old.Checks);
        Assert.Equal(KmemChecks.Users | KmemChecks.RedZones, heap.GetChecks("kmalloc-64"));
        using KmemCache made = new("made", 50, new KmemCacheOptions { Heap = heap });
        Assert.Equal(KmemChecks.Users, made.Checks);
        heap.SetChecks("P");
        Assert.Equal(KmemChecks.Users | KmemChecks.Poison, made.Checks);
        heap.SetChecks("");
        Assert.Equal(KmemChecks.Users, heap.GetChecks("kmalloc-64"));
        Assert.Equal(0, heap.FindLeaks().Objects);
    }

    [Fact]
    public void A_flow_that_outlives_its_scope_is_in_the_one_around()
    {
        using KmemHeap heap = LeakTests.Make("");
        KmemLeakScope outer = heap.LeakScope("outer");
        KmemLeakScope inner = heap.LeakScope("inner");
        using ManualResetEventSlim ended = new();
        nint late = 0;
        Thread thread = new(() =>
        {
            ended.Wait();
            late = LeakTests.AllocSmall(heap);
        });
        thread.Start();
        inner.Dispose();
        ended.Set();
        thread.Join();
        Assert.Contains("1 live object(s)", Assert.Throws<KmemMisuseException>(outer.Dispose).Message, StringComparison.Ordinal);
        Free(heap, late);
    }

    [Fact]
    public unsafe void A_scope_may_end_after_its_heap()
    {
        KmemHeap heap = LeakTests.Make("");
        KmemLeakScope scope = heap.LeakScope("late");
        _ = LeakTests.AllocSmall(heap);
        heap.Dispose();
        scope.Dispose();
        Assert.Throws<ObjectDisposedException>(() => scope.Keep(null));
    }

    [Fact]
    public void Objects_of_caches_belong_to_scopes_in_bulk_too()
    {
        using KmemHeap heap = LeakTests.Make("");
        using KmemCache cache = new("bulk", 80, new KmemCacheOptions { Heap = heap });
        nint[] objects = new nint[100];
        KmemLeakScope scope = heap.LeakScope("bulk");
        Assert.True(cache.AllocBulk(objects));
        Assert.Contains("100 live object(s) of 8000 bytes", Assert.Throws<KmemMisuseException>(scope.Dispose).Message, StringComparison.Ordinal);
        cache.FreeBulk(objects);
    }

    [Theory]
    [InlineData(KmemMisusePolicy.Quarantine)]
    [InlineData(KmemMisusePolicy.Repair)]
    public void Policies_that_go_on_only_report(KmemMisusePolicy policy)
    {
        using KmemHeap heap = LeakTests.Make("", policy);
        string name = $"scope-{Guid.NewGuid():N}";
        List<KmemReport> reports = [];
        void Note(KmemReport report)
        {
            if (report.Text.Contains(name, StringComparison.Ordinal))
            {
                reports.Add(report);
            }
        }

        KmemReports.Reported += Note;
        try
        {
            using (heap.LeakScope(name))
            {
                _ = LeakTests.AllocSmall(heap);
            }
        }
        finally
        {
            KmemReports.Reported -= Note;
        }

        KmemReport report = Assert.Single(reports);
        Assert.Equal(KmemMisuse.Leaked, report.Misuse);
        Assert.Contains("the objects live on", report.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Fail_fast_ends_the_process_with_the_report()
    {
        (int exitCode, string output) = ChildTest.Run(nameof(Child_leaks_from_a_scope));
        Assert.NotEqual(0, exitCode);
        Assert.Contains("Kmem: leaked: 1 live object(s) of 100 bytes at the end of the scope 'doomed'", output, StringComparison.Ordinal);
        Assert.Contains("AllocSmall", output, StringComparison.Ordinal);
    }

    [Fact(Explicit = true)]
    public void Child_leaks_from_a_scope()
    {
        using KmemHeap heap = LeakTests.Make("", KmemMisusePolicy.FailFast);
        using (heap.LeakScope("doomed"))
        {
            _ = LeakTests.AllocSmall(heap);
        }
    }

    private static unsafe void Free(KmemHeap heap, params nint[] objects)
    {
        foreach (nint each in objects)
        {
            heap.Free((void*)each);
        }
    }
}
