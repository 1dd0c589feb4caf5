using System;
using System.Collections.Generic;
using System.IO;
using Kmem.Diagnostics;

namespace Kmem;

/// <summary>Who holds the memory of a heap, by call site: estimated from samples. Made by <see cref="KmemHeap.GetProfile"/>.</summary>
/// <remarks>
/// A sample stands for as many bytes as lie between it and the one before, on the average <see cref="IntervalBytes"/>. An estimate from n live samples is off by about 1/√n of itself:
/// from 100 samples by a tenth. What is allocated and freed again without leaving a thread's or CPU's own magazines is not seen: it holds no memory.
/// </remarks>
public sealed class KmemProfile
{
    /// <summary>Name of the heap.</summary>
    public required string HeapName { get; init; }

    /// <summary>Mean distance of two samples in bytes; 0 if none are taken now.</summary>
    public required long IntervalBytes { get; init; }

    /// <summary>When it was taken.</summary>
    public required DateTimeOffset TakenAt { get; init; }

    /// <summary>Call sites, those with the most live bytes first.</summary>
    public required IReadOnlyList<KmemProfileSite> Sites { get; init; }

    /// <summary>Tags with their exact counts, those with the most live bytes first.</summary>
    public required IReadOnlyList<KmemTagStatistics> Tags { get; init; }

    /// <summary>Sum over the sites, in bytes.</summary>
    public long LiveBytes
    {
        get
        {
            long sum = 0;
            foreach (KmemProfileSite site in Sites)
            {
                sum += site.LiveBytes;
            }

            return sum;
        }
    }

    /// <summary>The sites as text, with their stacks, and the tags.</summary>
    /// <param name="sitesMax">Sites at most.</param>
    /// <returns>Lines, for people.</returns>
    public string ToTable(int sitesMax = 20) => ProfileText.Table(this, sitesMax);

    /// <summary>Live bytes as collapsed stacks: <c>outermost;…;innermost bytes</c>, one a line, for flamegraph.pl and speedscope.</summary>
    /// <param name="total">Bytes allocated in total instead of live ones.</param>
    /// <returns>The lines.</returns>
    public string ToCollapsedStacks(bool total = false) => ProfileText.Collapsed(this, total);

    /// <summary>Writes profile.proto, compressed, as <c>go tool pprof</c> and its friends read it: inuse_objects, inuse_space, alloc_objects and alloc_space.</summary>
    /// <param name="stream">Is written to and left open.</param>
    public void WritePprof(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        PprofWriter.Write(this, stream);
    }

    /// <inheritdoc/>
    public override string ToString() => ToTable();
}

/// <summary>What was allocated by one call site. Figures are estimates, rounded.</summary>
public sealed class KmemProfileSite
{
    /// <summary>The stack, the innermost frame first, without Kmem's own.</summary>
    public required IReadOnlyList<string> Frames { get; init; }

    /// <summary>Samples that the totals are estimated from.</summary>
    public required long Samples { get; init; }

    /// <summary>Samples that the live figures are estimated from.</summary>
    public required long LiveSamples { get; init; }

    /// <summary>Objects that are live.</summary>
    public required long LiveObjects { get; init; }

    /// <summary>Their bytes, rounding included.</summary>
    public required long LiveBytes { get; init; }

    /// <summary>Bytes of them that nobody asked for.</summary>
    public required long LiveRoundingBytes { get; init; }

    /// <summary>Objects that were allocated since sampling began.</summary>
    public required long TotalObjects { get; init; }

    /// <summary>Their bytes, rounding included.</summary>
    public required long TotalBytes { get; init; }

    /// <summary>Live objects by age: below 1 ms, 2 ms, 4 ms and so on, as far as there are any.</summary>
    public required IReadOnlyList<long> Ages { get; init; }

    /// <summary>Freed objects by the time that they lived, in the same classes.</summary>
    public required IReadOnlyList<long> Lifetimes { get; init; }
}
