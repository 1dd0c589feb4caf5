using System.Collections.Generic;

namespace Kmem.Tool.Replay;

/// <summary>
/// The result of a replay as it is written to JSON and shown. Names in JSON are these in snake case.
/// <code>
/// allocs      == frees + implicit_frees + live_objects            (where nothing failed)
/// page_allocs == page_frees + implicit_page_frees + live blocks
/// bytes.committed == sum of the other parts of bytes, without bytes.reserved
/// </code>
/// </summary>
internal sealed record ReplayReport
{
    public required string File { get; init; }

    /// <summary>The program that was recorded; null for the trace of a kernel.</summary>
    public required ReportProgram? Program { get; init; }

    public required string FrontEnd { get; init; }

    public required string SizeClasses { get; init; }

    public required int Threads { get; init; }

    public required int Cpus { get; init; }

    public required long Lines { get; init; }

    /// <summary>Events of the kmem group, or of the program, replayed or not.</summary>
    public required long Events { get; init; }

    public required long EventsNotReplayed { get; init; }

    public required long OtherEvents { get; init; }

    public required long CommentLines { get; init; }

    public required long UnrecognisedLines { get; init; }

    public required long MalformedLines { get; init; }

    public required long LostEvents { get; init; }

    public required long Allocs { get; init; }

    public required long Frees { get; init; }

    public required long ImplicitFrees { get; init; }

    public required long UnmatchedFrees { get; init; }

    /// <summary>Allocations that failed when they were recorded; not replayed.</summary>
    public required long NullAllocs { get; init; }

    public required long LiveObjects { get; init; }

    public required long RequestedBytes { get; init; }

    public required long PeakRequestedBytes { get; init; }

    public required long PageAllocs { get; init; }

    public required long PageFrees { get; init; }

    public required long ImplicitPageFrees { get; init; }

    public required long UnmatchedPageFrees { get; init; }

    public required long LivePages { get; init; }

    /// <summary>Allocations that failed in the replay.</summary>
    public required long Failed { get; init; }

    /// <summary>Objects that were written to while somebody else held them: 0, or the heap is broken.</summary>
    public required long Corrupt { get; init; }

    /// <summary>Where the heap's own counts differ from the trace's, in words: empty, or the heap is broken.</summary>
    public required IReadOnlyList<string> AccountingErrors { get; init; }

    /// <summary>Time of the replay loop.</summary>
    public required double Seconds { get; init; }

    public required double ParseSeconds { get; init; }

    /// <summary>Allocations and frees that were replayed, implicit ones included.</summary>
    public required long Operations { get; init; }

    /// <summary>Seconds over operations, in nanoseconds.</summary>
    public required double NanosecondsPerEvent { get; init; }

    /// <summary>Of the bytes of size classes in <see cref="Bytes"/>: asked for.</summary>
    public required long SizeClassRequestedBytes { get; init; }

    /// <summary>Most bytes committed at any time. Nothing is given back while a replay runs, so that it is what is committed at the end.</summary>
    public required long PeakCommittedBytes { get; init; }

    /// <summary>Bytes committed after trimming, with the objects still live.</summary>
    public required long TrimmedCommittedBytes { get; init; }

    public required ReportBytes Bytes { get; init; }

    public required ReportHits Hits { get; init; }

    public required ReportPages Pages { get; init; }

    /// <summary>Caches that saw activity, most bytes first.</summary>
    public required IReadOnlyList<ReportCache> Caches { get; init; }

    /// <summary>What the kernel's caches grew by meanwhile; null where it was not saved beside the trace.</summary>
    public required IReadOnlyList<ReportGrowth>? KernelGrowth { get; init; }
}

/// <summary>What the trace says about the program.</summary>
internal sealed record ReportProgram
{
    public required string CommandLine { get; init; }

    public required long ProcessId { get; init; }

    public required long ParentId { get; init; }

    /// <summary>It came from a fork, and began with objects of its parent: their frees are unmatched.</summary>
    public required bool IsFork { get; init; }

    public required System.DateTimeOffset Started { get; init; }

    /// <summary>From the start to the end, or to the last time in the trace.</summary>
    public required double Seconds { get; init; }

    /// <summary>Whether it came to its end; false where it was killed, crashed, or replaced itself.</summary>
    public required bool HasEnded { get; init; }

    /// <summary>Threads that allocated or freed.</summary>
    public required long Threads { get; init; }

    /// <summary>Of allocs: by a realloc, which counts as an allocation and a free.</summary>
    public required long Reallocs { get; init; }

    /// <summary>Of allocs: of zeros.</summary>
    public required long ZeroedAllocs { get; init; }

    /// <summary>Of allocs: with an alignment.</summary>
    public required long AlignedAllocs { get; init; }

    /// <summary>Larger than 2 GiB; neither they nor their frees are replayed.</summary>
    public required long OversizedAllocs { get; init; }
}

/// <summary>Where every committed byte is: all but <see cref="Reserved"/> add up to <see cref="Committed"/>.</summary>
internal sealed record ReportBytes
{
    public required ulong Requested { get; init; }

    public required ulong SizeClass { get; init; }

    public required ulong Rounding { get; init; }

    public required ulong Magazines { get; init; }

    public required ulong Depot { get; init; }

    public required ulong FreeInSlabs { get; init; }

    public required ulong EmptySlabs { get; init; }

    public required ulong SlabTails { get; init; }

    public required ulong FreePages { get; init; }

    public required ulong Metadata { get; init; }

    public required ulong Committed { get; init; }

    public required ulong Reserved { get; init; }
}

/// <summary>
/// Who served the operations: the loaded magazine of the CPU, its previous one, the depot, or the slabs. The four add up
/// to the operations.
/// </summary>
internal sealed record ReportHits
{
    public required long AllocOperations { get; init; }

    public required long AllocFromMagazine { get; init; }

    public required long AllocFromPrevious { get; init; }

    public required long AllocFromDepot { get; init; }

    public required long AllocFromSlab { get; init; }

    public required long FreeOperations { get; init; }

    public required long FreeToMagazine { get; init; }

    public required long FreeToPrevious { get; init; }

    public required long FreeToDepot { get; init; }

    public required long FreeToSlab { get; init; }
}

/// <summary>The page allocator at the end.</summary>
internal sealed record ReportPages
{
    public required IReadOnlyList<long> FreeBlocks { get; init; }

    public required long FreePages { get; init; }

    public required long AllocatedPages { get; init; }

    public required long TotalPages { get; init; }
}

/// <summary>One cache at the end.</summary>
internal sealed record ReportCache
{
    public required string Name { get; init; }

    public required ulong ObjectSize { get; init; }

    /// <summary>Distance of two objects.</summary>
    public required ulong Size { get; init; }

    public required int Order { get; init; }

    public required int ObjectsPerSlab { get; init; }

    public required long ActiveObjects { get; init; }

    public required long TotalObjects { get; init; }

    public required long Slabs { get; init; }

    public required long Allocs { get; init; }

    public required long Frees { get; init; }

    public required long AllocMisses { get; init; }

    public required long FreeMisses { get; init; }

    public required bool IsSizeClass { get; init; }
}

/// <summary>A cache's growth while the trace was recorded, in the kernel, and in the replay.</summary>
internal sealed record ReportGrowth
{
    public required string Name { get; init; }

    public required long KernelActiveObjects { get; init; }

    public required long KernelTotalObjects { get; init; }

    public required long KernelSlabs { get; init; }

    public required long ActiveObjects { get; init; }

    public required long TotalObjects { get; init; }

    public required long Slabs { get; init; }
}
