using System;

namespace Kmem.Tool.Traces;

/// <summary>What an event of the kernel's group <c>kmem</c>, or of a program, means to a replay.</summary>
internal enum TraceEventKind : byte
{
    /// <summary>An event of the group that is counted and not replayed, such as <c>rss_stat</c> or <c>mm_page_pcpu_drain</c>.</summary>
    NotReplayed,

    /// <summary><c>kmalloc</c>, <c>kmalloc_node</c>: an object of a size.</summary>
    SizedAlloc,

    /// <summary><c>kmem_cache_alloc</c>, <c>kmem_cache_alloc_node</c>: an object of a named cache.</summary>
    CacheAlloc,

    /// <summary><c>kfree</c>.</summary>
    SizedFree,

    /// <summary><c>kmem_cache_free</c>.</summary>
    CacheFree,

    /// <summary><c>mm_page_alloc</c>.</summary>
    PageAlloc,

    /// <summary><c>mm_page_free</c>.</summary>
    PageFree,

    /// <summary>A program's <c>realloc</c> takes an object: the half that frees. <see cref="ReallocEnd"/> of the same thread follows.</summary>
    ReallocBegin,

    /// <summary>It gives one of another size, at the same address or elsewhere.</summary>
    ReallocEnd,
}

/// <summary>One event, as far as a replay needs it. Spans point into the line that it was parsed from.</summary>
internal ref struct TraceEvent
{
    public TraceEventKind Kind;

    /// <summary>CPU that the event happened on, 0 where the line does not say; of a program, the thread.</summary>
    public int Cpu;

    /// <summary>Address of the object as printed, hashed or not: an identity, nothing more.</summary>
    public ulong Pointer;

    /// <summary>True for the null pointer: an allocation that failed in the kernel, a free of nothing.</summary>
    public bool IsNull;

    /// <summary>Bytes that the caller asked for.</summary>
    public int SizeBytes;

    /// <summary>True where that were more than <see cref="SizeBytes"/> can say.</summary>
    public bool IsTooLarge;

    /// <summary>True where the caller asked for zeros.</summary>
    public bool IsZeroed;

    /// <summary>Binary logarithm of the alignment that the caller asked for; 0 for whatever is usual.</summary>
    public byte AlignmentShift;

    /// <summary>Name of the cache; empty where the kernel does not print one.</summary>
    public ReadOnlySpan<byte> CacheName;

    /// <summary>Page frame number of the first page.</summary>
    public ulong Frame;

    /// <summary>The block has 2^Order pages.</summary>
    public int Order;

    /// <summary>Mobility of the pages.</summary>
    public KmemMobility Mobility;

    /// <summary>Hexadecimal digits that the pointer was printed with: all pointers of a file have the same number, unless the line was cut.</summary>
    public int PointerDigits;

    /// <summary>True where a number runs up to the end of the line, so that a cut line may have shortened it.</summary>
    public bool EndsInNumber;
}

/// <summary>Takes the events of a trace in their order.</summary>
internal delegate void TraceEventSink(in TraceEvent added);

/// <summary>What a line of a trace is.</summary>
internal enum TraceLine
{
    /// <summary>Nothing on it.</summary>
    Blank,

    /// <summary>A comment of the kernel's header.</summary>
    Comment,

    /// <summary>A well-formed event of the <c>kmem</c> group.</summary>
    Event,

    /// <summary>An event of the <c>kmem</c> group whose fields are missing or make no sense.</summary>
    Malformed,

    /// <summary>An event of another group.</summary>
    OtherEvent,

    /// <summary>A line that says that events were lost.</summary>
    Lost,

    /// <summary>Anything else: headers of tools, stack traces.</summary>
    Unrecognised,
}
