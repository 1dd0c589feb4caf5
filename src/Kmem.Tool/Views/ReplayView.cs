using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Kmem.Tool.Replay;
using Spectre.Console;

namespace Kmem.Tool.Views;

/// <summary>What <c>kmem replay</c> prints: what the trace was, what it cost, and the heap at the end as the kernel's tools would show it.</summary>
internal static class ReplayView
{
    // Rows of the comparison with the kernel; the JSON file has all.
    private const int GrowthRows = 20;

    private const int CommandColumns = 100;

    public static void Write(IAnsiConsole console, ReplayReport report, KmemStatistics statistics)
    {
        WriteSummary(console, report);
        SlabTable.Write(console, "slabinfo", report.Caches.Select(SlabRow.From));
        BuddyTable.WriteRow(console, "buddyinfo", statistics.HeapName, statistics.Pages);
        WriteHits(console, report.Hits);
        ByteTable.Write(console, report.Bytes, (ulong)report.SizeClassRequestedBytes);
        console.WriteLine(
            $"Trimmed, with all objects still live: {Units.Bytes((ulong)report.TrimmedCommittedBytes)} committed.");
        if (report.KernelGrowth is { } growth)
        {
            WriteGrowth(console, growth);
        }
    }

    private static void WriteSummary(IAnsiConsole console, ReplayReport report)
    {
        console.Write(new Text(report.File, new Style(decoration: Decoration.Bold)));
        console.WriteLine();
        Tables table = Tables.CreateFacts(console);
        if (report.Program is { } program)
        {
            table.Add("program", Tables.Shorten(program.CommandLine, CommandColumns));
            table.Add("process", Process(program));
        }

        table.Add("events", Events(report));
        table.Add("objects", $"{Units.Count(report.Allocs)} allocated, {Units.Count(report.Frees)} freed, {Units.Count(report.ImplicitFrees)} freed implicitly; {Units.Of(report.UnmatchedFrees, "free")} unmatched");
        if (report.Program is { } asked)
        {
            table.Add("asked for", $"{Units.Of(asked.Reallocs, "realloc")} (each an allocation and a free), {Units.Count(asked.ZeroedAllocs)} zeroed, {Units.Count(asked.AlignedAllocs)} with an alignment{Refused(report, asked)}");
        }
        else
        {
            table.Add("pages", $"{Units.Of(report.PageAllocs, "block")} allocated, {Units.Count(report.PageFrees)} freed, {Units.Count(report.ImplicitPageFrees)} freed implicitly; {Units.Of(report.UnmatchedPageFrees, "free")} unmatched");
        }

        string livePages = report.Program == null ? $"; {Units.Of(report.LivePages, "page")}" : "";
        table.Add("live", $"{Units.Of(report.LiveObjects, "object")} with {Units.Bytes((ulong)report.RequestedBytes)} (peak {Units.Bytes((ulong)report.PeakRequestedBytes)}){livePages}");
        table.Add("checks", Checks(report));
        table.Add("time", $"{Units.Nanoseconds(report.NanosecondsPerEvent)} an event: {Units.Of(report.Operations, "allocation or free", "allocations and frees")} in {Units.Time(report.Seconds)}, with the marks that are written and checked at both ends of each object and with page faults, without reading the file ({Units.Time(report.ParseSeconds)})");
        table.Add("heap", $"{report.FrontEnd} front end, {report.SizeClasses} size classes, {Units.Of(report.Threads, "thread")} for {Units.Of(report.Cpus, report.Program == null ? "CPU" : "thread of the program", report.Program == null ? "CPUs" : "threads of the program")}");
        table.Write(console);
    }

