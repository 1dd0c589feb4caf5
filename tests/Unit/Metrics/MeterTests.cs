using System;
using System.Collections.Generic;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Linq;
using System.Reflection;
using System.Text.RegularExpressions;
using System.Threading;
using Kmem.Diagnostics;
using Xunit;

namespace Kmem.Tests.Unit.Metrics;

/// <summary>The meter <c>Kmem</c> as a listener in the process sees it. The tests that need a process without other heaps run in one of their own.</summary>
public sealed unsafe class MeterTests
{
    private static readonly string[] s_units = ["By", "{object}", "{slab}", "{page}", "{allocation}", "{miss}", "{wait}", "{sample}", "{report}", "{lease}", "{owner}", "{rent}"];

    private static KmemHeap Make(string name, string debug = "") => new(new KmemHeapOptions { Name = name, Debug = debug, MaintenanceIntervalMilliseconds = 0 });

    [Fact]
    public void Each_instrument_is_observable_and_keeps_the_conventions()
    {
        using KmemHeap heap = Make("names");
        using MetricReader reader = WaitForMeter();
        Dictionary<string, string> constants = typeof(KmemMetrics).GetFields(BindingFlags.Public | BindingFlags.Static).ToDictionary(static field => field.Name, static field => (string)field.GetRawConstantValue()!);
        string[] names = [.. reader.Instruments.Select(static each => each.Name)];
        Assert.Equal(names.Distinct().Order(), names.Order());
        Assert.Equal(constants.Where(static each => each.Key != nameof(KmemMetrics.MeterName) && !each.Key.EndsWith("Tag", StringComparison.Ordinal)).Select(static each => each.Value).Order(), names.Order());
        Assert.All(reader.Instruments, static each =>
        {
            Assert.Matches("^kmem(\\.[a-z][a-z0-9]*(_[a-z0-9]+)*)+$", each.Name);
            Assert.DoesNotMatch("total|bytes|_count$", each.Name);
            Assert.Contains(each.Unit, s_units);
            Assert.Matches("^[A-Z].+\\.$", each.Description);
            bool isLevel = each is ObservableUpDownCounter<long>;
            Assert.True(isLevel || each is ObservableCounter<long>, each.Name);

            // A level is a count or an amount; only flows are plural.
            Assert.Matches(isLevel ? "\\.(count|size|committed|reserved)$" : "s$", each.Name);
        });

        // A name is no namespace of another one.
        Assert.All(names, name => Assert.DoesNotContain(names, other => other.StartsWith(name + ".", StringComparison.Ordinal)));
        Assert.All(constants.Where(static each => each.Key.EndsWith("Tag", StringComparison.Ordinal)), static each => Assert.Matches("^kmem(\\.[a-z_]+)+$", each.Value));
    }

    [Fact]
    public void The_document_has_each_instrument_with_its_unit()
    {
        using KmemHeap heap = Make("names");
        using MetricReader reader = WaitForMeter();
        string text = System.IO.File.ReadAllText(System.IO.Path.Join(Tool.Traces.Root, "docs", "METRICS.md"));
        Assert.All(reader.Instruments, each => Assert.Matches($@"\| `{Regex.Escape(each.Name)}` \| {(each is ObservableUpDownCounter<long> ? "level" : "flow")} \| `{Regex.Escape(each.Unit!)}` \|", text));
    }

