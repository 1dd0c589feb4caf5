using System;
using System.Collections.Generic;
using System.CommandLine;
using System.CommandLine.Invocation;
using System.IO;
using Kmem.Tool.Hosting;

namespace Kmem.Tool.Commands;

/// <summary>The command <c>kmem</c>: its parts, and how it ends.</summary>
internal static class KmemCommand
{
    private const string Description = "Kmem: the kernel's slab allocator as a .NET library, and what the kernel's tools show of it.";

    private const string Details =
        """
        Examples:
        kmem replay traces/linux-6.18-filesystem.ftrace.gz
        kmem record -- python3 -c 'print("hello")'
        kmem replay kmem.trace
        kmem replay trace.txt --threads 2 --size-classes kernel --snapshot heap.json
        kmem slabinfo heap.json --raw
        kmem slabinfo 4711
        kmem bench pair-64 'batch-*'
        kmem layout --compare /sys/kernel/slab
        kmem leaks 4711 --difference 60

        """;

    /// <summary>Runs the command. Returns the exit code: 0, 1 for a failure (one line on standard error says which), or what the parser gives a wrong command line.</summary>
    public static int Run(string[] arguments, ToolConsole console)
    {
        ParseResult parsed = Create(console).Parse(arguments);
        ParseErrorAction? wrongUsage = arguments.Length > 0 ? parsed.Action as ParseErrorAction : null;
        if (wrongUsage != null)
        {
            // A page of help would push the error off the screen.
            wrongUsage.ShowHelp = false;
        }

        try
        {
            int exitCode = parsed.Invoke(new InvocationConfiguration
            {
                Output = console.OutText,
                Error = console.Error,
                EnableDefaultExceptionHandler = false,
            });
            if (wrongUsage != null)
            {
                console.Error.WriteLine($"'{UsageOf(parsed.CommandResult.Command)} --help' shows how it is used.");
            }

            return exitCode;
        }
        catch (ToolException exception)
        {
            console.Note(exception.Message);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Files that a command names have their own messages; what is left is where the results go.
            console.Note($"the output cannot be written: {FirstLine(exception)}");
        }
        catch (OutOfMemoryException exception)
        {
            console.Note($"out of memory: {FirstLine(exception)}");
        }
        catch (Exception exception) when (Environment.GetEnvironmentVariable("KMEM_TOOL_TRACE") is null)
        {
            console.Note($"internal error: {exception.GetType().Name}: {FirstLine(exception)} (set KMEM_TOOL_TRACE=1 to see where)");
        }

        return 1;
    }

    private static RootCommand Create(ToolConsole console)
    {
        Command record = RecordCommand.Create(console);
        Command replay = ReplayCommand.Create(console);
        Command slabInfo = SnapshotCommands.CreateSlabInfo(console);
        Command buddyInfo = SnapshotCommands.CreateBuddyInfo(console);
        Command layout = LayoutCommand.Create(console);
        Command bench = BenchCommand.Create(console);
        Command leaks = LeaksCommand.Create(console);
        RootCommand root = new(Description) { bench, record, replay, slabInfo, buddyInfo, layout, leaks, BenchCommand.CreateMeasure(console) };
        DetailedHelp.AddTo(root, new Dictionary<Command, string>
        {
            [root] = Details,
            [bench] = BenchCommand.Details,
            [record] = RecordCommand.Details,
            [replay] = ReplayCommand.Details,
            [slabInfo] = SnapshotCommands.SlabInfoDetails,
            [buddyInfo] = SnapshotCommands.BuddyInfoDetails,
            [layout] = LayoutCommand.Details,
            [leaks] = LeaksCommand.Details,
        });
        return root;
    }

    private static string UsageOf(Command command) => command is RootCommand ? "kmem" : $"kmem {command.Name}";

    private static string FirstLine(Exception exception) => exception.Message.Split('\n', 2)[0].TrimEnd();
}
