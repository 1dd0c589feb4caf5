using System;
using System.CommandLine;
using System.Diagnostics;
using System.Linq;
using Kmem.Tool.Hosting;
using Kmem.Tool.Replay;
using Kmem.Tool.Snapshots;
using Kmem.Tool.Traces;
using Kmem.Tool.Traces.Programs;
using Kmem.Tool.Views;
using TraceSource = Kmem.Tool.Traces.TraceSource;

namespace Kmem.Tool.Commands;

/// <summary><c>kmem replay FILE</c>: a recorded trace, of a program or of a kernel, through a heap of its own.</summary>
internal static class ReplayCommand
{
    private const int MaxThreads = 256;
    private const int NotesMax = 5;

    /// <summary>The longer help.</summary>
    public const string Details =
        """
        Traces:
        FILE, plain or gzip, is what 'kmem record' recorded of a program, or text about a kernel: the 'trace' file of ftrace, or the output of 'trace-cmd report' or 'perf script'. docs/TRACES.md tells how to record one.
        Of a program, malloc and its relatives are replayed in the order of their numbers; a realloc is one.
        Of a kernel, in file order, kmalloc, kmem_cache_alloc, kfree, kmem_cache_free, mm_page_alloc and mm_page_free are.
        A cache gets the object size of its first event, and slabs sized by the kernel's rule. kmalloc goes to size classes, or to pages of its own beyond them.
        An allocation at an address that is taken frees the old object first (freed implicitly: its free is not in the trace). A free of an address that the trace did not allocate is counted (unmatched) and left out.

        Checks:
        Every object carries its number at both ends while it lives, and is checked when it is freed and at the end. The heap's own counts are compared with the trace's.
        Exit code 1 when the trace cannot be read, an object was damaged, or the counts differ.

        The kernel's side:
        Where /proc/slabinfo was saved beside trace.ftrace.gz as trace.slabinfo.before and trace.slabinfo.after, the kernel's growth is shown next to the replay's.

        """;

    private const string Description = "Replays a recorded trace of a program or a kernel through a heap of its own and shows the heap at the end.";

    public static Command Create(ToolConsole console)
    {
        Argument<string> file = new("FILE") { Description = "The trace, plain or gzip; '-' is standard input." };
        Option<string?> json = new("--json") { Description = "Write the result as JSON to this file; '-' prints it instead of the tables.", HelpName = "OUT" };
        Option<int> threads = new("--threads")
        {
            Description = "Threads. The events of CPU c, or of the program's thread c, go to thread c modulo N; a free waits for its allocation, so that the result does not depend on N.",
            HelpName = "N",
            DefaultValueFactory = static _ => 1,
        };
        threads.Validators.Add(result => CommandChecks.RequireRange(result, threads, 1, MaxThreads));
        Option<string> sizeClasses = new("--size-classes")
        {
            Description = "Size classes of kmalloc: Kmem's own (four for each doubling) or the kernel's (8 to 8192 bytes with 96 and 192).",
            DefaultValueFactory = static _ => "default",
            HelpName = "default|kernel",
        };
        sizeClasses.AcceptOnlyFromAmong("default", "kernel");
        Option<bool> noPages = new("--no-pages") { Description = "Leave out mm_page_alloc and mm_page_free. They hold the pages of the kernel's own slabs too." };
        Option<string> frontEnd = new("--front-end")
        {
            Description = "How per-CPU magazines are reached: restartable sequences or a try-lock. Without it, rseq where the machine has it.",
            HelpName = "rseq|lock",
        };
        frontEnd.AcceptOnlyFromAmong("rseq", "lock");
        Option<string?> snapshot = new("--snapshot") { Description = "Save the heap's state at the end, for 'kmem slabinfo' and 'kmem buddyinfo'.", HelpName = "OUT" };
        Option<bool> cold = new("--cold") { Description = "Time the first replay. Without it the trace is replayed into other heaps before, so that compiled code is timed and not the compiler." };
        Option<long> limit = new("--limit")
        {
            Description = "Most memory the heap may take, such as 64M (in steps of 4 MiB). Allocations beyond it fail and are counted.",
            HelpName = "SIZE",
            CustomParser = static result => CommandChecks.ParseSize(result),
        };

        Command command = new("replay", Description) { file, json, threads, sizeClasses, noPages, frontEnd, snapshot, limit, cold };
        command.SetAction(parsed =>
        {
            ReplaySettings settings = new()
            {
                Threads = parsed.GetValue(threads),
                SizeClasses = parsed.GetValue(sizeClasses) == "kernel" ? KmemSizeClasses.Kernel : KmemSizeClasses.Default,
                SkipPages = parsed.GetValue(noPages),
                FrontEnd = parsed.GetValue(frontEnd) switch
                {
                    "rseq" => KmemFrontEnd.RestartableSequences,
                    "lock" => KmemFrontEnd.TryLock,
                    _ => KmemFrontEnd.Auto,
                },
                LimitBytes = (ulong)parsed.GetValue(limit),
                WarmUp = !parsed.GetValue(cold),
            };
            return Run(console, parsed.GetRequiredValue(file), settings, parsed.GetValue(json), parsed.GetValue(snapshot));
        });
        return command;
    }

