using System;
using System.Collections.Generic;
using System.CommandLine;
using System.Linq;
using System.Threading;
using Kmem.Tool.Hosting;
using Kmem.Tool.Leaks;
using Kmem.Tool.Processes;
using Kmem.Tool.Views;
using Microsoft.Diagnostics.NETCore.Client;

namespace Kmem.Tool.Commands;

/// <summary><c>kmem leaks PID</c>: who allocated what is live in a running process.</summary>
internal static class LeaksCommand
{
    /// <summary>The longer help.</summary>
    public const string Details =
        """
        How it works:
        The process is asked over the diagnostics port of its runtime, as dotnet-trace does it: same user, same machine. It goes on meanwhile; each cache is locked for as long as its objects are looked at.
        Who allocated an object is known where the letter U was on at its allocation: start the process with KMEM_DEBUG=U, or switch it on for a while with --letters.
        One dump shows what is live, which is no leak yet. What grows from dump to dump may be one: --difference.

        Exit codes:
        0 the process answered; 1 it did not, or no cache has the letter U.

        Examples:
        kmem leaks 4711
        kmem leaks 4711 --difference 60
        kmem leaks 4711 --letters U --difference 60
        kmem leaks 4711 --letters 'U,kmalloc-*' --difference 60 --json -

        """;

    private const string Description = "Shows who allocated what is live in a running .NET process that uses Kmem.";
    private const int SecondsMax = 24 * 60 * 60;

    public static Command Create(ToolConsole console)
    {
        Argument<int> pid = new("PID") { Description = "The process." };
        Option<int?> difference = new("--difference", "-d") { Description = "Look twice, so many seconds apart, and show what grew.", HelpName = "SECONDS" };
        Option<string?> letters = new("--letters") { Description = "Switch checks on until the second look: letters of F, Z, P and U, and ',' and names of caches.", HelpName = "U" };
        Option<int> top = new("--top") { Description = "Show the largest so many sites of each heap.", HelpName = "N", DefaultValueFactory = static _ => 20 };
        top.Validators.Add(result => CommandChecks.RequireRange(result, top, 1, int.MaxValue));
        Option<string?> json = new("--json") { Description = "Write all sites as JSON to this file; '-' prints them instead of the table.", HelpName = "OUT" };
        Command command = new("leaks", Description) { pid, difference, letters, top, json };
        command.Validators.Add(result =>
        {
            int? seconds = result.GetValue(difference);
            if (seconds is < 1 or > SecondsMax)
            {
                result.AddError($"--difference is {seconds}; it must be from 1 to {SecondsMax}.");
            }

            string? text = result.GetValue(letters);
            if (text != null && seconds == null)
            {
                result.AddError("--letters goes with --difference: of what was allocated before, nothing is known.");
            }

            string ofLetters = (text ?? "U").Split(',')[0];
            if (ofLetters.Length == 0 || ofLetters.Any(static letter => !"FZPUfzpu".Contains(letter)) || !ofLetters.Contains('u', StringComparison.OrdinalIgnoreCase) || text?.Contains(';') == true)
            {
                result.AddError($"--letters is '{text}'; it has U, perhaps with F, Z and P, and behind a comma names of caches.");
            }
        });
        command.SetAction(parsed => Run(console, parsed.GetValue(pid), parsed.GetValue(difference), parsed.GetValue(letters), parsed.GetValue(top), parsed.GetValue(json)));
        return command;
    }

    private static int Run(ToolConsole console, int pid, int? seconds, string? letters, int top, string? json)
    {
        if (json is not null and not JsonFile.StandardOutput)
        {
            OutputFile.RequireWritable(json);
        }

        DiagnosticsClient client = TargetProcess.Open(pid);
        using DumpSession<LeakDump> first = DumpSession<LeakDump>.Start(pid, client, NewDump(), letters);
        IReadOnlyList<KmemLeakReport> before = first.WaitForDump().Reports();
        RequireUsers(pid, before, letters);
        if (seconds == null)
        {
            Show(console, json, before.Select(heap => heap.Format(top)), () => LeaksReport.Of(pid, before));
            return 0;
        }

        if (letters == null)
        {
            first.Dispose();
        }

        console.Note($"looking again in {Units.Wait(TimeSpan.FromSeconds(seconds.Value))}");
        Thread.Sleep(TimeSpan.FromSeconds(seconds.Value));
        TargetProcess.RequireRunning(pid);
        IReadOnlyList<KmemLeakReport> after;
        using (DumpSession<LeakDump> second = DumpSession<LeakDump>.Start(pid, client, NewDump()))
        {
            after = second.WaitForDump().Reports();
        }

        IReadOnlyList<KmemLeakDifference> grown = Differences(before, after);
        Show(console, json, grown.Select(heap => heap.Format(top)), () => LeaksReport.Of(pid, grown));
        return 0;
    }

    private static LeakDump NewDump() => new(Guid.NewGuid().ToString("N"));

    private static void RequireUsers(int pid, IReadOnlyList<KmemLeakReport> heaps, string? letters)
    {
        if (heaps.Count == 0)
        {
            throw new ToolException($"{pid}: Kmem is there, and no heap yet");
        }

        if (heaps.All(heap => heap.CachesWithUsers == 0 && (letters != null || heap.Objects == 0)))
        {
            string live = $"{Units.Of(heaps.Sum(static heap => heap.UntrackedObjects), "live object")} of {Units.Bytes((ulong)heaps.Sum(static heap => heap.UntrackedBytes))}";
            throw new ToolException(letters == null
                ? $"{pid}: no cache has the letter U, so that nobody knows who allocated the {live}; start the process with KMEM_DEBUG=U, or try --letters U --difference 60"
                : $"{pid}: no cache has such a name, or memory is out: '{letters}' switched nothing on");
        }
    }

    /// <summary>Heaps go by their names and, where several have one, by their order; a heap that is new grew from nothing.</summary>
    private static List<KmemLeakDifference> Differences(IReadOnlyList<KmemLeakReport> before, IReadOnlyList<KmemLeakReport> after)
    {
        List<KmemLeakReport> left = [.. before];
        List<KmemLeakDifference> differences = [];
        foreach (KmemLeakReport heap in after)
        {
            int index = left.FindIndex(each => each.HeapName == heap.HeapName);
            KmemLeakReport earlier = index >= 0 ? left[index] : heap with { Taken = before[0].Taken, Sites = [], Untracked = [] };
            if (index >= 0)
            {
                left.RemoveAt(index);
            }

            differences.Add(new KmemLeakSnapshot(heap).Minus(new KmemLeakSnapshot(earlier)));
        }

        return differences;
    }

    private static void Show(ToolConsole console, string? json, IEnumerable<string> texts, Func<LeaksReport> report)
    {
        if (json != JsonFile.StandardOutput)
        {
            console.OutText.Write(string.Join("\n\n", texts) + "\n");
            console.OutText.Flush();
        }

        if (json != null)
        {
            JsonFile.Save(json, report(), ToolJsonContext.Default.LeaksReport, console);
        }
    }
}