    [Fact]
    public void A_disposed_heap_is_gone_and_collecting_beside_it_is_safe()
    {
        using MetricReader reader = WaitForMeter();
        using CancellationTokenSource stop = new();
        Thread maker = new(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                using KmemHeap heap = Make("comes-and-goes");
                using KmemCache cache = new("short-lived", 100, new KmemCacheOptions { Heap = heap });
                cache.Free(cache.Alloc());
            }
        });
        maker.Start();
        for (int times = 0; times < 50; times++)
        {
            _ = reader.Collect();
        }

        stop.Cancel();
        maker.Join();
        Assert.DoesNotContain(reader.Collect().Keys, static key => key.Contains("comes-and-goes", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(nameof(Child_values_are_those_of_the_statistics))]
    [InlineData(nameof(Child_a_collection_walks_once_and_none_does_without_listeners))]
    [InlineData(nameof(Child_flows_do_not_fall_when_a_cache_ends))]
    [InlineData(nameof(Child_heaps_and_caches_of_one_name_are_added_up))]
    [InlineData(nameof(Child_series_are_bounded))]
    [InlineData(nameof(Child_waiting_guarded_sampled_and_reported_are_counted))]
    [InlineData(nameof(Child_a_listener_that_throws_does_not_take_the_heap_with_it))]
    [InlineData(nameof(Child_the_shared_heap_makes_the_meter_too))]
    public void In_a_process_of_its_own(string test)
    {
        (int exitCode, string output) = ChildTest.Run(test);
        Assert.True(exitCode == 0, output);
    }

    [Fact(Explicit = true)]
    public void Child_values_are_those_of_the_statistics()
    {
        using KmemHeap heap = Make("values", "FZPU,kmalloc-96");
        KmemCache cache = new("widget", 100, new KmemCacheOptions { Heap = heap });
        _ = new KmemCache("unused", 100, new KmemCacheOptions { Heap = heap });

        // At once: the constructor has made the meter.
        using MetricReader reader = new();
        Assert.NotEmpty(reader.Instruments);
        for (int count = 0; count < 2000; count++)
        {
            void* memory = cache.Alloc();
            if (count % 3 == 0)
            {
                cache.Free(memory);
            }

            void* sized = heap.Alloc((nuint)(count % 2 == 0 ? 96 : 1000));
            if (count % 5 == 0)
            {
                heap.Free(sized);
            }
        }

        _ = heap.Alloc(10_000_000);
        heap.Free(heap.Alloc(3_000_000));
        void* pages = heap.Pages.Alloc(2);
        IReadOnlyDictionary<string, long> values = reader.Collect();
        ExpectedMetrics.AssertIn(values, heap.GetStatistics(), "widget", "kmalloc-96", "kmalloc-1024");
        Assert.Equal((long)heap.GetStatistics().CommittedBytes, values.Where(static each => each.Key.StartsWith("kmem.memory.committed{values", StringComparison.Ordinal)).Sum(static each => each.Value));
        heap.Pages.Free(pages, 2);
        Assert.True(heap.Trim() > 0);
        values = reader.Collect();
        ExpectedMetrics.AssertIn(values, heap.GetStatistics(), "widget", "kmalloc-96", "kmalloc-1024");
        Assert.True(values["kmem.page.purges{values}"] > 0, $"{values["kmem.page.purges{values}"]} and {values["kmem.page.count{values,purged}"]}");
    }

    [Fact(Explicit = true)]
    public void Child_a_collection_walks_once_and_none_does_without_listeners()
    {
        using KmemHeap heap = Make("walks");
        long start = KmemMeter.Walks;
        using (MetricReader reader = new())
        {
            Assert.Equal(start, KmemMeter.Walks);
            _ = reader.Collect();
            Assert.Equal(start + 1, KmemMeter.Walks);

            // At once a second time, and what changed is seen.
            void* memory = heap.Alloc(64);
            Assert.Equal(1, reader.Collect()["kmem.object.count{walks,live}"]);
            Assert.Equal(start + 2, KmemMeter.Walks);
            heap.Free(memory);
            using MetricReader other = new();
            Assert.Equal(0, other.Collect()["kmem.object.count{walks,live}"]);
            Assert.Equal(start + 3, KmemMeter.Walks);

            // Another thread has collections of its own.
            Thread thread = new(() => other.Collect());
            thread.Start();
            thread.Join();
            Assert.Equal(start + 4, KmemMeter.Walks);
        }

        Assert.Equal(start + 4, KmemMeter.Walks);
        using MetricReader one = new(static instrument => instrument.Name == KmemMetrics.MemoryReserved);
        using MetricReader two = new(static instrument => instrument.Name == KmemMetrics.SlabCount);
        _ = one.Collect();
        _ = two.Collect();
        _ = two.Collect();
        Assert.Equal(start + 6, KmemMeter.Walks);
    }

    [Fact(Explicit = true)]
    public void Child_flows_do_not_fall_when_a_cache_ends()
    {
        string[] flows = ["kmem.slab.creations{flows}", "kmem.slab.destructions{flows}", "kmem.allocation.misses{flows,slab}", "kmem.free.misses{flows,slab}"];
        using KmemHeap heap = Make("flows");
        using MetricReader reader = new();
        IReadOnlyDictionary<string, long> before = reader.Collect();
        for (int times = 0; times < 3; times++)
        {
            using (KmemCache cache = new("ends", 1000, new KmemCacheOptions { Heap = heap, Flags = KmemCacheFlags.NoMagazines }))
            {
                if (times == 1)
                {
                    cache.Checks = KmemChecks.All;
                }

                nint[] objects = new nint[100];
                for (int index = 0; index < objects.Length; index++)
                {
                    objects[index] = (nint)cache.Alloc();
                }

                foreach (nint each in objects)
                {
                    cache.Free((void*)each);
                }

                before = reader.Collect();
                Assert.Contains("kmem.cache.size{flows,ends}", before.Keys);
            }

            IReadOnlyDictionary<string, long> after = reader.Collect();
            Assert.All(flows, flow => Assert.True(before[flow] > 0 || flow.Contains("destr", StringComparison.Ordinal), flow));
            Assert.All(flows, flow => Assert.True(after[flow] >= before[flow], $"{flow}: {before[flow]} → {after[flow]}"));
            Assert.Equal(after["kmem.slab.creations{flows}"], after["kmem.slab.destructions{flows}"]);
            Assert.Equal(0, after["kmem.slab.count{flows,full}"] + after["kmem.slab.count{flows,partial}"] + after["kmem.slab.count{flows,free}"]);
            Assert.DoesNotContain("kmem.cache.size{flows,ends}", after.Keys);
        }
    }

    [Fact(Explicit = true)]
    public void Child_heaps_and_caches_of_one_name_are_added_up()
    {
        using KmemHeap one = Make("twice");
        using KmemHeap two = Make("twice");
        KmemCache first = new("widget", 100, new KmemCacheOptions { Heap = one });
        KmemCache second = new("widget", 100, new KmemCacheOptions { Heap = one });
        KmemCache third = new("widget", 100, new KmemCacheOptions { Heap = two });
        _ = first.Alloc();
        _ = second.Alloc();
        _ = third.Alloc();
        using MetricReader reader = new();
        IReadOnlyDictionary<string, long> values = reader.Collect();
        Assert.Equal(3, values["kmem.cache.object.count{twice,widget}"]);
        Assert.Equal((long)(one.GetStatistics().MetadataBytes + two.GetStatistics().MetadataBytes), values["kmem.memory.committed{twice,metadata}"]);
    }

    [Fact(Explicit = true)]
    public void Child_series_are_bounded()
    {
        List<KmemHeap> heaps = [];
        List<KmemCache> caches = [];
        List<SlabMemoryPool> pools = [];
        using MetricReader reader = new();
        KmemHeap first = Make("first");
        heaps.Add(first);
        for (nuint size = 8; size <= 64 * 1024; size += 8)
        {
            first.Free(first.Alloc(size));
        }

        for (int index = 0; index < 80; index++)
        {
            caches.Add(new KmemCache($"cache-{index}", 100, new KmemCacheOptions { Heap = first }));
            caches[^1].Free(caches[^1].Alloc());
        }

        using MetricReader late = new();
        IReadOnlyDictionary<string, long> values = late.Collect();
        int classes = values.Keys.Count(static key => key.StartsWith("kmem.cache.size{first,kmalloc-", StringComparison.Ordinal));
        Assert.Equal(72, classes);
        Assert.InRange(values.Count, 4 * 152, 999);
        Assert.DoesNotContain(values.Keys, static key => key.Contains(MetricNames.Others, StringComparison.Ordinal));

        // And whatever comes on top.
        for (int index = 0; index < 30; index++)
        {
            heaps.Add(Make($"heap-{index}"));
            for (int each = 0; each < 20; each++)
            {
                caches.Add(new KmemCache($"cache-{each}", 100, new KmemCacheOptions { Heap = heaps[^1] }));
                _ = caches[^1].Alloc();
            }

            for (int each = 0; each < 5; each++)
            {
                pools.Add(new SlabMemoryPool(new SlabMemoryPoolOptions { Name = $"pool-{each}", Heap = heaps[^1], Cache = caches[^1] }));
                pools[^1].Rent().Dispose();
            }
        }

        values = late.Collect();
        Assert.True(values.Count < 1000, values.Count.ToString(CultureInfo.InvariantCulture));
        Assert.Equal(600, values.Where(static each => each.Key.StartsWith("kmem.object.count", StringComparison.Ordinal) && each.Key.EndsWith("live}", StringComparison.Ordinal)).Sum(static each => each.Value));
        Assert.Equal(600, values.Where(static each => each.Key.StartsWith("kmem.cache.object.count", StringComparison.Ordinal)).Sum(static each => each.Value));

        string[] rents = [.. values.Keys.Where(static key => key.StartsWith("kmem.memory_pool.rents", StringComparison.Ordinal))];
        Assert.InRange(rents.Length, MetricNames.PoolsMax, MetricNames.PoolsMax + MetricNames.HeapsMax + 1);
        Assert.Contains(rents, static key => key.Contains(MetricNames.Others, StringComparison.Ordinal));
        Assert.Equal(pools.Count, rents.Sum(key => values[key]));

        // Those that have a place keep it; a place that is free is taken by who comes next, not by who is there.
        heaps[1].Dispose();
        Assert.DoesNotContain(late.Collect().Keys, static key => key.Contains("heap-29", StringComparison.Ordinal));
        heaps.Add(Make("newcomer"));
        Assert.Contains(late.Collect().Keys, static key => key.Contains("{newcomer", StringComparison.Ordinal));
        heaps.ForEach(static heap => heap.Dispose());
        Assert.Empty(reader.Collect());
    }

    [Fact(Explicit = true)]
    public void Child_waiting_guarded_sampled_and_reported_are_counted()
    {
        using KmemHeap heap = Make("rare", "FZPU,kmalloc-96");
        using MetricReader reader = new();
        heap.ProfileIntervalBytes = 1000;
        for (int count = 0; count < 100; count++)
        {
            heap.Free(heap.Alloc(96));
            _ = heap.Alloc(2000);
            _ = heap.Alloc(20_000);
        }

        heap.GuardIntervalMilliseconds = 1_000_000;
        heap.OpenGate();
        void* guarded = heap.Alloc(50);
        nint foreign = (nint)System.Runtime.InteropServices.NativeMemory.Alloc(64);
        Assert.Throws<KmemMisuseException>(() => heap.Free((void*)foreign));
        IReadOnlyDictionary<string, long> values = reader.Collect();
        Assert.True(values["kmem.object.count{rare,waiting}"] > 0);
        Assert.Equal(heap.GetGuardStatistics().LiveObjects, values["kmem.guarded_object.count{rare}"]);
        Assert.Equal(heap.GetGuardStatistics().AllocatedObjects, values["kmem.guarded_object.allocations{rare}"]);
        Assert.Equal(1, values["kmem.guarded_object.allocations{rare}"]);
        Assert.Equal(0, values["kmem.guarded_object.skips{rare}"]);
        Assert.Equal(heap.GetProfile().Sites.Sum(static site => site.Samples), values["kmem.profile.samples{rare}"]);
        Assert.True(values["kmem.profile.samples{rare}"] > 0);
        Assert.Equal(1, values["kmem.reports{foreign_pointer}"]);
        Assert.DoesNotContain("kmem.reports{already_free}", values.Keys);
        heap.Free(guarded);
        Assert.Equal(0, reader.Collect()["kmem.guarded_object.count{rare}"]);
    }

    [Fact(Explicit = true)]
    public void Child_a_listener_that_throws_does_not_take_the_heap_with_it()
    {
        const string Name = "Kmem.Test";
        List<string> published = [];
        using MeterListener listener = new();
        listener.InstrumentPublished = (instrument, _) =>
        {
            if (instrument.Meter.Name == Name)
            {
                published.Add(instrument.Name);
                throw new NotSupportedException(instrument.Name);
            }
        };
        listener.Start();
        KmemMeter.Make(Name);
        Assert.Equal(KmemMeter.Instruments, published.Count);
        using KmemHeap heap = Make("thrown-at");
        using MetricReader reader = new();
        Assert.NotEmpty(reader.Instruments);
    }

    [Fact(Explicit = true)]
    public void Child_the_shared_heap_makes_the_meter_too()
    {
        Kmalloc.Free(Kmalloc.Alloc(64));
        using MetricReader reader = WaitForMeter();
        Assert.True(reader.Collect()["kmem.slab.creations{shared}"] > 0);
    }

    /// <summary>Another test's shared heap may be making it just now.</summary>
    private static MetricReader WaitForMeter()
    {
        MetricReader? reader = null;
        Assert.True(SpinWait.SpinUntil(
            () =>
            {
                reader?.Dispose();
                reader = new MetricReader();
                return reader.Instruments.Count == KmemMeter.Instruments;
            },
            TimeSpan.FromSeconds(30)));
        return reader!;
    }
}
