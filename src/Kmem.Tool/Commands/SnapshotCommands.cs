using System;
using System.Collections.Generic;
using System.CommandLine;
using System.Globalization;
using System.IO;
using System.Linq;
using Kmem.Diagnostics;
using Kmem.Tool.Hosting;
using Kmem.Tool.Processes;
using Kmem.Tool.Replay;
using Kmem.Tool.Snapshots;
using Kmem.Tool.Views;
using Microsoft.Diagnostics.NETCore.Client;
using Spectre.Console;

namespace Kmem.Tool.Commands;

/// <summary><c>kmem slabinfo PID|FILE</c> and <c>kmem buddyinfo FILE</c>: the tables of a running process's heaps, or of a saved heap.</summary>
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

        A process is asked over the diagnostics port of its runtime, as dotnet-trace does it: same user, same machine. It goes on meanwhile.

        Examples:
        kmem slabinfo heap.json
        kmem slabinfo 4711
        kmem slabinfo 4711 --heap shared --raw

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
        const string Description = "Shows the caches of the heaps of a running .NET process, or of a heap that 'kmem replay --snapshot' saved, and where their memory is.";
        Argument<string> source = new("PID|FILE") { Description = "The process, or the snapshot." };
        Option<string?> heap = new("--heap") { Description = "Only heaps of this name.", HelpName = "NAME" };
        Option<bool> raw = new("--raw") { Description = "Print the format of /proc/slabinfo (version 2.1), for tools that read it." };
        Option<bool> all = new("--all") { Description = "Also list caches without slabs." };
        Command command = new("slabinfo", Description) { source, heap, raw, all };
        command.SetAction(parsed =>
        {
            string text = parsed.GetRequiredValue(source);
            (string title, DateTimeOffset taken, IReadOnlyList<KmemStatistics> heaps) = ReadHeaps(text);
            string? wanted = parsed.GetValue(heap);
            KmemStatistics[] shown = [.. heaps.Where(each => wanted == null || each.HeapName == wanted)];
            if (shown.Length == 0)
            {
                throw new ToolException(wanted == null ? $"{text}: Kmem is there, and no heap yet"
                    : $"{text}: no heap '{wanted}' is there, but {string.Join(", ", heaps.Select(static each => $"'{each.HeapName}'"))}");
            }

            if (parsed.GetValue(raw))
            {
                console.OutText.Write(string.Concat(shown.Select(SlabInfoText.Format)));
                console.OutText.Flush();
                return;
            }

            bool showAll = parsed.GetValue(all);
            foreach (KmemStatistics each in shown)
            {
                WriteSource(console, title, taken, each);
                SlabTable.Write(console.Out, "slabinfo", each.Caches.Where(cache => showAll || cache.Slabs > 0).Select(SlabRow.From));
                ByteTable.Write(console.Out, ReplayReportBuilder.BuildBytes(each), sizeClassRequested: null);
            }
        });
        return command;
    }

    /// <summary>A number is a process, unless there is a file of the name.</summary>
    private static (string Title, DateTimeOffset Taken, IReadOnlyList<KmemStatistics> Heaps) ReadHeaps(string source)
    {
        if (!int.TryParse(source, NumberStyles.None, CultureInfo.InvariantCulture, out int pid) || File.Exists(source))
        {
            Snapshot snapshot = Snapshot.Load(source);
            return (snapshot.Source, snapshot.Taken, [snapshot.Statistics]);
        }

        DiagnosticsClient client = TargetProcess.Open(pid);
        using DumpSession<SlabDump> session = DumpSession<SlabDump>.Start(pid, client, new SlabDump(Guid.NewGuid().ToString("N")));
        return ($"process {source}", DateTimeOffset.UtcNow, session.WaitForDump().Heaps);
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

            WriteSource(console, snapshot.Source, snapshot.Taken, snapshot.Statistics);
            BuddyTable.Write(console.Out, pages);
        });
        return command;
    }

    private static Argument<string> NewFile() => new("FILE") { Description = "The snapshot." };

    private static void WriteSource(ToolConsole console, string source, DateTimeOffset taken, KmemStatistics heap)
    {
        console.Out.Write(new Text(source, new Style(decoration: Decoration.Bold)));
        console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $", {taken.UtcDateTime:yyyy-MM-dd HH:mm:ss} UTC, heap '{heap.HeapName}'"));
    }
}
