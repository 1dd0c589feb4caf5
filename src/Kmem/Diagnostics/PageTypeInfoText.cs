using System;
using System.Globalization;
using System.Text;

namespace Kmem.Diagnostics;

/// <summary>Free blocks and pageblocks by mobility in the form of <c>/proc/pagetypeinfo</c>.</summary>
/// <remarks>
/// The kernel's rows for the types that Kmem has, in the kernel's order. The kernel stops counting at 100,000 (it prints
/// <c>&gt;100000</c>) because it walks its lists; here the lists know their length, so the number is exact.
/// </remarks>
public static class PageTypeInfoText
{
    private const int PageblockOrder = 9;

    /// <summary>The kernel's order of rows, as indexes into the statistics (unmovable, reclaimable, movable).</summary>
    private static ReadOnlySpan<int> KernelOrder => [0, 2, 1];

    private static readonly string[] s_names = ["Unmovable", "Reclaimable", "Movable"];

    /// <summary>The whole text, with line ends.</summary>
    /// <param name="statistics">The heap's pages.</param>
    /// <param name="zoneName">What stands for the kernel's zone name; the heap's name, or <c>Normal</c>.</param>
    public static string Format(KmemPageStatistics statistics, string zoneName)
    {
        ArgumentNullException.ThrowIfNull(statistics);
        ArgumentNullException.ThrowIfNull(zoneName);
        CultureInfo culture = CultureInfo.InvariantCulture;
        StringBuilder text = new();
        text.Append(culture, $"Page block order: {PageblockOrder}\nPages per block:  {1 << PageblockOrder}\n\n");

        text.Append(culture, $"{"Free pages count per migrate type at order",-43} ");
        for (int order = 0; order < statistics.FreeBlocks.Count; order++)
        {
            text.Append(culture, $"{order,6} ");
        }

        text.Append('\n');
        foreach (int type in KernelOrder)
        {
            text.Append(culture, $"Node {0,4}, zone {zoneName,8}, type {s_names[type],12} ");
            foreach (long blocks in statistics.FreeBlocksByMobility[type])
            {
                text.Append(culture, $"{blocks,6} ");
            }

            text.Append('\n');
        }

        text.Append(culture, $"\n{"Number of blocks type ",-23}");
        foreach (int type in KernelOrder)
        {
            text.Append(culture, $"{s_names[type],12} ");
        }

        text.Append(culture, $"\nNode {0}, zone {zoneName,8} ");
        foreach (int type in KernelOrder)
        {
            text.Append(culture, $"{statistics.PageblocksByMobility[type],12} ");
        }

        return text.Append('\n').ToString();
    }
}
