using System;
using System.Collections.Generic;
using System.CommandLine;
using System.IO;
using System.Linq;
using Kmem.Tool.Hosting;
using Kmem.Tool.Recording;
using Kmem.Tool.Traces;
using Kmem.Tool.Traces.Programs;
using Kmem.Tool.Views;

namespace Kmem.Tool.Commands;

/// <summary><c>kmem record -- PROGRAM</c>: every allocation of a program into a file.</summary>
internal static class RecordCommand
{
    /// <summary>The longer help.</summary>
    public const string Details =
        """
        How it works:
        PROGRAM runs with libkmem.so as its malloc (LD_PRELOAD), which writes every call of malloc, calloc, realloc, free and their relatives, also those of C++, into FILE (KMEM_TRACE).
        Nothing is lost where the program crashes or is killed. About 5 bytes an event; see docs/TRACES.md.
        Processes that PROGRAM starts have files of their own: FILE.PID.
        The exit code is the program's, 128 and the signal where one ended it, and 1 where it went well and nothing was recorded.
        The program's arguments go behind '--', so that they are not taken for those of kmem.

        The library:
        libkmem.so is looked for beside the tool, in the checkout that the tool was built in, where KMEM_LIBRARY says, and where --library says. Linux on x64 only.
        A program that is linked statically or runs with another user's rights (setuid) cannot be recorded.

        Examples:
        kmem record -- python3 -c 'print("hello")'
        kmem record --output build.trace -- make
        kmem replay kmem.trace

        """;

    private const string Description = "Runs a program and records every allocation of it, for 'kmem replay'.";
    private const string DefaultOutput = "kmem.trace";
    private const int OthersShown = 3;

    public static Command Create(ToolConsole console)
    {
        Argument<string[]> program = new("PROGRAM") { Description = "The program and its arguments, behind '--'.", Arity = ArgumentArity.OneOrMore };
        Option<string> output = new("--output", "-o") { Description = "The file; one that exists is overwritten.", HelpName = "FILE", DefaultValueFactory = static _ => DefaultOutput };
        Option<string?> library = new("--library") { Description = "Where libkmem.so is.", HelpName = "PATH" };
        Command command = new("record", Description) { program, output, library };
        command.SetAction(parsed => Run(console, parsed.GetRequiredValue(program), parsed.GetRequiredValue(output), parsed.GetValue(library)));
        return command;
    }

    private static int Run(ToolConsole console, string[] command, string output, string? library)
    {
        string preloaded = NativeLibrary.Find(library);
        string program = ExecutableFile.Find(command[0]);
        if (output.Contains("%p", StringComparison.Ordinal))
        {
            throw new ToolException($"{output}: --output names one file; '%p' in it is for KMEM_TRACE only");
        }

        string path = Path.GetFullPath(output);
        RecordedFiles.Clear(path);
        DateTimeOffset start = DateTimeOffset.UtcNow;
        int exitCode = RecordedProgram.Run(program, command.AsEnumerable().Skip(1), preloaded, path);
        IReadOnlyList<string> others = RecordedFiles.OthersSince(path, start);
        if (!File.Exists(path))
        {
            console.Note($"{command[0]} recorded nothing: {ExecutableFile.WhyNotRecorded(program)}{Describe(others)}");
            return exitCode == 0 ? 1 : exitCode;
        }

        console.Note($"{Describe(path, output)}{Describe(others)}; next: kmem replay {output}");
        return exitCode;
    }

    private static string Describe(string path, string shown)
    {
        string size = Units.Bytes((ulong)new FileInfo(path).Length);
        try
        {
            TraceSummary summary;
            using (TraceSource source = TraceSource.Open(path))
            {
                summary = TraceReader.Count(source, shown);
            }

            ProgramTrace trace = summary.Program!;
            string stopped = trace.HasStopped ? ", not up to the end" : "";
            return $"{Units.Of(summary.Events, "event")} of {Units.Of(trace.Threads, "thread")} in {shown} ({size}){stopped}";
        }
        catch (ToolException exception)
        {
            // The program may have written into it, or ended before anything was in it.
            return $"{exception.Message} ({size})";
        }
    }

    private static string Describe(IReadOnlyList<string> others)
    {
        if (others.Count == 0)
        {
            return "";
        }

        string more = others.Count > OthersShown ? $" and {Units.Count(others.Count - OthersShown)} more" : "";
        return $"; of other processes: {string.Join(", ", others.Take(OthersShown).Select(Path.GetFileName))}{more}";
    }
}
