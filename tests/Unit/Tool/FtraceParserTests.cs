using System;
using System.Text;
using Kmem.Tool.Traces;
using Xunit;

namespace Kmem.Tests.Unit.Tool;

public sealed class FtraceParserTests
{
    private const string Header = "          rec.sh-13378   [001] .....  3614.602957: ";

    private sealed record Parsed(TraceLine Line, TraceEventKind Kind, int Cpu, ulong Pointer, bool IsNull, int Size, string Cache, ulong Frame, int Order, KmemMobility Mobility, string Problem);

    private static Parsed Parse(string line)
    {
        TraceLine kind = FtraceParser.Parse(Encoding.UTF8.GetBytes(line), out TraceEvent parsed, out string problem);
        return new Parsed(
            kind, parsed.Kind, parsed.Cpu, parsed.Pointer, parsed.IsNull, parsed.SizeBytes, Encoding.UTF8.GetString(parsed.CacheName),
            parsed.Frame, parsed.Order, parsed.Mobility, problem);
    }

    // Real lines of each tool; the same events recorded on a 6.18 kernel.
    [Theory]
    [InlineData("          rec.sh-13378   [000] .....  3614.602973: kmem_cache_alloc: call_site=getname_flags.part.0+0x24/0x1f0 ptr=000000008e935c68 name=names_cache bytes_req=4096 bytes_alloc=4096 gfp_flags=GFP_KERNEL node=-1 accounted=false", 0, 0x8e935c68, "names_cache", 4096)]
    [InlineData("            bash-5961    (   5961) [000] .....  4192.138159: kmem_cache_alloc: call_site=getname_flags.part.0+0x24/0x1f0 ptr=000000002c8557ad name=names_cache bytes_req=4096 bytes_alloc=4096 gfp_flags=GFP_KERNEL node=-1 accounted=false", 0, 0x2c8557ad, "names_cache", 4096)]
    [InlineData("            bash-5961    (   5961) [001]   4192.138159: kmem_cache_alloc: call_site=getname_flags.part.0+0x24/0x1f0 ptr=000000002c8557ad name=names_cache bytes_req=4096 bytes_alloc=4096 gfp_flags=GFP_KERNEL node=-1 accounted=false", 1, 0x2c8557ad, "names_cache", 4096)]
    [InlineData("            bash-5961    (   5961) [001] .....         1372: kmem_cache_alloc: call_site=security_file_alloc+0x27/0xd0 ptr=000000004aee8f26 name=lsm_file_cache bytes_req=24 bytes_alloc=24 gfp_flags=GFP_KERNEL|__GFP_ZERO node=-1 accounted=false", 1, 0x4aee8f26, "lsm_file_cache", 24)]
    [InlineData("    bash-5961      1..... 4192138159us : kmem_cache_alloc: call_site=getname_flags.part.0+0x24/0x1f0 ptr=000000002c8557ad name=names_cache bytes_req=4096 bytes_alloc=4096 gfp_flags=GFP_KERNEL node=-1 accounted=false", 1, 0x2c8557ad, "names_cache", 4096)]
    [InlineData("    bash-5961      0d.h1. 4192138159us+: kmem_cache_alloc: call_site=getname_flags.part.0+0x24/0x1f0 ptr=000000002c8557ad name=names_cache bytes_req=4096 bytes_alloc=4096 gfp_flags=GFP_KERNEL node=-1 accounted=false", 0, 0x2c8557ad, "names_cache", 4096)]
    [InlineData("            bash-6023  [001]  4227.113890: kmem_cache_alloc:     (copy_process+0x18a) call_site=copy_process+0x18a ptr=0xffff888102ab2e00 name=task_struct bytes_req=5840 bytes_alloc=5888 gfp_flags=GFP_KERNEL node=-1 accounted=true", 1, 0xffff888102ab2e00, "task_struct", 5840)]
    [InlineData("            bash-6023  [001] d.h1.  4227.113890: kmem_cache_alloc:     (copy_process+0x18a) call_site=copy_process+0x18a ptr=0xffff888102ab2e00 name=task_struct bytes_req=5840 bytes_alloc=5888 gfp_flags=GFP_KERNEL node=-1 accounted=true", 1, 0xffff888102ab2e00, "task_struct", 5840)]
    [InlineData("    bash-6023    1.....  4227.113890: kmem_cache_alloc:     (copy_process+0x18a) call_site=copy_process+0x18a ptr=0xffff888102ab2e00 name=task_struct bytes_req=5840 bytes_alloc=5888 gfp_flags=GFP_KERNEL node=-1 accounted=true", 1, 0xffff888102ab2e00, "task_struct", 5840)]
    [InlineData("            bash-6023  [001]  4227.113890: kmem_cache_alloc:      call_site=copy_process+0x18a ptr=0xffff888102ab2e00 name=task_struct bytes_req=5840 bytes_alloc=5888 gfp_flags=0xcc0 node=-1", 1, 0xffff888102ab2e00, "task_struct", 5840)]
    [InlineData("            perf  5927 [001]  4188.860126:                 kmem:kmem_cache_alloc: call_site=getname_flags.part.0+0x24 ptr=0xffff88810087b000 name=names_cache bytes_req=4096 bytes_alloc=4096 gfp_flags=GFP_KERNEL node=-1 accounted=false", 1, 0xffff88810087b000, "names_cache", 4096)]
    [InlineData("ls  5938 [000]  4190.664232: kmem:kmem_cache_alloc: call_site=getname_flags.part.0+0x24 ptr=0xffff88810087b000 name=names_cache bytes_req=4096 bytes_alloc=4096 gfp_flags=GFP_KERNEL node=-1 accounted=false", 0, 0xffff88810087b000, "names_cache", 4096)]
    [InlineData("            perf  5927/5927  [001]  4188.860126:                 kmem:kmem_cache_alloc: call_site=getname_flags.part.0+0x24 ptr=0xffff88810087b000 name=names_cache bytes_req=4096 bytes_alloc=4096 gfp_flags=GFP_KERNEL node=-1 accounted=false", 1, 0xffff88810087b000, "names_cache", 4096)]
    [InlineData("            perf  5927/5927   4188.860126:                 kmem:kmem_cache_alloc: call_site=getname_flags.part.0+0x24 ptr=0xffff88810087b000 name=names_cache bytes_req=4096 bytes_alloc=4096 gfp_flags=GFP_KERNEL node=-1 accounted=false", 0, 0xffff88810087b000, "names_cache", 4096)]
    public void An_allocation_is_read_from_every_tool(string line, int cpu, ulong pointer, string cache, int size)
    {
        Parsed parsed = Parse(line);
        Assert.Equal((TraceLine.Event, ""), (parsed.Line, parsed.Problem));
        Assert.Equal((TraceEventKind.CacheAlloc, cpu, pointer, cache, size), (parsed.Kind, parsed.Cpu, parsed.Pointer, parsed.Cache, parsed.Size));
    }

