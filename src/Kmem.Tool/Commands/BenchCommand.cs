using System;
using System.Collections.Generic;
using System.CommandLine;
using System.Globalization;
using System.Linq;
using System.Text.Json;
using System.Threading;
using Kmem.Tool.Bench;
using Kmem.Tool.Bench.Allocators;
using Kmem.Tool.Bench.Measuring;
using Kmem.Tool.Bench.Report;
using Kmem.Tool.Bench.Report.Page;
using Kmem.Tool.Bench.Workloads;
using Kmem.Tool.Hosting;
using Kmem.Tool.Views;

namespace Kmem.Tool.Commands;

/// <summary><c>kmem bench</c>: Kmem and whatever else can allocate, side by side.</summary>
internal static class BenchCommand
{
    /// <summary>The longer help.</summary>
    public const string Details =
        """
        Allocators:
        Built in are kmem, kmem-lock (its front end without restartable sequences), native (NativeMemory), arraypool and gc (new byte[]).
        A native peer is any library with malloc and free, or mi_malloc and mi_free. It is measured twice: as NAME by P/Invoke, and as NAME+sgt with SuppressGCTransition.
        A managed peer is any assembly with a public type that has static methods mi_malloc and mi_free, or Alloc and Free.

        Method:
        Each workload runs with each allocator in a fresh process; allocators take turns, RUNS times. Figures are medians over the processes, with the lowest and the highest.
        A ratio is the time of the first allocator over another's: below 1 says that the first is faster.
        A workload has the same hash with every allocator, or an allocator lost a byte: then the exit code is 1.
        Latencies contain the cost of reading the clock twice.

        Examples:
        kmem bench --list
        kmem bench pair-64 'batch-*' --runs 5
        kmem bench --peer mimalloc=/usr/lib/x86_64-linux-gnu/libmimalloc.so.2 --json bench.json --html bench.html
        kmem bench --load bench.json
        kmem bench replay --trace traces/linux-6.18-filesystem.ftrace.gz

        """;

    private const string Description = "Measures Kmem and other allocators side by side: time, tail, scaling and memory.";
    private const int ThreadsMax = 256;
    private const int RunsMax = 100;

    // A process has three minutes for its warm-up and all else.
    private const int SecondsMax = 100;

    private const int TitleWidth = 36;
    private const int WaitWidth = 13;

    public static Command Create(ToolConsole console)
    {
        Argument<string[]> workloads = new("WORKLOAD") { Description = "Workloads, such as pair-64 or 'batch-*'; all where none is given.", Arity = ArgumentArity.ZeroOrMore };
        Option<bool> list = new("--list") { Description = "Show the workloads and stop." };
        Option<string[]> allocators = new("--allocator") { Description = "Only these allocators; the first is compared with the others.", HelpName = "NAME", AllowMultipleArgumentsPerToken = true };
        Option<string[]> peers = new("--peer") { Description = "A native library with malloc and free, or mi_malloc and mi_free.", HelpName = "NAME=PATH.so" };
        Option<string[]> variants = new("--variant") { Description = "Kmem in an environment of its own, such as checked=KMEM_DEBUG=FZPU.", HelpName = "NAME=VARIABLE=VALUE" };
        Option<string[]> managedPeers = new("--managed-peer") { Description = "A public type of an assembly with static Alloc and Free, or mi_malloc and mi_free.", HelpName = "NAME=PATH.dll:TYPE" };
        Option<int[]> threads = new("--threads")
        {
            Description = "Numbers of threads for workloads that can have any, such as 1,2,4.",
            HelpName = "LIST",
            DefaultValueFactory = static _ => [1],
            CustomParser = static result => ParseList(result),
        };
        Option<int> runs = new("--runs") { Description = "Processes for each workload and allocator.", HelpName = "N", DefaultValueFactory = static _ => 3 };
        runs.Validators.Add(result => CommandChecks.RequireRange(result, runs, 1, RunsMax));
        Option<double> seconds = new("--seconds") { Description = "Time of measured rounds in each process.", HelpName = "S", DefaultValueFactory = static _ => 0.4 };
        seconds.Validators.Add(result =>
        {
            // A text that is no number has its own error already.
            if (result.Tokens.Count == 1 && double.TryParse(result.Tokens[0].Value, CultureInfo.InvariantCulture, out double value) && !(value > 0 && value <= SecondsMax))
            {
                result.AddError($"--seconds is {result.Tokens[0].Value}; it must be above 0 and at most {SecondsMax}.");
            }
        });
        Option<string?> trace = new("--trace") { Description = "The trace of the workload 'replay'.", HelpName = "FILE" };
        Option<string?> json = new("--json") { Description = "Write everything as JSON to this file; '-' prints it instead of the tables.", HelpName = "OUT" };
        Option<string?> html = new("--html") { Description = "Write a page with plots to this file.", HelpName = "OUT" };
        Option<string?> load = new("--load") { Description = "Show a report that --json saved instead of measuring.", HelpName = "FILE" };
        Command command = new("bench", Description) { workloads, list, allocators, peers, managedPeers, variants, threads, runs, seconds, trace, json, html, load };
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(list))
            {
                BenchView.WriteWorkloads(console.Out);
                return 0;
            }

