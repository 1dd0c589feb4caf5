using System;
using System.Buffers.Text;

namespace Kmem.Tool.Traces;

/// <summary>
/// Reads one line of a text trace. Four tools print the same events in four shapes:
/// <code>
/// ftrace       rec.sh-13378   [000] .....  3614.602957: kmem_cache_free: call_site=__fput+0x141/0x2a0 ptr=0000000052255da3 name=filp
/// latency      bash-5961      0..... 4192138134us : kmem_cache_free: call_site=... ptr=00000000a8f7d42a name=filp
/// trace-cmd    bash-6023  [001]  4227.113479: kmalloc:              (tracepoint_add_func+0x10d) call_site=... ptr=0xffff888104877600 ...
/// perf script  perf  5927 [000]  4188.860033:       kmem:kmalloc: call_site=... ptr=0xffff888102d8c500 ...
/// </code>
/// They agree in this: a time that ends in a colon, the event's name that ends in a colon, then <c>key=value</c> fields.
/// A task may be named anything (spaces, colons, brackets, even <c>1.5: kfree:</c>) while the fields hold no colon followed
/// by such a name, so the event is looked for from the right. What stands between task and time differs: only the CPU is wanted
/// of it, and it is the last number in brackets.
/// </summary>
internal static class FtraceParser
{
    /// <summary>Largest object of a cache, in Linux as in Kmem: a block of the largest order.</summary>
    private const int MaxCacheObjectBytes = PageAllocator.PageSizeBytes << PageAllocator.MaxOrder;

    /// <summary>Marks between the time and its colon in the latency format: how long the event took.</summary>
    private static ReadOnlySpan<byte> LatencyMarks => "+!#*@$ "u8;

    /// <summary>
    /// Parses <paramref name="line"/>, without its line break. <paramref name="problem"/> says what is wrong with a
    /// <see cref="TraceLine.Malformed"/> line.
    /// </summary>
    public static TraceLine Parse(ReadOnlySpan<byte> line, out TraceEvent parsed, out string problem)
    {
        parsed = default;
        problem = "";
        line = line.TrimEnd(" \t\r"u8);
        if (line.IsEmpty)
        {
            return TraceLine.Blank;
        }

        if (line[0] == (byte)'#')
        {
            return TraceLine.Comment;
        }

        for (int end = line.Length; ;)
        {
            int colon = line[..end].LastIndexOf((byte)':');
            if (colon <= 0)
            {
                return IsLossNotice(line) ? TraceLine.Lost : TraceLine.Unrecognised;
            }

            int nameStart = line[..colon].LastIndexOfAny((byte)' ', (byte)'\t') + 1;
            if (EndsInTime(line[..nameStart], out ReadOnlySpan<byte> header))
            {
                if (!IsKmemEvent(line[nameStart..colon], out parsed.Kind))
                {
                    return TraceLine.OtherEvent;
                }

                parsed.Cpu = ParseCpu(header);
                problem = ParseFields(line[(colon + 1)..], ref parsed);
                return problem.Length == 0 ? TraceLine.Event : TraceLine.Malformed;
            }

            end = colon;
        }
    }

    /// <summary>The number of events in a line such as <c>CPU:1 [LOST 12 EVENTS]</c> or <c>CPU:1 [12 EVENTS DROPPED]</c>; 1 where it gives none.</summary>
    public static long ParseLostEvents(ReadOnlySpan<byte> line)
    {
        ReadOnlySpan<byte> notice = line[(line.IndexOf((byte)'[') + 1)..];
        int digits = notice.IndexOfAnyInRange((byte)'0', (byte)'9');
        return digits >= 0 && Utf8Parser.TryParse(notice[digits..], out long lost, out _) ? lost : 1;
    }

    private static bool IsLossNotice(ReadOnlySpan<byte> line)
    {
        return line.StartsWith("CPU:"u8) && (line.IndexOf("LOST"u8) >= 0 || line.IndexOf("DROPPED"u8) >= 0);
    }

    /// <summary>Whether text ends in a time stamp and its colon: <c>3614.602957: </c>, <c>1372: </c> (a counting clock), <c>4192138134us+: </c>.</summary>
    private static bool EndsInTime(ReadOnlySpan<byte> text, out ReadOnlySpan<byte> beforeColon)
    {
        beforeColon = text.TrimEnd(" \t"u8);
        if (beforeColon.IsEmpty || beforeColon[^1] != (byte)':')
        {
            return false;
        }

        beforeColon = beforeColon[..^1].TrimEnd(LatencyMarks);
        return !beforeColon.IsEmpty && (char.IsAsciiDigit((char)beforeColon[^1]) || beforeColon.EndsWith("us"u8));
    }

