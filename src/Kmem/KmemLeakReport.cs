using System;
using System.Collections.Generic;
using Kmem.Diagnostics;

namespace Kmem;

/// <summary>Which live objects <see cref="KmemHeap.FindLeaks"/> tells of.</summary>
public sealed class KmemLeakOptions
{
    /// <summary>Objects that were allocated later than so long ago are left out. Default zero: none are.</summary>
    public TimeSpan LeastAge { get; set; }

    /// <summary>Sites with fewer objects are left out. Default 1: none are.</summary>
    public long LeastCount { get; set; } = 1;

    /// <summary>Names of the caches to look at; <c>*</c> stands for any characters, <c>?</c> for one. Default <c>*</c>: all.</summary>
    public string CacheNames { get; set; } = "*";
}

/// <summary>The live objects of a heap by who allocated them: what nobody frees any more is among them.</summary>
/// <remarks>
/// The sum is honest: what is live and has no track stands in <see cref="Untracked"/>, and what the options left out in <see cref="LeftOutObjects"/>. Each cache is
/// looked at in a moment of its own, so that figures of several caches may not fit each other while other threads allocate and free.
/// </remarks>
public sealed record KmemLeakReport
{
    /// <summary>Name of the heap.</summary>
    public required string HeapName { get; init; }

    /// <summary>When the heap was looked at.</summary>
    public required DateTimeOffset Taken { get; init; }

    /// <summary>Caches with the letter U at present, among those looked at.</summary>
    public required int CachesWithUsers { get; init; }

    /// <summary>Where live objects were allocated, most bytes first.</summary>
    public required IReadOnlyList<KmemLeakSite> Sites { get; init; }

    /// <summary>
    /// Live objects that nobody knows the allocation of, by cache: those of caches without the letter U and those that are older than it. <c>(large)</c> are allocations with
    /// pages of their own, <c>(pages)</c> those of <see cref="PageAllocator"/>; these two only where all caches are looked at.
    /// </summary>
    public required IReadOnlyList<KmemUntrackedObjects> Untracked { get; init; }

    /// <summary>Objects with tracks that were younger, or of smaller sites, than the options ask for.</summary>
    public required long LeftOutObjects { get; init; }

    /// <summary>Bytes of <see cref="LeftOutObjects"/>, as asked for.</summary>
    public required long LeftOutBytes { get; init; }

    /// <summary>Objects of all sites.</summary>
    public long Objects => LeakText.Sum(Sites, static site => site.Objects);

    /// <summary>Bytes of all sites, as asked for.</summary>
    public long RequestedBytes => LeakText.Sum(Sites, static site => site.RequestedBytes);

    /// <summary>Objects without tracks, of all caches.</summary>
    public long UntrackedObjects => LeakText.Sum(Untracked, static each => each.Objects);

    /// <summary>Bytes of <see cref="UntrackedObjects"/>.</summary>
    public long UntrackedBytes => LeakText.Sum(Untracked, static each => each.Bytes);

    /// <summary>The report as a table, with the stacks of the 20 largest sites.</summary>
    public string Text => Format(LeakText.SitesShown);

    /// <summary>The report as a table.</summary>
    /// <param name="sitesMost">The largest so many sites are shown.</param>
    /// <returns>Text of several lines, without a line feed at its end.</returns>
    public string Format(int sitesMost) => LeakText.Format(this, sitesMost);

    /// <inheritdoc/>
    public override string ToString() => Text;
}

/// <summary>The live objects that one stack allocated.</summary>
public sealed record KmemLeakSite
{
    /// <summary>Live objects.</summary>
    public required long Objects { get; init; }

    /// <summary>Their bytes, as asked for.</summary>
    public required long RequestedBytes { get; init; }

    /// <summary>Age of the oldest. Ages are counted modulo 49.7 days.</summary>
    public required TimeSpan OldestAge { get; init; }

    /// <summary>Age of the youngest.</summary>
    public required TimeSpan YoungestAge { get; init; }

    /// <summary>Names of the caches that the objects are of, in alphabetical order.</summary>
    public required IReadOnlyList<string> CacheNames { get; init; }

    /// <summary>Frames of the allocation, the innermost first; empty where it is not known.</summary>
    public required IReadOnlyList<string> Stack { get; init; }
}

/// <summary>Live objects of a cache that have no track.</summary>
/// <param name="CacheName">Name of the cache, or <c>(large)</c> or <c>(pages)</c>.</param>
/// <param name="Objects">How many.</param>
/// <param name="Bytes">Their bytes: of size classes with rounding, else as asked for.</param>
public sealed record KmemUntrackedObjects(string CacheName, long Objects, long Bytes);
