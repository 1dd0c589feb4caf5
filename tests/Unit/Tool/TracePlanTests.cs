using System.Collections.Generic;
using System.Linq;
using System.Text;
using Kmem.Tool.Traces;
using Xunit;

namespace Kmem.Tests.Unit.Tool;

public sealed class TracePlanTests
{
    private static TracePlan Plan(string trace, int threads = 1, bool skipPages = false)
    {
        TracePlanBuilder builder = new(threads, skipPages);
        foreach (string line in trace.Split('\n'))
        {
            if (FtraceParser.Parse(Encoding.UTF8.GetBytes(line), out TraceEvent parsed, out _) == TraceLine.Event)
            {
                builder.Add(parsed);
            }
        }

        return builder.Build();
    }

    private static IEnumerable<(int Object, ReplayAction Action)> StepsOf(TracePlan plan, int thread = 0) =>
        plan.Threads[thread].Select(static step => (step.Object, step.Action));

    [Fact]
    public void An_object_is_allocated_and_freed()
    {
        TracePlan plan = Plan(Line.Kmalloc(0xA, 100) + Line.Kfree(0xA));
        Assert.Equal([(0, ReplayAction.AllocSized), (0, ReplayAction.Free)], StepsOf(plan));
        Assert.Equal((1, 1, 0, 0), (plan.Allocs, plan.Frees, plan.LiveObjects, plan.UnmatchedFrees));
        Assert.Equal((0, 100), (plan.RequestedBytes, plan.PeakRequestedBytes));
    }

    [Fact]
    public void An_allocation_at_an_address_that_is_taken_frees_the_old_object_first()
    {
        TracePlan plan = Plan(Line.Kmalloc(0xA, 100) + Line.CacheAlloc("c", 0xA, 30) + Line.CacheFree("c", 0xA));
        Assert.Equal(
            [(0, ReplayAction.AllocSized), (0, ReplayAction.Free), (1, ReplayAction.AllocFromCache), (1, ReplayAction.FreeToCache)],
            StepsOf(plan));
        Assert.Equal((2, 1, 1, 0), (plan.Allocs, plan.Frees, plan.ImplicitFrees, plan.LiveObjects));
        Assert.Equal(100, plan.PeakRequestedBytes);
    }

    [Fact]
    public void A_free_of_nothing_known_is_counted_and_left_out()
    {
        TracePlan plan = Plan(Line.Kfree(0xA) + Line.Kfree(0) + Line.CacheFree("c", 0xB) + Line.Kmalloc(0xA, 1) + Line.Kfree(0xA) + Line.Kfree(0xA));
        Assert.Equal([(0, ReplayAction.AllocSized), (0, ReplayAction.Free)], StepsOf(plan));
        Assert.Equal((1, 4), (plan.Frees, plan.UnmatchedFrees));
    }

    [Fact]
    public void Either_free_frees_whatever_the_pointer_is()
    {
        TracePlan plan = Plan(Line.Kmalloc(0xA, 1) + Line.CacheFree("c", 0xA) + Line.CacheAlloc("c", 0xB, 8) + Line.Kfree(0xB));
        Assert.Equal(
            [(0, ReplayAction.AllocSized), (0, ReplayAction.Free), (1, ReplayAction.AllocFromCache), (1, ReplayAction.Free)],
            StepsOf(plan));
    }

    [Fact]
    public void A_cache_has_the_size_of_its_first_event_and_a_larger_one_makes_another()
    {
        TracePlan plan = Plan(
            Line.CacheAlloc("c", 0xA, 64) + Line.CacheAlloc("c", 0xB, 32) + Line.CacheAlloc("c", 0xC, 100) +
            Line.CacheAlloc("c", 0xD, 64) + Line.CacheAlloc("d", 0xE, 64));
        Assert.Equal([("c", 64), ("c-100", 100), ("d", 64)], plan.Caches.Select(static cache => (cache.Name, cache.ObjectSizeBytes)));
        Assert.Equal(["c", "c", "d"], plan.Caches.Select(static cache => cache.TraceName));
        Assert.Equal([0, 0, 1, 1, 2], plan.Threads[0].Select(static step => (int)step.Cache));
        Assert.Equal([64, 32, 100, 64, 64], plan.Threads[0].Select(static step => step.SizeBytes));
    }