    /// <summary>Recognises the name of an event of the group, with or without <c>kmem:</c> before it.</summary>
    private static bool IsKmemEvent(ReadOnlySpan<byte> name, out TraceEventKind kind)
    {
        bool qualified = name.StartsWith("kmem:"u8);
        if (qualified)
        {
            name = name["kmem:"u8.Length..];
        }

        (bool known, kind) = name switch
        {
            _ when name.SequenceEqual("kmem_cache_alloc"u8) => (true, TraceEventKind.CacheAlloc),
            _ when name.SequenceEqual("kmem_cache_free"u8) => (true, TraceEventKind.CacheFree),
            _ when name.SequenceEqual("kfree"u8) => (true, TraceEventKind.SizedFree),
            _ when name.SequenceEqual("kmalloc"u8) => (true, TraceEventKind.SizedAlloc),
            _ when name.SequenceEqual("mm_page_alloc"u8) => (true, TraceEventKind.PageAlloc),
            _ when name.SequenceEqual("mm_page_free"u8) => (true, TraceEventKind.PageFree),
            _ when name.SequenceEqual("kmem_cache_alloc_node"u8) => (true, TraceEventKind.CacheAlloc),
            _ when name.SequenceEqual("kmalloc_node"u8) => (true, TraceEventKind.SizedAlloc),
            _ => (IsCountedOnly(name), TraceEventKind.NotReplayed),
        };
        return known || qualified;
    }

    /// <summary>
    /// The group's other events. <c>mm_page_free_batched</c> repeats what an <c>mm_page_free</c> of the same page says, and
    /// the rest move pages between the allocator's own lists or keep accounts.
    /// </summary>
    private static bool IsCountedOnly(ReadOnlySpan<byte> name)
    {
        return name.SequenceEqual("mm_page_free_batched"u8)
            || name.SequenceEqual("mm_page_alloc_zone_locked"u8)
            || name.SequenceEqual("mm_page_pcpu_drain"u8)
            || name.SequenceEqual("mm_page_alloc_extfrag"u8)
            || name.SequenceEqual("mm_alloc_contig_migrate_range_info"u8)
            || name.SequenceEqual("mm_setup_per_zone_wmarks"u8)
            || name.SequenceEqual("mm_setup_per_zone_lowmem_reserve"u8)
            || name.SequenceEqual("mm_calculate_totalreserve_pages"u8)
            || name.SequenceEqual("rss_stat"u8);
    }

    /// <summary>The CPU in what stands before the time: the last <c>[001]</c>, else the number that starts the flags of the latency format, else 0.</summary>
    private static int ParseCpu(ReadOnlySpan<byte> header)
    {
        for (int end = header.Length; ;)
        {
            int close = header[..end].LastIndexOf((byte)']');
            int open = close < 0 ? -1 : header[..close].LastIndexOf((byte)'[');
            if (open < 0)
            {
                break;
            }

            if (TryParseWhole(header[(open + 1)..close], out int cpu))
            {
                return cpu;
            }

            end = close;
        }

        int time = header.LastIndexOf((byte)' ') + 1;
        ReadOnlySpan<byte> beforeTime = header[..time].TrimEnd((byte)' ');
        ReadOnlySpan<byte> flags = beforeTime[(beforeTime.LastIndexOf((byte)' ') + 1)..];
        int digits = flags.IndexOfAnyExceptInRange((byte)'0', (byte)'9');
        bool isFlags = digits > 0 && flags.Length - digits >= 4 && !flags.ContainsAny((byte)'-', (byte)'/');
        return isFlags && TryParseWhole(flags[..digits], out int flaggedCpu) ? flaggedCpu : 0;
    }

    /// <summary>Reads the fields that the event's kind needs; returns what is wrong with them, or an empty string.</summary>
    private static string ParseFields(ReadOnlySpan<byte> fields, ref TraceEvent parsed)
    {
        switch (parsed.Kind)
        {
            case TraceEventKind.NotReplayed:
                return "";
            case TraceEventKind.PageAlloc or TraceEventKind.PageFree:
                return ParsePages(fields, ref parsed);
        }

        if (!TryFind(fields, " ptr="u8, out ReadOnlySpan<byte> pointer))
        {
            return "ptr= is missing";
        }

        if (!TryParsePointer(pointer, out parsed.Pointer, out parsed.PointerDigits))
        {
            return "ptr= is not an address";
        }

        parsed.IsNull = parsed.Pointer == 0;
        if (parsed.Kind is TraceEventKind.SizedFree or TraceEventKind.CacheFree)
        {
            return "";
        }

        if (!TryFind(fields, " bytes_req="u8, out ReadOnlySpan<byte> size))
        {
            return "bytes_req= is missing";
        }

        if (!TryParseWhole(size, out parsed.SizeBytes))
        {
            return "bytes_req= is not a size";
        }

        if (parsed.Kind == TraceEventKind.CacheAlloc && parsed.SizeBytes > MaxCacheObjectBytes)
        {
            return "bytes_req= is more than an object of a cache can have (4 MiB)";
        }

        parsed.EndsInNumber = fields.EndsWith(size) && fields[..^size.Length].EndsWith("bytes_req="u8);
        if (parsed.Kind == TraceEventKind.CacheAlloc)
        {
            parsed.CacheName = FindCacheName(fields);
        }

        return "";
    }

