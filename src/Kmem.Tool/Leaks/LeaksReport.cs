using System;
using System.Collections.Generic;
using System.Linq;

namespace Kmem.Tool.Leaks;

/// <summary>The result of <c>kmem leaks</c> as JSON. Ages are milliseconds.</summary>
internal sealed record LeaksReport
{
    public required int ProcessId { get; init; }

    public required DateTimeOffset Taken { get; init; }

    /// <summary>Between two dumps; null where there was one.</summary>
    public double? Seconds { get; init; }

    public required IReadOnlyList<LeaksOfHeap> Heaps { get; init; }

    public static LeaksReport Of(int pid, IReadOnlyList<KmemLeakReport> heaps) => new()
    {
        ProcessId = pid,
        Taken = DateTimeOffset.UtcNow,
        Heaps = [.. heaps.Select(static heap => new LeaksOfHeap
        {
            Name = heap.HeapName,
            Objects = heap.Objects,
            Bytes = heap.RequestedBytes,
            UntrackedObjects = heap.UntrackedObjects,
            UntrackedBytes = heap.UntrackedBytes,
            Sites = [.. heap.Sites.Select(static site => LeakSiteRow.Of(site, site.Objects, site.RequestedBytes))],
            Untracked = [.. heap.Untracked.Select(static each => new UntrackedRow(each.CacheName, each.Objects, each.Bytes))],
        })],
    };

    public static LeaksReport Of(int pid, IReadOnlyList<KmemLeakDifference> heaps) => new()
    {
        ProcessId = pid,
        Taken = DateTimeOffset.UtcNow,
        Seconds = heaps.Count == 0 ? null : heaps.Max(static heap => heap.Elapsed.TotalSeconds),
        Heaps = [.. heaps.Select(static heap => new LeaksOfHeap
        {
            Name = heap.HeapName,
            Objects = heap.Objects,
            Bytes = heap.RequestedBytes,
            UntrackedObjects = heap.UntrackedObjects,
            UntrackedBytes = heap.UntrackedBytes,
            Sites = [.. heap.Sites.Select(static growth => LeakSiteRow.Of(growth.Now, growth.Objects, growth.RequestedBytes))],
        })],
    };
}

/// <summary>One heap: what is live, or with two dumps how much it grew.</summary>
internal sealed record LeaksOfHeap
{
    public required string Name { get; init; }

    public required long Objects { get; init; }

    public required long Bytes { get; init; }

    public required long UntrackedObjects { get; init; }

    public required long UntrackedBytes { get; init; }

    public required IReadOnlyList<LeakSiteRow> Sites { get; init; }

    /// <summary>Null with two dumps.</summary>
    public IReadOnlyList<UntrackedRow>? Untracked { get; init; }
}

/// <summary>One site.</summary>
internal sealed record LeakSiteRow
{
    /// <summary>Live, or more than before.</summary>
    public required long Objects { get; init; }

    public required long Bytes { get; init; }

    /// <summary>Live now.</summary>
    public required long LiveObjects { get; init; }

    public required double OldestMilliseconds { get; init; }

    public required double YoungestMilliseconds { get; init; }

    public required IReadOnlyList<string> Caches { get; init; }

    public required IReadOnlyList<string> Stack { get; init; }

    public static LeakSiteRow Of(KmemLeakSite site, long objects, long bytes) => new()
    {
        Objects = objects,
        Bytes = bytes,
        LiveObjects = site.Objects,
        OldestMilliseconds = site.OldestAge.TotalMilliseconds,
        YoungestMilliseconds = site.YoungestAge.TotalMilliseconds,
        Caches = site.CacheNames,
        Stack = site.Stack,
    };
}

/// <summary>Objects of a cache that have no track.</summary>
internal sealed record UntrackedRow(string Cache, long Objects, long Bytes);