    [Fact]
    public void Names_that_a_cache_cannot_have_are_changed_and_stay_different()
    {
        string longName = new('x', 100);
        TracePlan plan = Plan(Line.CacheAlloc("a b", 1, 8) + Line.CacheAlloc("a_b", 2, 8) + Line.CacheAlloc(longName + "1", 3, 8) + Line.CacheAlloc(longName + "2", 4, 8));
        Assert.Equal(["a_b", "a_b~2", new string('x', 52), new string('x', 52) + "~2"], plan.Caches.Select(static cache => cache.Name));
    }

    [Fact]
    public void Objects_of_caches_without_names_are_told_apart_by_size()
    {
        string unnamed = Line.Of("kmem_cache_alloc", "call_site=f ptr=00000000000000aa bytes_req=64 bytes_alloc=64");
        TracePlan plan = Plan(unnamed + unnamed.Replace("aa ", "bb ") + unnamed.Replace("aa ", "cc ").Replace("=64", "=72"));
        Assert.Equal([("unnamed-64", 64), ("unnamed-72", 72)], plan.Caches.Select(static cache => (cache.Name, cache.ObjectSizeBytes)));
    }

    [Fact]
    public void Pages_are_matched_by_frame()
    {
        TracePlan plan = Plan(
            Line.PageAlloc(0x100, 2) + Line.PageAlloc(0x200, 0, mobility: 0) + Line.PageAlloc(0x100, 1, mobility: 2) +
            Line.PageFree(0x200, 0) + Line.PageFree(0x300, 0));
        Assert.Equal(
            [(0, ReplayAction.AllocPages), (1, ReplayAction.AllocPages), (0, ReplayAction.FreePages), (2, ReplayAction.AllocPages), (1, ReplayAction.FreePages)],
            StepsOf(plan));
        Assert.Equal((3, 1, 1, 1, 2), (plan.PageAllocs, plan.PageFrees, plan.ImplicitPageFrees, plan.UnmatchedPageFrees, plan.LivePages));
        ReplayStep last = plan.Threads[0][3];
        Assert.Equal((1, KmemMobility.Reclaimable, 8192), (last.Order, last.Mobility, last.SizeBytes));
        Assert.Equal(0, plan.PeakRequestedBytes);
    }

    [Fact]
    public void Pages_can_be_left_out()
    {
        TracePlan plan = Plan(Line.PageAlloc(0x100, 2) + Line.Kmalloc(0x100, 2) + Line.PageFree(0x100, 2) + Line.PageFree(0x100, 2), skipPages: true);
        Assert.Equal([(0, ReplayAction.AllocSized)], StepsOf(plan));
        Assert.Equal((0, 0, 0, 0), (plan.PageAllocs, plan.PageFrees, plan.UnmatchedPageFrees, plan.LivePages));
    }

    [Fact]
    public void Allocations_that_failed_in_the_kernel_are_left_out()
    {
        TracePlan plan = Plan(
            Line.Kmalloc(0, 100) + Line.Kmalloc(0, 100) + Line.Of("mm_page_alloc", "page=(nil) pfn=0x0 order=9 migratetype=1"));
        Assert.Equal((3, 0, 0, 0), (plan.NullAllocs, plan.Allocs, plan.ImplicitFrees, plan.PageAllocs));
        Assert.Equal(0, plan.StepCount);
    }

    [Fact]
    public void The_events_of_a_CPU_stay_on_one_thread_in_order()
    {
        TracePlan plan = Plan(
            Line.Kmalloc(0xA, 1, cpu: 0) + Line.Kmalloc(0xB, 2, cpu: 1) + Line.Kfree(0xA, cpu: 1) + Line.Kmalloc(0xB, 3, cpu: 2) + Line.Kfree(0xB, cpu: 3),
            threads: 2);
        Assert.Equal([(0, ReplayAction.AllocSized), (1, ReplayAction.Free), (2, ReplayAction.AllocSized)], StepsOf(plan, 0));
        Assert.Equal([(1, ReplayAction.AllocSized), (0, ReplayAction.Free), (2, ReplayAction.Free)], StepsOf(plan, 1));
        Assert.Equal(4, plan.Cpus);
    }

    [Fact]
    public void What_is_left_is_listed()
    {
        TracePlan plan = Plan(Line.Kmalloc(0xA, 10) + Line.CacheAlloc("c", 0xB, 20) + Line.PageAlloc(1, 1) + Line.Kmalloc(0xC, 30) + Line.Kfree(0xC));
        Assert.Equal(
            [new LivingObject(0, 10, -1, false), new LivingObject(1, 20, 0, false), new LivingObject(2, 8192, -1, true)],
            plan.Living);
        Assert.Equal((2, 30, 60), (plan.LiveObjects, plan.RequestedBytes, plan.PeakRequestedBytes));
    }
}