    private static string ParsePages(ReadOnlySpan<byte> fields, ref TraceEvent parsed)
    {
        if (!TryFind(fields, " pfn="u8, out ReadOnlySpan<byte> frame))
        {
            return "pfn= is missing";
        }

        if (!TryParseFrame(frame, out parsed.Frame))
        {
            return "pfn= is not a number";
        }

        if (!TryFind(fields, " order="u8, out ReadOnlySpan<byte> order))
        {
            return "order= is missing";
        }

        if (!TryParseWhole(order, out parsed.Order) || parsed.Order > PageAllocator.MaxOrder)
        {
            return "order= is not an order from 0 to 10";
        }

        // A failed allocation is printed as a null page with frame 0, or, unformatted, as frame -1.
        bool nullPage = !TryFind(fields, " page="u8, out ReadOnlySpan<byte> page)
            || (TryParsePointer(page, out ulong address, out _) && address == 0);
        parsed.IsNull = (parsed.Frame == 0 && nullPage) || parsed.Frame == ulong.MaxValue;
        if (parsed.Kind == TraceEventKind.PageFree)
        {
            return "";
        }

        if (!TryFind(fields, " migratetype="u8, out ReadOnlySpan<byte> mobility) || !TryParseWhole(mobility, out int type))
        {
            return "migratetype= is missing";
        }

        // The kernel's numbers: 0 unmovable, 1 movable, 2 reclaimable; 3 is the atomic reserve, and what follows (CMA,
        // isolated) is for movable pages.
        parsed.Mobility = type switch
        {
            0 or 3 => KmemMobility.Unmovable,
            2 => KmemMobility.Reclaimable,
            _ => KmemMobility.Movable,
        };
        return "";
    }

    /// <summary>
    /// The cache's name: between <c>name=</c> and <c>bytes_req=</c>, so that a name with a space in it stays whole.
    /// </summary>
    private static ReadOnlySpan<byte> FindCacheName(ReadOnlySpan<byte> fields)
    {
        int start = fields.IndexOf(" name="u8);
        if (start < 0)
        {
            return default;
        }

        ReadOnlySpan<byte> name = fields[(start + " name="u8.Length)..];
        int end = name.IndexOf(" bytes_req="u8);
        if (end < 0)
        {
            end = name.IndexOf((byte)' ');
        }

        return end < 0 ? name : name[..end].TrimEnd((byte)' ');
    }

    private static bool TryFind(ReadOnlySpan<byte> fields, ReadOnlySpan<byte> key, out ReadOnlySpan<byte> value)
    {
        int start = fields.IndexOf(key);
        if (start < 0)
        {
            value = default;
            return false;
        }

        value = fields[(start + key.Length)..];
        int end = value.IndexOf((byte)' ');
        if (end >= 0)
        {
            value = value[..end];
        }

        return true;
    }

    /// <summary>An address: hexadecimal, with or without 0x; <c>(null)</c> and <c>(nil)</c> are 0.</summary>
    private static bool TryParsePointer(ReadOnlySpan<byte> text, out ulong pointer, out int digits)
    {
        digits = 0;
        pointer = 0;
        if (text.SequenceEqual("(null)"u8) || text.SequenceEqual("(nil)"u8))
        {
            return true;
        }

        ReadOnlySpan<byte> hex = WithoutPrefix(text);
        digits = hex.Length;
        return Utf8Parser.TryParse(hex, out pointer, out int used, 'x') && used == hex.Length;
    }

    /// <summary>A page frame number: hexadecimal with 0x, decimal without (older kernels).</summary>
    private static bool TryParseFrame(ReadOnlySpan<byte> text, out ulong frame)
    {
        ReadOnlySpan<byte> hex = WithoutPrefix(text);
        char format = hex.Length == text.Length ? 'D' : 'x';
        return Utf8Parser.TryParse(hex, out frame, out int used, format) && used == hex.Length;
    }

    private static ReadOnlySpan<byte> WithoutPrefix(ReadOnlySpan<byte> text) => text.StartsWith("0x"u8) ? text[2..] : text;

    /// <summary>A decimal number that is the whole of the text.</summary>
    private static bool TryParseWhole(ReadOnlySpan<byte> text, out int number)
    {
        return Utf8Parser.TryParse(text, out number, out int used) && used == text.Length && number >= 0;
    }
}
