using Kmem.Tool.Replay;
using Spectre.Console;

namespace Kmem.Tool.Views;

/// <summary>Where every committed byte is. The rows add up to the last one.</summary>
internal static class ByteTable
{
    /// <param name="console">Where to.</param>
    /// <param name="bytes">The split.</param>
    /// <param name="sizeClassRequested">Of the bytes of size classes: asked for, where somebody counted; else null.</param>
    public static void Write(IAnsiConsole console, ReportBytes bytes, ulong? sizeClassRequested)
    {
        Tables table = Tables.Create(console, "<", "bytes", "", "share");
        Add(table, bytes, "asked for: caches, large, pages", bytes.Requested);
        if (sizeClassRequested is { } requested)
        {
            Add(table, bytes, "asked for: kmalloc", requested);
            Add(table, bytes, "rounding up to size classes", bytes.SizeClass - requested);
            Add(table, bytes, "other rounding", bytes.Rounding);
        }
        else
        {
            Add(table, bytes, "kmalloc, with its rounding", bytes.SizeClass);
            Add(table, bytes, "other rounding", bytes.Rounding);
        }

        Add(table, bytes, "in magazines", bytes.Magazines);
        Add(table, bytes, "in depots", bytes.Depot);
        Add(table, bytes, "free in slabs", bytes.FreeInSlabs);
        Add(table, bytes, "empty slabs", bytes.EmptySlabs);
        Add(table, bytes, "ends of slabs", bytes.SlabTails);
        Add(table, bytes, "free pages", bytes.FreePages);
        Add(table, bytes, "metadata", bytes.Metadata);
        table.Add(
            new Style(decoration: Decoration.Bold),
            "committed",
            Units.Count((long)bytes.Committed),
            Units.Bytes(bytes.Committed),
            Units.Percent(bytes.Committed, bytes.Committed));
        table.Write(console, "where the memory is");
    }

    private static void Add(Tables table, ReportBytes bytes, string what, ulong part)
    {
        table.Add(
            part == 0 ? new Style(Color.Grey) : Style.Plain,
            what,
            Units.Count((long)part),
            Units.Bytes(part),
            Units.Percent(part, bytes.Committed));
    }
}
