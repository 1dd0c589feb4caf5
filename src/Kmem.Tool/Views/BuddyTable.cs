using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Spectre.Console;

namespace Kmem.Tool.Views;

/// <summary>The page allocator of a heap: free blocks by order and mobility, and what fragmentation does to each order.</summary>
internal static class BuddyTable
{
    private static readonly string[] s_mobilities = ["unmovable", "reclaimable", "movable"];

    public static void Write(IAnsiConsole console, KmemPageStatistics pages)
    {
        Tables table = Tables.Create(console, "order", "block", "free", "unmovable", "reclaimable", "movable", "85|free bytes", "unusable", "fragmentation");
        for (int order = 0; order < pages.FreeBlocks.Count; order++)
        {
            ulong blockBytes = 4096UL << order;
            table.Add(
                order.ToString(CultureInfo.InvariantCulture),
                Units.Bytes(blockBytes),
                Units.Count(pages.FreeBlocks[order]),
                Blocks(pages, 0, order),
                Blocks(pages, 1, order),
                Blocks(pages, 2, order),
                Units.Bytes((ulong)pages.FreeBlocks[order] * blockBytes),
                Units.Percent(Index(pages.UnusableFreeIndex, order), 1000),
                Fragmentation(Index(pages.FragmentationIndex, order)));
        }

        table.Write(console, "free blocks");
        Tables blocks = Tables.Create(console, "<2 MiB pageblocks", "blocks");
        for (int mobility = 0; mobility < s_mobilities.Length && mobility < pages.PageblocksByMobility.Count; mobility++)
        {
            blocks.Add(s_mobilities[mobility], Units.Count(pages.PageblocksByMobility[mobility]));
        }

        console.WriteLine();
        blocks.Write(console);
        console.WriteLine();
        WritePages(console, pages);
    }

    /// <summary>The free blocks by order, as <c>/proc/buddyinfo</c> has them: without those in per-CPU lists.</summary>
    public static void WriteRow(IAnsiConsole console, string title, string zone, KmemPageStatistics pages)
    {
        int orders = pages.FreeBlocks.Count;
        string[] headers = ["<order", .. Enumerable.Range(0, orders).Select(static order => order.ToString(CultureInfo.InvariantCulture))];
        string[] cells = [zone, .. Enumerable.Range(0, orders).Select(order => Units.Count(pages.FreeBlocksByMobility.Sum(row => row.ElementAtOrDefault(order))))];
        Tables table = Tables.Create(console, headers);
        table.Add(cells);
        table.Write(console, title);
        WritePages(console, pages);
    }

    /// <summary>One line that says where the pages are.</summary>
    public static void WritePages(IAnsiConsole console, KmemPageStatistics pages)
    {
        console.WriteLine(
            $"{Units.Count(pages.TotalPages)} pages: {Units.Count(pages.AllocatedPages)} handed out, {Units.Count(pages.FreePages)} free" +
            $" ({Units.Count(pages.ListedPages)} in per-CPU lists, {Units.Count(pages.PurgedPages)} not committed)");
    }

    private static string Blocks(KmemPageStatistics pages, int mobility, int order)
    {
        return mobility < pages.FreeBlocksByMobility.Count ? Units.Count(pages.FreeBlocksByMobility[mobility].ElementAtOrDefault(order)) : "";
    }

    private static int Index(IReadOnlyList<int> index, int order) => index.ElementAtOrDefault(order);

    private static string Fragmentation(int thousandths) => thousandths == -1000 ? "-" : Units.Thousandths(thousandths);
}