    private static int Run(ToolConsole console, string file, ReplaySettings settings, string? json, string? snapshot)
    {
        string name = TraceSource.NameOf(file);
        long start = Stopwatch.GetTimestamp();
        (TraceSummary summary, TracePlan plan) = ReadTrace(console, file, settings);
        TimeSpan parseTime = Stopwatch.GetElapsedTime(start);
        WarnAbout(console, name, summary);

        if (settings.WarmUp)
        {
            Progress.Run(console, "warming up", 0, static () => 0, () => WarmUp.Run(plan, settings));
        }

        using Replayer replayer = new(plan, settings);
        ReplayResult result = Progress.Run(console, "replaying", plan.StepCount, () => replayer.Done, replayer.Run);
        var growth = KernelSlabInfo.ReadGrowth(file, out string? problem);
        if (problem != null)
        {
            console.Note(problem);
        }

        ReplayReport report = ReplayReportBuilder.Build(name, summary, plan, settings, result, parseTime, growth);
        if (json != "-")
        {
            ReplayView.Write(console.Out, report, result.Statistics);
        }

        if (json != null)
        {
            JsonFile.Save(json, report, ToolJsonContext.Default.ReplayReport, console);
        }

        if (snapshot != null)
        {
            Snapshot.Save(snapshot, $"replay of {name}", result.Statistics);
        }

        return Judge(console, report);
    }

    private static (TraceSummary Summary, TracePlan Plan) ReadTrace(ToolConsole console, string file, ReplaySettings settings)
    {
        using TraceSource source = TraceSource.Open(file);
        TracePlanBuilder builder = new(settings.Threads, settings.SkipPages);
        TraceSummary summary = Progress.Run(console, "reading", source.LengthBytes, () => source.BytesRead, () => TraceReader.Read(source, TraceSource.NameOf(file), builder));
        return (summary, builder.Build());
    }

    private static void WarnAbout(ToolConsole console, string file, TraceSummary summary)
    {
        if (summary.Malformed > 0)
        {
            string lines = Units.Of(summary.Malformed, "line");
            console.Note($"{file}: {lines} of kmem events cannot be used and left out:");
            foreach (MalformedLine line in summary.FirstMalformed)
            {
                console.Note($"  line {Units.Count(line.Number)}: {line.Problem}: {line.Text}");
            }

            if (summary.Malformed > summary.FirstMalformed.Count)
            {
                console.Note($"  and {Units.Count(summary.Malformed - summary.FirstMalformed.Count)} more");
            }
        }

        if (summary.Program is { } program)
        {
            WarnAbout(console, file, program);
        }
        else if (summary.LostEvents > 0)
        {
            console.Note($"{file}: the recorder lost {Units.Of(summary.LostEvents, "event")}; a larger buffer would keep them");
        }
    }

    private static void WarnAbout(ToolConsole console, string file, ProgramTrace program)
    {
        foreach (string note in program.Notes.Take(NotesMax))
        {
            console.Note($"{file}: {note}");
        }

        if (program.Notes.Count > NotesMax)
        {
            console.Note($"{file}: and {Units.Count(program.Notes.Count - NotesMax)} more like these");
        }

        if (program.HasStopped)
        {
            console.Note($"{file}: the recording stopped before the program ended, as the recorder said when it did");
        }

        if (program.Lost > 0)
        {
            console.Note($"{file}: {Units.Of(program.Lost, "event")} of signal handlers not recorded");
        }
    }

    /// <summary>The exit code: what must never happen is said again at the end, on standard error.</summary>
    private static int Judge(ToolConsole console, ReplayReport report)
    {
        if (report.Corrupt > 0)
        {
            console.Note($"{Units.Of(report.Corrupt, "object")} damaged: memory was handed out twice, or written to by the heap");
        }

        foreach (string error in report.AccountingErrors)
        {
            console.Note($"the heap's counts are wrong: {error}");
        }

        return report.Corrupt > 0 || report.AccountingErrors.Count > 0 ? 1 : 0;
    }
}
