using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Threading.Tasks;
using Xunit;

namespace Kmem.Tests.Unit.Tool;

/// <summary>The library and the C program whose recording is tested. Tests are skipped where one of them is not there.</summary>
internal static class RecordingSupport
{
    private static readonly Lazy<string?> s_program = new(BuildProgram);

    /// <summary>That of <c>KMEM_LIBRARY</c>, or the one that a Release build leaves.</summary>
    public static string Library
    {
        get
        {
            string path = Environment.GetEnvironmentVariable("KMEM_LIBRARY") ?? Path.Join(Traces.Root, "artifacts", "native", "linux-x64", "libkmem.so");
            Assert.SkipUnless(File.Exists(path), $"{path} is missing: dotnet build -c Release src/Kmem.Native");
            return path;
        }
    }

    /// <summary>operations.c as a program.</summary>
    public static string Program
    {
        get
        {
            Assert.SkipWhen(s_program.Value == null, "There is no C compiler.");
            return s_program.Value!;
        }
    }

    /// <summary>The command, in a process of its own.</summary>
    public static ToolRun Kmem(string folder, params string[] arguments) =>
        Run("dotnet", folder, [], ["exec", Path.Join(AppContext.BaseDirectory, "Kmem.Tool.dll"), .. arguments]);

    /// <summary>The C program, recorded into the file.</summary>
    public static ToolRun Record(string trace, params string[] arguments) =>
        Run(Program, Path.GetDirectoryName(trace)!, [("LD_PRELOAD", Library), ("KMEM_TRACE", trace)], arguments);

    public static ToolRun Run(string program, string folder, IEnumerable<(string Name, string Value)> environment, IEnumerable<string> arguments)
    {
        ProcessStartInfo start = new(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true, WorkingDirectory = folder };
        start.Environment.Remove("LD_PRELOAD");
        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        using Process process = Process.Start(start)!;
        process.StandardInput.Write("a line\n");
        process.StandardInput.Close();
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return new ToolRun(process.ExitCode, output, error.Result);
    }

    private static string? BuildProgram()
    {
        string folder = Directory.CreateTempSubdirectory("kmem-recorded-").FullName;
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(folder, recursive: true);
        string program = Path.Join(folder, "operations");
        try
        {
            // As written: the compiler must not know malloc and so take calls away that it finds useless.
            ToolRun run = Run("cc", folder, [], ["-O1", "-fno-builtin", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", program, Path.Join(Traces.Root, "tests", "Unit", "Tool", "Programs", "operations.c")]);
            Assert.True(run.ExitCode == 0, run.Error);
            return program;
        }
        catch (Win32Exception)
        {
            return null;
        }
    }
}

/// <summary>The events of one thread of the C program between its markers, without the thread's number.</summary>
internal static class Markers
{
    private const string Marker = " 123457";

    /// <summary>Of every thread that has markers, in no order.</summary>
    public static List<string> Between(IEnumerable<string> events)
    {
        List<string> threads = [];
        foreach (IGrouping<string, string> thread in events.GroupBy(static text => text.Split(' ', 2)[0]))
        {
            List<string> own = [.. thread.Select(static text => text.Split(' ', 2)[1])];
            int first = own.FindIndex(static text => text.EndsWith(Marker, StringComparison.Ordinal));
            int last = own.FindLastIndex(static text => text.EndsWith(Marker, StringComparison.Ordinal));
            if (first >= 0)
            {
                // The marker's own free follows it.
                threads.Add(string.Join('\n', own[(first + 2)..last]));
            }
        }

        return [.. threads.Order(StringComparer.Ordinal)];
    }

    /// <summary>What the program said of every thread.</summary>
    public static List<string> Said(string output) =>
    [
        .. output.Split('\n', StringSplitOptions.RemoveEmptyEntries).GroupBy(static text => text[0])
            .Select(static thread => string.Join('\n', thread.Select(static text => text[2..]))).Order(StringComparer.Ordinal),
    ];
}
