using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Kmem.Tool.Replay;
using Spectre.Console;

namespace Kmem.Tool.Views;

/// <summary>One row of a slabinfo table, from a report or from a heap's statistics.</summary>
internal sealed record SlabRow(string Name, ulong ObjectSize, ulong Size, int Order, int ObjectsPerSlab, long ActiveObjects, long TotalObjects, long Slabs)
{
    /// <summary>Bytes of the slabs.</summary>
    public ulong Bytes => (ulong)Slabs << (Order + 12);

    public static SlabRow From(ReportCache cache)
    {
        return new SlabRow(cache.Name, cache.ObjectSize, cache.Size, cache.Order, cache.ObjectsPerSlab, cache.ActiveObjects, cache.TotalObjects, cache.Slabs);
    }

    public static SlabRow From(KmemCacheStatistics cache)
    {
        return new SlabRow(cache.Name, cache.ObjectSizeBytes, cache.StrideBytes, cache.Order, cache.ObjectsPerSlab, cache.LiveObjects, cache.TotalObjects, cache.Slabs);
    }
}

/// <summary>The caches of a heap: what <c>/proc/slabinfo</c> says, readable, most bytes first.</summary>
internal static class SlabTable
{
    private const int NameLength = 28;

    public static void Write(IAnsiConsole console, string title, IEnumerable<SlabRow> rows)
    {
        List<SlabRow> sorted = [.. rows.OrderByDescending(static row => row.Bytes).ThenBy(static row => row.Name, StringComparer.Ordinal)];
        bool wide = console.Profile.Width >= 100;
        Tables table = Tables.Create(console, "<cache", "active", "objects", "90|object", "60|stride", "72|per slab", "66|pages", "slabs", "bytes", "50|used");
        foreach (SlabRow row in sorted)
        {
            table.Add(
                row.Slabs == 0 ? new Style(Color.Grey) : Style.Plain,
                Tables.Shorten(row.Name, wide ? NameLength : 18),
                Units.Count(row.ActiveObjects),
                Units.Count(row.TotalObjects),
                Number(row.ObjectSize),
                Number(row.Size),
                Number((ulong)row.ObjectsPerSlab),
                Number(1UL << row.Order),
                Units.Count(row.Slabs),
                Units.Bytes(row.Bytes),
                Units.Percent(row.ActiveObjects, row.TotalObjects));
        }

        if (sorted.Count > 1)
        {
            table.Add(
                new Style(decoration: Decoration.Bold),
                "total",
                Units.Count(sorted.Sum(static row => row.ActiveObjects)),
                Units.Count(sorted.Sum(static row => row.TotalObjects)),
                "",
                "",
                "",
                "",
                Units.Count(sorted.Sum(static row => row.Slabs)),
                Units.Bytes(sorted.Aggregate(0UL, static (sum, row) => sum + row.Bytes)),
                Units.Percent(sorted.Sum(static row => row.ActiveObjects), sorted.Sum(static row => row.TotalObjects)));
        }

        table.Write(console, title);
    }

    private static string Number(ulong value) => value.ToString(CultureInfo.InvariantCulture);
}
