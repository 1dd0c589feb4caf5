using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.Diagnostics;
using System.Linq;
using System.Runtime.InteropServices;
using Kmem.Tool.Hosting;

namespace Kmem.Tool.Recording;

/// <summary>
/// Runs a program with the library in it. It has this process's standard input and output, and its signals: those of a terminal go to both, and are ignored
/// here; those that ask a process to end are passed on.
/// </summary>
internal static partial class RecordedProgram
{
    private const string Preload = "LD_PRELOAD";
    private const string Trace = "KMEM_TRACE";

    /// <summary>Runs it to its end. Returns its exit code: 128 and the number of the signal where one ended it.</summary>
    public static int Run(string program, IEnumerable<string> arguments, string library, string trace)
    {
        ProcessStartInfo start = new(program) { UseShellExecute = false };
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        start.Environment[Preload] = start.Environment.TryGetValue(Preload, out string? others) && !string.IsNullOrEmpty(others) ? $"{others}:{library}" : library;
        start.Environment[Trace] = trace;
        using Process process = new() { StartInfo = start };
        PosixSignalRegistration[] signals =
        [
            .. new[] { PosixSignal.SIGINT, PosixSignal.SIGQUIT }.Select(static signal => PosixSignalRegistration.Create(signal, static context => context.Cancel = true)),
            .. new[] { (PosixSignal.SIGTERM, 15), (PosixSignal.SIGHUP, 1) }.Select(signal => PosixSignalRegistration.Create(signal.Item1, context => PassOn(process, signal.Item2, context))),
        ];
        try
        {
            process.Start();
            process.WaitForExit();
            return process.ExitCode;
        }
        catch (Win32Exception exception)
        {
            throw new ToolException($"{program}: cannot be run: {exception.Message}", exception);
        }
        finally
        {
            foreach (PosixSignalRegistration signal in signals)
            {
                signal.Dispose();
            }
        }
    }

    private static void PassOn(Process process, int number, PosixSignalContext context)
    {
        context.Cancel = true;
        try
        {
            _ = Kill(process.Id, number);
        }
        catch (InvalidOperationException)
        {
            // It has not started yet, or has ended already.
        }
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int process, int signal);
}