    [Theory]
    [InlineData("            bash-6023  [001]  4227.113479: kmalloc:              (tracepoint_add_func+0x10d) call_site=tracepoint_add_func+0x10d ptr=0xffff888104877600 bytes_req=64 bytes_alloc=64 gfp_flags=GFP_KERNEL node=-1 accounted=false", TraceEventKind.SizedAlloc, 0xffff888104877600)]
    [InlineData("            bash-6023  [001]  4227.113479: kmalloc_node:         call_site=tracepoint_add_func+0x10d ptr=0xffff888104877600 bytes_req=64 bytes_alloc=64 gfp_flags=GFP_KERNEL node=-1", TraceEventKind.SizedAlloc, 0xffff888104877600)]
    [InlineData("            bash-6023  [001]  4227.113836: kmem_cache_free:      (__fput+0x141) call_site=__fput+0x141 ptr=0xffff888113455300 name=lsm_file_cache", TraceEventKind.CacheFree, 0xffff888113455300)]
    [InlineData("            perf  5927 [001]  4188.860122:                            kmem:kfree: call_site=sched_setaffinity+0x160 ptr=0xffff888102d8c500", TraceEventKind.SizedFree, 0xffff888102d8c500)]
    [InlineData("            bash-5961    (   5961) [000] .....  4192.137573: kmem_cache_alloc_node: call_site=f+0x10d/0x490 ptr=000000009a1d9d2b bytes_req=64 bytes_alloc=64 gfp_flags=GFP_KERNEL node=0", TraceEventKind.CacheAlloc, 0x9a1d9d2b)]
    public void Objects_are_read(string line, object kind, ulong pointer)
    {
        Parsed parsed = Parse(line);
        Assert.Equal((TraceLine.Event, (TraceEventKind)kind, pointer), (parsed.Line, parsed.Kind, parsed.Pointer));
    }

