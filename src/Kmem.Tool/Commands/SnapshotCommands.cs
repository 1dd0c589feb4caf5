using System;
using System.CommandLine;
using System.Globalization;
using System.Linq;
using Kmem.Diagnostics;
using Kmem.Tool.Hosting;
using Kmem.Tool.Replay;
using Kmem.Tool.Snapshots;
using Kmem.Tool.Views;
using Spectre.Console;

namespace Kmem.Tool.Commands;

/// <summary><c>kmem slabinfo FILE</c> and <c>kmem buddyinfo FILE</c>: the tables of a saved heap.</summary>
internal static class SnapshotCommands
{
    /// <summary>The longer help of <c>slabinfo</c>.</summary>
    public const string SlabInfoDetails =
        """
        Columns:
        active         objects that callers hold
        objects        objects in all slabs
        object, stride size of an object as asked for, and distance of two objects, in bytes
        per slab       objects in a slab
        pages          pages of a slab
        used           active over objects

        """;

    /// <summary>The longer help of <c>buddyinfo</c>.</summary>
    public const string BuddyInfoDetails =
        """
        Columns:
        free           free blocks of the order, in per-CPU lists too
        unmovable, reclaimable, movable
                       free blocks by mobility, without those in per-CPU lists
        unusable       share of free memory that is in blocks too small for the order
        fragmentation  why an allocation of the order would fail: towards 0 for lack of memory, towards 1 for
                       fragmentation; a dash where it would succeed

        """;

    public static Command CreateSlabInfo(ToolConsole console)
    {
        const string Description = "Shows the caches of a heap that 'kmem replay --snapshot' saved, and where its memory is.";
        Argument<string> file = NewFile();
        Option<bool> raw = new("--raw") { Description = "Print the format of /proc/slabinfo (version 2.1), for tools that read it." };
        Option<bool> all = new("--all") { Description = "Also list caches without slabs." };
        Command command = new("slabinfo", Description) { file, raw, all };
        command.SetAction(parsed =>
        {
            Snapshot snapshot = Snapshot.Load(parsed.GetRequiredValue(file));
            if (parsed.GetValue(raw))
            {
                console.OutText.Write(SlabInfoText.Format(snapshot.Statistics));
                console.OutText.Flush();
                return;
            }

            WriteSource(console, snapshot);
            bool showAll = parsed.GetValue(all);
            SlabTable.Write(console.Out, "slabinfo", snapshot.Statistics.Caches.Where(cache => showAll || cache.Slabs > 0).Select(SlabRow.From));
            ByteTable.Write(console.Out, ReplayReportBuilder.BuildBytes(snapshot.Statistics), sizeClassRequested: null);
        });
        return command;
    }

    public static Command CreateBuddyInfo(ToolConsole console)
    {
        const string Description = "Shows the free pages of a heap that 'kmem replay --snapshot' saved, by order and mobility.";
        Argument<string> file = NewFile();
        Option<bool> raw = new("--raw") { Description = "Print the format of /proc/buddyinfo, for tools that read it." };
        Option<bool> types = new("--types") { Description = "With --raw: print the format of /proc/pagetypeinfo instead." };
        Command command = new("buddyinfo", Description) { file, raw, types };
        command.Validators.Add(result =>
        {
            if (result.GetValue(types) && !result.GetValue(raw))
            {
                result.AddError("--types goes with --raw.");
            }
        });
        command.SetAction(parsed =>
        {
            Snapshot snapshot = Snapshot.Load(parsed.GetRequiredValue(file));
            KmemPageStatistics pages = snapshot.Statistics.Pages;
            if (parsed.GetValue(raw))
            {
                string zone = snapshot.Statistics.HeapName;
                console.OutText.Write(parsed.GetValue(types) ? PageTypeInfoText.Format(pages, zone) : BuddyInfoText.Format(pages, zone));
                console.OutText.Flush();
                return;
            }

            WriteSource(console, snapshot);
            BuddyTable.Write(console.Out, pages);
        });
        return command;
    }

    private static Argument<string> NewFile() => new("FILE") { Description = "The snapshot." };

    private static void WriteSource(ToolConsole console, Snapshot snapshot)
    {
        console.Out.Write(new Text(snapshot.Source, new Style(decoration: Decoration.Bold)));
        console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $", {snapshot.Taken.UtcDateTime:yyyy-MM-dd HH:mm:ss} UTC, heap '{snapshot.Statistics.HeapName}'"));
    }
}
