using System;
using System.Collections.Generic;
using System.Linq;
using Kmem.Diagnostics;

namespace Kmem;

/// <summary>The live objects of a heap at a moment, to be compared with those of another one.</summary>
public sealed class KmemLeakSnapshot
{
    /// <summary>Makes a snapshot of a report, which should be one without options: what they leave out seems to grow when it no longer is.</summary>
    /// <param name="report">The report.</param>
    /// <exception cref="ArgumentNullException"><paramref name="report"/> is null.</exception>
    public KmemLeakSnapshot(KmemLeakReport report)
    {
        ArgumentNullException.ThrowIfNull(report);
        Report = report;
    }

    /// <summary>What was live.</summary>
    public KmemLeakReport Report { get; }

    /// <summary>What grew between two snapshots.</summary>
    /// <param name="earlier">The one that was taken first.</param>
    /// <param name="later">The one that was taken last.</param>
    /// <returns>The growth by site.</returns>
    /// <exception cref="ArgumentNullException">One is null.</exception>
    public static KmemLeakDifference Difference(KmemLeakSnapshot earlier, KmemLeakSnapshot later)
    {
        ArgumentNullException.ThrowIfNull(earlier);
        ArgumentNullException.ThrowIfNull(later);
        Dictionary<string, KmemLeakSite> before = new(StringComparer.Ordinal);
        foreach (KmemLeakSite site in earlier.Report.Sites)
        {
            before[LeakText.Key(site.Stack)] = site;
        }

        List<KmemLeakGrowth> grown = [];
        foreach (KmemLeakSite site in later.Report.Sites)
        {
            KmemLeakSite? then = before.GetValueOrDefault(LeakText.Key(site.Stack));
            KmemLeakGrowth growth = new(site, site.Objects - (then?.Objects ?? 0), site.RequestedBytes - (then?.RequestedBytes ?? 0));
            if (growth.Objects > 0 || growth.RequestedBytes > 0)
            {
                grown.Add(growth);
            }
        }

        return new KmemLeakDifference
        {
            HeapName = later.Report.HeapName,
            Elapsed = later.Report.Taken - earlier.Report.Taken,
            Sites = [.. grown.OrderByDescending(static each => each.RequestedBytes).ThenByDescending(static each => each.Objects)],
            Objects = later.Report.Objects - earlier.Report.Objects,
            RequestedBytes = later.Report.RequestedBytes - earlier.Report.RequestedBytes,
            UntrackedObjects = later.Report.UntrackedObjects - earlier.Report.UntrackedObjects,
            UntrackedBytes = later.Report.UntrackedBytes - earlier.Report.UntrackedBytes,
        };
    }

    /// <summary>What grew since an earlier snapshot.</summary>
    /// <param name="earlier">The earlier one.</param>
    /// <returns>The growth by site.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="earlier"/> is null.</exception>
    public KmemLeakDifference Minus(KmemLeakSnapshot earlier) => Difference(earlier, this);

    /// <inheritdoc/>
    public override string ToString() => Report.Text;
}

/// <summary>What grew between two snapshots.</summary>
public sealed record KmemLeakDifference
{
    /// <summary>Name of the heap.</summary>
    public required string HeapName { get; init; }

    /// <summary>From the earlier snapshot to the later one.</summary>
    public required TimeSpan Elapsed { get; init; }

    /// <summary>Sites with more objects or more bytes than before, most bytes first. Those with less are not among them.</summary>
    public required IReadOnlyList<KmemLeakGrowth> Sites { get; init; }

    /// <summary>Objects of all sites, also of those that shrank: later less earlier.</summary>
    public required long Objects { get; init; }

    /// <summary>The same in bytes, as asked for.</summary>
    public required long RequestedBytes { get; init; }

    /// <summary>Objects without tracks, later less earlier.</summary>
    public required long UntrackedObjects { get; init; }

    /// <summary>Bytes of objects without tracks, later less earlier.</summary>
    public required long UntrackedBytes { get; init; }

    /// <summary>The growth as a table, with the stacks of the 20 sites that grew most.</summary>
    public string Text => Format(LeakText.SitesShown);

    /// <summary>The growth as a table.</summary>
    /// <param name="sitesMost">So many sites are shown.</param>
    /// <returns>Text of several lines, without a line feed at its end.</returns>
    public string Format(int sitesMost) => LeakText.Format(this, sitesMost);

    /// <inheritdoc/>
    public override string ToString() => Text;
}

/// <summary>How much a site grew.</summary>
/// <param name="Now">The site in the later snapshot.</param>
/// <param name="Objects">How many more objects are live.</param>
/// <param name="RequestedBytes">How many more bytes.</param>
public sealed record KmemLeakGrowth(KmemLeakSite Now, long Objects, long RequestedBytes);
