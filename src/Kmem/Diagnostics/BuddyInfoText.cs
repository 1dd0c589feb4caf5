using System;
using System.Globalization;
using System.Text;

namespace Kmem.Diagnostics;

/// <summary>The free blocks of a heap in the form of <c>/proc/buddyinfo</c>, so that the kernel's tools and habits serve.</summary>
/// <remarks>
/// One row: <c>Node 0, zone %8s </c>, then <c>%6lu </c> for each order. As in the kernel, blocks in per-CPU lists do not count.
/// </remarks>
public static class BuddyInfoText
{
    /// <summary>The row of one heap, with its line end.</summary>
    /// <param name="statistics">The heap's pages.</param>
    /// <param name="zoneName">What stands for the kernel's zone name; the heap's name, or <c>Normal</c>.</param>
    public static string Format(KmemPageStatistics statistics, string zoneName)
    {
        ArgumentNullException.ThrowIfNull(statistics);
        ArgumentNullException.ThrowIfNull(zoneName);
        StringBuilder text = new();
        text.Append(CultureInfo.InvariantCulture, $"Node 0, zone {zoneName,8} ");
        for (int order = 0; order < statistics.FreeBlocks.Count; order++)
        {
            long blocks = 0;
            foreach (System.Collections.Generic.IReadOnlyList<long> row in statistics.FreeBlocksByMobility)
            {
                blocks += row[order];
            }

            text.Append(CultureInfo.InvariantCulture, $"{blocks,6} ");
        }

        return text.Append('\n').ToString();
    }
}