            string? jsonPath = parsed.GetValue(json);
            string? htmlPath = parsed.GetValue(html);
            RequireOutputs(jsonPath, htmlPath);
            if (parsed.GetValue(load) is { } saved)
            {
                return Show(console, SavedReport.Load(saved), jsonPath, htmlPath);
            }

            IEnumerable<AllocatorSpec> given =
            [
                .. (parsed.GetValue(peers) ?? []).SelectMany(AllocatorCatalog.NativePeers),
                .. (parsed.GetValue(variants) ?? []).Select(AllocatorCatalog.VariantOf),
                .. (parsed.GetValue(managedPeers) ?? []).Select(AllocatorCatalog.ManagedPeerOf),
            ];
            BenchSettings settings = new()
            {
                Workloads = WorkloadCatalog.Select(parsed.GetValue(workloads) ?? []),
                Allocators = AllocatorCatalog.Select(parsed.GetValue(allocators) ?? [], given),
                Threads = parsed.GetValue(threads)!,
                Runs = parsed.GetValue(runs),
                Seconds = parsed.GetValue(seconds),
                Trace = parsed.GetValue(trace),
            };
            return Show(console, Measure(console, settings), jsonPath, htmlPath);
        });
        return command;
    }

    /// <summary>The hidden command of the processes that measure.</summary>
    public static Command CreateMeasure(ToolConsole console)
    {
        Argument<string> order = new("ORDER");
        Command command = new(MeasurementProcess.CommandName) { order };
        command.Hidden = true;
        command.SetAction(parsed =>
        {
            MeasurementOrder what = JsonSerializer.Deserialize(parsed.GetRequiredValue(order), BenchJsonContext.Default.MeasurementOrder)!;
            console.OutText.WriteLine(JsonSerializer.Serialize(Measurer.Measure(what), BenchJsonContext.Default.Measurement));
            return 0;
        });
        return command;
    }

    private static BenchReport Measure(ToolConsole console, BenchSettings settings)
    {
        string now = "measuring";
        BenchSession session = new(settings)
        {
            Announce = what => Volatile.Write(ref now, what),
            Finished = finished =>
            {
                // Where no bar is drawn, a log should tell how far an hour's work has come.
                if (console.Progress == null)
                {
                    console.Note(FinishedLine(finished));
                }
            },
        };

        // Of one width, so that the bar stands still while names change.
        string Title() => Tables.Shorten(Volatile.Read(ref now), TitleWidth).PadRight(TitleWidth) + (session.Done == 0 ? "" : $"{Units.Wait(session.Remaining)} left").PadLeft(WaitWidth);
        return Progress.Run(console, Title, session.Total, () => session.Done, session.Run);
    }

    private static string FinishedLine(FinishedCase finished)
    {
        int failures = finished.Case.Outcomes.Count(static outcome => outcome.Failure != null);
        string failed = failures == 0 ? "" : $", {Units.Of(failures, "allocator")} failed";
        string left = finished.Number == finished.Total ? "" : $", {Units.Wait(finished.Remaining)} left";
        return $"{finished.Number}/{finished.Total} {finished.Case.Label()}: done in {Units.Time(finished.Took.TotalSeconds)}{failed}{left}";
    }

    /// <summary>Leaves the report wherever it is wanted.</summary>
    private static int Show(ToolConsole console, BenchReport report, string? json, string? html)
    {
        if (json != JsonFile.StandardOutput)
        {
            BenchView.Write(console.Out, report);
        }

        if (json != null)
        {
            JsonFile.Save(json, report, ToolJsonContext.Default.BenchReport, console);
        }

        if (html != null)
        {
            OutputFile.Write(html, BenchPage.Create(report));
        }

        return Judge(console, report);
    }

    /// <summary>What was measured in an hour should not be lost for want of a folder.</summary>
    private static void RequireOutputs(string? json, string? html)
    {
        if (json != null && json != JsonFile.StandardOutput)
        {
            OutputFile.RequireWritable(json);
        }

        if (html != null)
        {
            OutputFile.RequireWritable(html);
        }
    }

    /// <summary>An allocator that loses a byte fails the command; one that cannot run is told.</summary>
    private static int Judge(ToolConsole console, BenchReport report)
    {
        int exitCode = 0;
        foreach (BenchCase each in report.Cases)
        {
            foreach (BenchOutcome outcome in each.Outcomes.Where(static outcome => outcome.Failure != null))
            {
                console.Note($"{each.Label()}: {outcome.Allocator}: {outcome.Failure}");
                exitCode = 1;
            }

            if (each.Hashes() is { Count: > 1 } hashes)
            {
                console.Note($"{each.Label()}: the allocators did not do the same work: hashes {string.Join(", ", hashes)}");
                exitCode = 1;
            }
        }

        return exitCode;
    }

    private static int[] ParseList(System.CommandLine.Parsing.ArgumentResult result)
    {
        List<int> numbers = [];
        foreach (string text in result.Tokens.SelectMany(static token => token.Value.Split(',')))
        {
            if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) || number < 1 || number > ThreadsMax)
            {
                result.AddError($"'{text}' is not a number of threads; write 1 to {ThreadsMax}, with commas between.");
                return [1];
            }

            numbers.Add(number);
        }

        return [.. numbers.Distinct()];
    }
}