    [Theory]
    [InlineData("mm_page_alloc: page=00000000b1032d71 pfn=0x172894 order=0 migratetype=1 gfp_flags=GFP_HIGHUSER_MOVABLE|__GFP_ZERO|__GFP_COMP", 0x172894, 0, KmemMobility.Movable)]
    [InlineData("mm_page_alloc:        page=0x144829 pfn=0x144829 order=10 migratetype=2 gfp_flags=GFP_HIGHUSER_MOVABLE|__GFP_COMP", 0x144829, 10, KmemMobility.Reclaimable)]
    [InlineData("mm_page_alloc:         pfn=0x144829 order=3 gfp_flags=0x140cca migratetype=0", 0x144829, 3, KmemMobility.Unmovable)]
    [InlineData("mm_page_alloc: page=ffffea0004f0e3c0 pfn=1295247 order=0 migratetype=4 gfp_flags=GFP_KERNEL", 1295247, 0, KmemMobility.Movable)]
    [InlineData("kmem:mm_page_alloc: page=0x113582 pfn=0x113582 order=0 migratetype=3 gfp_flags=GFP_HIGHUSER|__GFP_ACCOUNT", 0x113582, 0, KmemMobility.Unmovable)]
    public void Pages_are_read(string text, ulong frame, int order, KmemMobility mobility)
    {
        Parsed parsed = Parse(Header + text);
        Assert.Equal((TraceLine.Event, ""), (parsed.Line, parsed.Problem));
        Assert.Equal((TraceEventKind.PageAlloc, frame, order, mobility, false), (parsed.Kind, parsed.Frame, parsed.Order, parsed.Mobility, parsed.IsNull));
    }

    [Theory]
    [InlineData("my task-42    [003]")]
    [InlineData("kworker/0:1-ev-42    [003]")]
    [InlineData("a [001] b-42    [003]")]
    [InlineData("[x]:[-]-42    [003]")]
    [InlineData("1.5: kfree: -42    [003]")]
    [InlineData("1: kmalloc: x-42   (     42) [003]")]
    [InlineData("<idle>-0     [003]")]
    [InlineData("<...>-12345   [003]")]
    [InlineData("комм-42 [003]")]
    [InlineData("ptr=1 name=2-42 [003]")]
    [InlineData("a:b c:d e 42 [003]")]
    public void A_task_may_have_any_name(string task)
    {
        string fields = "call_site=f+0x1/0x2 ptr=0000000000000abc name=dentry bytes_req=192 bytes_alloc=192 gfp_flags=GFP_KERNEL";
        Parsed parsed = Parse($"  {task} d..1.   77.000001: kmem_cache_alloc: {fields}");
        Assert.Equal((TraceLine.Event, TraceEventKind.CacheAlloc), (parsed.Line, parsed.Kind));
        Assert.Equal((3, 0xabcUL, "dentry", 192), (parsed.Cpu, parsed.Pointer, parsed.Cache, parsed.Size));
        Assert.Equal(parsed, Parse($"  {task} 77.000001:      kmem:kmem_cache_alloc: {fields}"));
    }

