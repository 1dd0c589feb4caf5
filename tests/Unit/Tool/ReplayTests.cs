using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;
using Kmem.Tool.Replay;
using Xunit;

namespace Kmem.Tests.Unit.Tool;

public sealed class ReplayTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    public static TheoryData<string, int, string> Variants()
    {
        TheoryData<string, int, string> variants = [];
        foreach (string frontEnd in FrontEnds)
        {
            variants.Add(frontEnd, 1, "default");
            variants.Add(frontEnd, 2, "default");
            variants.Add(frontEnd, 2, "kernel");
        }

        return variants;
    }

    private static IEnumerable<string> FrontEnds
    {
        get
        {
            yield return "lock";
            using KmemHeap heap = new(new KmemHeapOptions { FrontEnd = KmemFrontEnd.Auto });
            if (heap.FrontEnd == KmemFrontEnd.RestartableSequences)
            {
                yield return "rseq";
            }
        }
    }

    private static JsonElement Replay(string path, params string[] options)
    {
        ToolRun run = ToolRun.Of(["replay", "--cold", path, "--json", "-", .. options]);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        return JsonSerializer.Deserialize<JsonElement>(run.Output);
    }

    private static long Number(JsonElement element, string name) => element.GetProperty(name).GetInt64();

    private static JsonElement Cache(JsonElement report, string name) =>
        report.GetProperty("caches").EnumerateArray().Single(cache => cache.GetProperty("name").GetString() == name);

    [Theory]
    [MemberData(nameof(Variants))]
    public void The_recorded_trace_gives_the_same_figures_however_it_is_replayed(string frontEnd, int threads, string sizeClasses)
    {
        JsonElement report = Replay(Traces.Filesystem, "--front-end", frontEnd, "--threads", $"{threads}", "--size-classes", sizeClasses);
        (string Name, long Value)[] expected =
        [
            ("events", 327_117), ("allocs", 124_439), ("frees", 113_773), ("implicit_frees", 2_290), ("unmatched_frees", 22_716),
            ("live_objects", 8_376), ("requested_bytes", 2_472_353), ("peak_requested_bytes", 9_624_522),
            ("page_allocs", 38_749), ("page_frees", 27_279), ("unmatched_page_frees", 161), ("live_pages", 14_197),
            ("failed", 0), ("corrupt", 0), ("malformed_lines", 0), ("threads", threads), ("cpus", 2),
        ];
        Assert.Equal(expected, expected.Select(pair => (pair.Name, Number(report, pair.Name))));
        Assert.Equal(frontEnd, report.GetProperty("front_end").GetString());
        Assert.Empty(report.GetProperty("accounting_errors").EnumerateArray());
        Assert.Equal(4_022, Number(Cache(report, "dentry"), "active_objects"));
        JsonElement inodes = Cache(report, "ext4_inode_cache");
        Assert.Equal((1_083, 1_120, 2, 14), (Number(inodes, "active_objects"), Number(inodes, "size"), Number(inodes, "order"), Number(inodes, "objects_per_slab")));
        Assert.Equal(Number(inodes, "slabs") * 14, Number(inodes, "total_objects"));
        Assert.Equal(8_376, report.GetProperty("caches").EnumerateArray().Sum(static cache => Number(cache, "active_objects")));
    }

    [Fact]
    public void The_parts_of_the_bytes_add_up()
    {
        JsonElement bytes = Replay(Traces.Filesystem).GetProperty("bytes");
        long parts = bytes.EnumerateObject().Where(static part => part.Name is not ("committed" or "reserved")).Sum(static part => part.Value.GetInt64());
        Assert.Equal(Number(bytes, "committed"), parts);
    }

    [Fact]
    public void Hits_and_misses_add_up_to_the_operations()
    {
        JsonElement report = Replay(Traces.Filesystem);
        JsonElement hits = report.GetProperty("hits");
        Assert.Equal(Number(hits, "alloc_operations"), Sum(hits, "alloc_from_"));
        Assert.Equal(Number(hits, "free_operations"), Sum(hits, "free_to_"));
        Assert.Equal(Number(report, "allocs"), Number(hits, "alloc_operations"));
        Assert.Equal(Number(report, "frees") + Number(report, "implicit_frees"), Number(hits, "free_operations"));
        Assert.True(Number(hits, "alloc_from_magazine") > Number(hits, "alloc_operations") * 9 / 10);

        static long Sum(JsonElement hits, string prefix) =>
            hits.EnumerateObject().Where(hit => hit.Name.StartsWith(prefix, StringComparison.Ordinal)).Sum(static hit => hit.Value.GetInt64());
    }

    [Fact]
    public void Without_pages_their_events_still_count()
    {
        JsonElement report = Replay(Traces.Filesystem, "--no-pages");
        Assert.Equal((327_117, 8_376), (Number(report, "events"), Number(report, "live_objects")));
        Assert.Equal((0, 0, 0, 0), (Number(report, "page_allocs"), Number(report, "page_frees"), Number(report, "unmatched_page_frees"), Number(report, "live_pages")));
    }

    [Fact]
    public void The_kernels_growth_stands_beside_ours()
    {
        JsonElement growth = Replay(Traces.Filesystem).GetProperty("kernel_growth");
        JsonElement dentry = growth.EnumerateArray().Single(static row => row.GetProperty("name").GetString() == "dentry");
        Assert.Equal((4_161, 4_242, 202, 4_022), (Number(dentry, "kernel_active_objects"), Number(dentry, "kernel_total_objects"), Number(dentry, "kernel_slabs"), Number(dentry, "active_objects")));
        Assert.Contains(growth.EnumerateArray(), static row => row.GetProperty("name").GetString() == "kmalloc (all sizes)");
        JsonElement bySize = Replay(Traces.Filesystem, "--size-classes", "kernel").GetProperty("kernel_growth");
        Assert.Contains(bySize.EnumerateArray(), static row => row.GetProperty("name").GetString() == "kmalloc-192");
    }

    [Fact]
    public void A_trace_without_slabinfo_beside_it_has_no_growth()
    {
        string path = _folder.Write("t.ftrace", Line.Kmalloc(1, 10));
        Assert.Equal(JsonValueKind.Null, Replay(path).GetProperty("kernel_growth").ValueKind);
        _folder.Write("t.slabinfo.before", "nonsense\n");
        _folder.Write("t.slabinfo.after", "nonsense\n");
        ToolRun run = ToolRun.Of("replay", "--cold", path);
        Assert.Equal(0, run.ExitCode);
        Assert.Contains("the kernel's own growth is not shown", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void Objects_that_move_between_CPUs_are_freed_after_they_are_allocated(int threads)
    {
        // Each object is allocated on one CPU and freed on the next; every address is used again and again.
        StringWriter trace = new();
        for (int index = 0; index < 20_000; index++)
        {
            ulong pointer = (ulong)(index % 50) + 1;
            int cpu = index % 5;
            trace.Write((index % 3) switch
            {
                0 => Line.Kmalloc(pointer, 1 + (index % 3000), cpu),
                1 => Line.CacheAlloc("c", pointer, 200, cpu),
                _ => Line.PageAlloc(pointer, index % 4, index % 3, cpu),
            });
            if (index % 2 == 0)
            {
                trace.Write(Line.Kfree(pointer, (cpu + 1) % 5));
                trace.Write(Line.PageFree(pointer, 0, (cpu + 2) % 5));
            }
        }

        JsonElement report = Replay(_folder.Write("t", trace.ToString()), "--threads", $"{threads}");
        Assert.Equal((0, 0), (Number(report, "failed"), Number(report, "corrupt")));
        Assert.Equal(Number(report, "allocs"), Number(report, "frees") + Number(report, "implicit_frees") + Number(report, "live_objects"));
        Assert.Equal((13_334, 0), (Number(report, "allocs"), Number(report, "malformed_lines")));
    }

    [Fact]
    public void Sizes_from_nothing_to_large_are_replayed()
    {
        int[] sizes = [0, 1, 3, 7, 8, 9, 15, 16, 17, 4096, 8192, 8193, 40_000, 1 << 20, (4 << 20) + 1];
        string trace = string.Concat(sizes.Select(static (size, index) => Line.Kmalloc((ulong)index + 1, size)));
        JsonElement report = Replay(_folder.Write("t", trace));
        Assert.Equal((sizes.Length, sizes.Sum()), (Number(report, "live_objects"), Number(report, "requested_bytes")));
        report = Replay(_folder.Write("t", trace + string.Concat(sizes.Select(static (_, index) => Line.Kfree((ulong)index + 1)))));
        Assert.Equal((0, 0), (Number(report, "live_objects"), Number(report, "requested_bytes")));
    }

    [Fact]
    public void Caches_of_all_sizes_are_replayed()
    {
        string trace = Line.CacheAlloc("zero", 1, 0) + Line.CacheAlloc("one", 2, 1) + Line.CacheAlloc("largest", 3, 4 << 20) + Line.CacheAlloc("two words", 4, 24);
        JsonElement report = Replay(_folder.Write("t", trace + Line.CacheFree("largest", 3)));
        Assert.Equal(["largest", "one", "two_words", "zero"], report.GetProperty("caches").EnumerateArray().Select(static cache => cache.GetProperty("name").GetString()).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Allocations_that_fail_are_counted_and_their_frees_skipped()
    {
        string trace = string.Concat(Enumerable.Range(1, 20).Select(static index => Line.PageAlloc((ulong)index, 10)));
        trace += string.Concat(Enumerable.Range(1, 20).Select(static index => Line.PageFree((ulong)index, 10)));
        JsonElement report = Replay(_folder.Write("t", trace), "--limit", "16M", "--threads", "2");
        Assert.InRange(Number(report, "failed"), 16, 20);
        Assert.Equal((0, 20, 20), (Number(report, "live_pages"), Number(report, "page_allocs"), Number(report, "page_frees")));
        Assert.Empty(report.GetProperty("accounting_errors").EnumerateArray());
    }

    [Fact]
    public void The_report_has_the_fields_that_scripts_rely_on()
    {
        JsonElement report = Replay(_folder.Write("t", Line.CacheAlloc("c", 1, 100) + Line.Kmalloc(2, 10) + Line.Of("rss_stat", "x=1") + Line.Of("sched_switch", "x=1") + "# c\n"));
        string[] fields =
        [
            "events", "allocs", "frees", "implicit_frees", "unmatched_frees", "live_objects", "requested_bytes", "peak_requested_bytes", "page_allocs",
            "page_frees", "unmatched_page_frees", "live_pages", "failed", "seconds", "caches", "bytes", "front_end", "threads", "corrupt", "hits",
            "peak_committed_bytes", "nanoseconds_per_event", "operations",
        ];
        Assert.All(fields, field => Assert.True(report.TryGetProperty(field, out _), field));
        Assert.Equal(
            "name object_size size order objects_per_slab active_objects total_objects slabs",
            string.Join(' ', Cache(report, "c").EnumerateObject().Select(static property => property.Name).Take(8)));
        Assert.Equal((3, 1, 1, 1), (Number(report, "events"), Number(report, "events_not_replayed"), Number(report, "other_events"), Number(report, "comment_lines")));
        Assert.True(report.GetProperty("seconds").GetDouble() > 0);
    }

    [Fact]
    public unsafe void A_mark_shows_every_damage_at_the_ends()
    {
        byte* memory = stackalloc byte[64];
        foreach (int size in (int[])[1, 2, 7, 8, 15, 16, 17, 64])
        {
            ObjectMark.Write(memory, size, 12345);
            Assert.True(ObjectMark.IsIntact(memory, size, 12345));
            Assert.False(ObjectMark.IsIntact(memory, size, 12346));
            memory[size >= 16 ? size - 1 : 0] ^= 1;
            Assert.False(ObjectMark.IsIntact(memory, size, 12345));
        }
    }

    [Fact]
    public void A_saved_slabinfo_is_parsed()
    {
        Dictionary<string, KernelCache> caches = KernelSlabInfo.Parse(
        [
            "slabinfo - version: 2.1",
            "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>",
            "bio-312               12     24    320   12    1 : tunables    0    0    0 : slabdata      1      2      0",
        ]);
        Assert.Equal(new KernelCache(12, 24, 2), Assert.Single(caches).Value);
        Assert.Throws<FormatException>(static () => KernelSlabInfo.Parse(["bio-312 12 24"]));
        Assert.Throws<FormatException>(static () => KernelSlabInfo.Parse([]));
    }

    [Theory]
    [InlineData("kmalloc-96", 96)]
    [InlineData("kmalloc-rcl-2k", 2048)]
    [InlineData("kmalloc-rnd-03-64", 64)]
    [InlineData("dma-kmalloc-8k", 8192)]
    [InlineData("kmalloc-cg-", 0)]
    [InlineData("dentry", 0)]
    public void The_kernels_kmalloc_caches_are_known_by_size(string name, int size) => Assert.Equal(size, KernelSlabInfo.KmallocSizeOf(name));
}