    private static string Events(ReplayReport report)
    {
        if (report.Program is { } program)
        {
            return $"{Units.Count(report.Events)} of {Units.Of(program.Threads, "thread")} in {Units.Time(program.Seconds)}";
        }

        string text = $"{Units.Count(report.Events)} of the kmem group";
        if (report.EventsNotReplayed > 0)
        {
            text += $", {Units.Count(report.EventsNotReplayed)} of kinds that are not replayed";
        }

        if (report.OtherEvents > 0)
        {
            text += $"; {Units.Of(report.OtherEvents, "event")} of other groups ignored";
        }

        return text;
    }

    private static string Process(ReportProgram program)
    {
        string origin = program.IsFork ? $"a fork of {program.ParentId}, whose objects it began with" : $"of {program.ParentId}";
        string end = program.HasEnded ? "" : "; it did not come to its own end";
        return string.Create(CultureInfo.InvariantCulture, $"{program.ProcessId}, {origin}, started {program.Started:yyyy-MM-dd HH:mm:ss} UTC{end}");
    }

    private static string Refused(ReplayReport report, ReportProgram program)
    {
        string failed = report.NullAllocs > 0 ? $"; {Units.Count(report.NullAllocs)} failed" : "";
        return program.OversizedAllocs > 0 ? $"{failed}; {Units.Count(program.OversizedAllocs)} of more than 2 GiB left out" : failed;
    }

    private static string Checks(ReplayReport report)
    {
        string corrupt = report.Corrupt == 0 ? "no object damaged" : $"{Units.Of(report.Corrupt, "object")} DAMAGED";
        string accounts = report.AccountingErrors.Count == 0 ? "the heap's counts agree" : "the heap's counts DIFFER";
        return $"{Units.Of(report.Failed, "allocation")} failed, {corrupt}, {accounts}";
    }

    private static void WriteHits(IAnsiConsole console, ReportHits hits)
    {
        Tables table = Tables.Create(console, "<served by", "operations", "magazine", "previous", "depot", "slab");
        table.Add(
            "allocations",
            Units.Count(hits.AllocOperations),
            Units.Percent(hits.AllocFromMagazine, hits.AllocOperations),
            Units.Percent(hits.AllocFromPrevious, hits.AllocOperations),
            Units.Percent(hits.AllocFromDepot, hits.AllocOperations),
            Units.Percent(hits.AllocFromSlab, hits.AllocOperations));
        table.Add(
            "frees",
            Units.Count(hits.FreeOperations),
            Units.Percent(hits.FreeToMagazine, hits.FreeOperations),
            Units.Percent(hits.FreeToPrevious, hits.FreeOperations),
            Units.Percent(hits.FreeToDepot, hits.FreeOperations),
            Units.Percent(hits.FreeToSlab, hits.FreeOperations));
        table.Write(console, "hit rates");
    }

    private static void WriteGrowth(IAnsiConsole console, IReadOnlyList<ReportGrowth> growth)
    {
        List<ReportGrowth> rows = [.. growth.Where(static row =>
            row.KernelActiveObjects != 0 || row.KernelTotalObjects != 0 || row.ActiveObjects != 0 || row.TotalObjects != 0)];
        Tables table = Tables.Create(console, "<cache", "kernel active", "objects", "slabs", "kmem active", "objects", "slabs");
        foreach (ReportGrowth row in rows.Take(GrowthRows))
        {
            table.Add(
                Tables.Shorten(row.Name, 24),
                Signed(row.KernelActiveObjects),
                Signed(row.KernelTotalObjects),
                Signed(row.KernelSlabs),
                Signed(row.ActiveObjects),
                Signed(row.TotalObjects),
                Signed(row.Slabs));
        }

        table.Write(console, "growth, the kernel's while the trace was recorded and the replay's");
        if (rows.Count > GrowthRows)
        {
            console.WriteLine($"{rows.Count - GrowthRows} more with --json.");
        }

        console.WriteLine("The kernel's slabs had room before the trace, it counts objects in its per-CPU caches as active, and its bulk frees are no events.");
    }

    private static string Signed(long number) => number > 0 ? "+" + Units.Count(number) : Units.Count(number);
}