    [Fact]
    public void Call_sites_in_modules_and_names_with_spaces_do_not_confuse()
    {
        Parsed parsed = Parse(Header + "kmem_cache_alloc: call_site=ext4_alloc_inode+0x25/0x150 [ext4] ptr=0000000000000abc name=odd name bytes_req=1120 bytes_alloc=1128 gfp_flags=GFP_NOFS");
        Assert.Equal((TraceLine.Event, 0xabcUL, "odd name", 1120), (parsed.Line, parsed.Pointer, parsed.Cache, parsed.Size));
    }

    [Fact]
    public void Kernels_that_print_no_name_give_an_empty_one()
    {
        Parsed parsed = Parse(Header + "kmem_cache_alloc: call_site=f+0x1/0x2 ptr=00000000abc00000 bytes_req=192 bytes_alloc=192 gfp_flags=GFP_KERNEL");
        Assert.Equal((TraceLine.Event, "", 192), (parsed.Line, parsed.Cache, parsed.Size));
    }

    [Theory]
    [InlineData("kfree: call_site=f+0x1/0x2 ptr=0000000000000000")]
    [InlineData("kfree: call_site=f+0x1/0x2 ptr=(null)")]
    [InlineData("kfree: call_site=f+0x1/0x2 ptr=(nil)")]
    [InlineData("kfree: call_site=f+0x1/0x2 ptr=0x0")]
    [InlineData("kmalloc: call_site=f+0x1/0x2 ptr=(null) bytes_req=64 bytes_alloc=64")]
    [InlineData("mm_page_alloc: page=(nil) pfn=0x0 order=9 migratetype=1 gfp_flags=GFP_TRANSHUGE")]
    [InlineData("mm_page_alloc: page=0000000000000000 pfn=0x0 order=9 migratetype=1 gfp_flags=GFP_TRANSHUGE")]
    [InlineData("mm_page_alloc: pfn=0xffffffffffffffff order=9 gfp_flags=0x1 migratetype=1")]
    public void The_null_pointer_is_recognised_however_it_is_printed(string text)
    {
        Parsed parsed = Parse(Header + text);
        Assert.Equal((TraceLine.Event, true), (parsed.Line, parsed.IsNull));
    }

    [Theory]
    [InlineData("kfree: call_site=f+0x1/0x2", "ptr= is missing")]
    [InlineData("kfree: call_site=f+0x1/0x2 ptr=", "ptr= is not an address")]
    [InlineData("kfree: call_site=f+0x1/0x2 ptr=xyz", "ptr= is not an address")]
    [InlineData("kfree: call_site=f+0x1/0x2 ptr=(____ptrval____)", "ptr= is not an address")]
    [InlineData("kmalloc: call_site=f+0x1/0x2 ptr=00000000abc00000", "bytes_req= is missing")]
    [InlineData("kmalloc: call_site=f+0x1/0x2 ptr=00000000abc00000 bytes_req=-1", "bytes_req= is not a size")]
    [InlineData("kmalloc: call_site=f+0x1/0x2 ptr=00000000abc00000 bytes_req=99999999999999999999", "bytes_req= is not a size")]
    [InlineData("kmem_cache_alloc: call_site=f+0x1/0x2 ptr=00000000abc00000 name=x bytes_req=4194305", "bytes_req= is more than an object of a cache can have (4 MiB)")]
    [InlineData("mm_page_alloc: page=1 order=0 migratetype=1", "pfn= is missing")]
    [InlineData("mm_page_alloc: page=1 pfn=zz order=0 migratetype=1", "pfn= is not a number")]
    [InlineData("mm_page_alloc: page=1 pfn=0x5 migratetype=1", "order= is missing")]
    [InlineData("mm_page_alloc: page=1 pfn=0x5 order=11 migratetype=1", "order= is not an order from 0 to 10")]
    [InlineData("mm_page_alloc: page=1 pfn=0x5 order=0", "migratetype= is missing")]
    public void A_malformed_event_is_named(string text, string problem)
    {
        Parsed parsed = Parse(Header + text);
        Assert.Equal((TraceLine.Malformed, problem), (parsed.Line, parsed.Problem));
    }

