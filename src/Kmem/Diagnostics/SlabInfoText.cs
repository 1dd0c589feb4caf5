using System;
using System.Globalization;
using System.Text;

namespace Kmem.Diagnostics;

/// <summary>
/// The caches of a heap in the format of Linux's <c>/proc/slabinfo</c>, version 2.1, so that whatever reads that file reads this.
/// </summary>
/// <remarks>
/// <para>The columns mean what they mean there, with two differences to Linux's SLUB, which cannot tell better: <c>active_objs</c> counts the objects
/// that callers hold (SLUB counts those in its per-CPU caches too), and <c>active_slabs</c> leaves out slabs without an
/// object out. <c>objsize</c> is the distance of two objects, as in Linux. There is nothing to tune through this file, so
/// that the tunables are 0, as with SLUB.</para>
/// <para>White space in a name becomes <c>_</c>: the format separates columns by it.</para>
/// </remarks>
public static class SlabInfoText
{
    private const string Header =
        "slabinfo - version: 2.1\n" +
        "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>" +
        " : tunables <limit> <batchcount> <sharedfactor>" +
        " : slabdata <active_slabs> <num_slabs> <sharedavail>\n";

    // What Linux prints: "%-17s %6lu %6lu %6u %4u %4d : tunables %4u %4u %4u : slabdata %6lu %6lu %6lu".
    private static readonly CompositeFormat s_line = CompositeFormat.Parse(
        "{0,-17} {1,6} {2,6} {3,6} {4,4} {5,4} : tunables    0    0    0 : slabdata {6,6} {7,6}      0\n");

    /// <summary>Formats the caches of <paramref name="statistics"/>, in their order, each on a line that ends in a line feed.</summary>
    /// <param name="statistics">Statistics of a heap.</param>
    /// <returns>The text, header lines included.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="statistics"/> is null.</exception>
    public static string Format(KmemStatistics statistics)
    {
        ArgumentNullException.ThrowIfNull(statistics);
        StringBuilder text = new(Header);
        foreach (KmemCacheStatistics cache in statistics.Caches)
        {
            text.AppendFormat(
                CultureInfo.InvariantCulture,
                s_line,
                [
                    NameOf(cache),
                    cache.LiveObjects,
                    cache.TotalObjects,
                    cache.StrideBytes,
                    cache.ObjectsPerSlab,
                    1 << cache.Order,
                    cache.Slabs - cache.FreeSlabs,
                    cache.Slabs,
                ]);
        }

        return text.ToString();
    }

    private static string NameOf(KmemCacheStatistics cache)
    {
        if (cache.Name.Length == 0)
        {
            return "_";
        }

        return string.Create(cache.Name.Length, cache.Name, static (span, name) =>
        {
            for (int index = 0; index < name.Length; index++)
            {
                span[index] = char.IsWhiteSpace(name[index]) ? '_' : name[index];
            }
        });
    }
}