    [Theory]
    [InlineData("mm_page_free_batched: page=0x117520 pfn=0x117520 order=0")]
    [InlineData("rss_stat: mm_id=1284099817 curr=1 type=MM_FILEPAGES size=1306624B")]
    [InlineData("mm_page_pcpu_drain: page=0000 pfn=0x1 order=0 migratetype=1")]
    [InlineData("kmem:something_new: x=1")]
    public void Other_events_of_the_group_count_and_are_not_replayed(string text)
    {
        Parsed parsed = Parse(Header + text);
        Assert.Equal((TraceLine.Event, TraceEventKind.NotReplayed), (parsed.Line, parsed.Kind));
    }

    [Theory]
    [InlineData("# tracer: nop", TraceLine.Comment)]
    [InlineData("#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION", TraceLine.Comment)]
    [InlineData("", TraceLine.Blank)]
    [InlineData("   \t\r", TraceLine.Blank)]
    [InlineData("cpus=2", TraceLine.Unrecognised)]
    [InlineData("\tffffffff816360c7 __kmalloc_cache_noprof+0x237 ([kernel.kallsyms])", TraceLine.Unrecognised)]
    [InlineData("CPU:1 [LOST 12 EVENTS]", TraceLine.Lost)]
    [InlineData("CPU:0 [123 EVENTS DROPPED]", TraceLine.Lost)]
    [InlineData(Header + "sched_switch: prev_comm=a prev_pid=1 ==> next_comm=b", TraceLine.OtherEvent)]
    [InlineData("  perf  5927 [001]  4188.860122:   sched:sched_switch: prev_comm=a", TraceLine.OtherEvent)]
    [InlineData("  perf  5927 [001]  4188.860122:   other:kfree: ptr=1", TraceLine.OtherEvent)]
    [InlineData("note: kfree: this is no event, for there is no time before it ptr=1", TraceLine.Unrecognised)]
    [InlineData(":", TraceLine.Unrecognised)]
    [InlineData("kmalloc:", TraceLine.Unrecognised)]
    public void Every_other_line_has_its_kind(string line, object kind)
    {
        Assert.Equal((TraceLine)kind, Parse(line).Line);
    }

    [Theory]
    [InlineData("CPU:1 [LOST 12 EVENTS]", 12)]
    [InlineData("CPU:0 [123 EVENTS DROPPED]", 123)]
    [InlineData("CPU:0 [EVENTS DROPPED]", 1)]
    public void Lost_events_are_counted(string line, long lost)
    {
        Assert.Equal(lost, FtraceParser.ParseLostEvents(Encoding.UTF8.GetBytes(line)));
    }

    [Fact]
    public void No_line_is_too_odd_for_the_parser()
    {
        string line = Header + "kmem_cache_alloc: call_site=f+0x1/0x2 ptr=00000000abc00000 name=x bytes_req=64 bytes_alloc=64";
        byte[] bytes = Encoding.UTF8.GetBytes(line);
        int seed = Environment.TickCount;
        Random random = new(seed);
        for (int round = 0; round < 20_000; round++)
        {
            byte[] damaged = bytes.AsSpan(0, random.Next(bytes.Length + 1)).ToArray();
            for (int count = random.Next(4); count > 0 && damaged.Length > 0; count--)
            {
                damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            }

            TraceLine kind = FtraceParser.Parse(damaged, out _, out string problem);
            Assert.True((kind == TraceLine.Malformed) == (problem.Length > 0), $"seed {seed}, round {round}");
        }
    }
}
