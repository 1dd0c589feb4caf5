using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.Diagnostics;
using System.IO;
using System.Threading;
using System.Threading.Tasks;
using Xunit;

namespace Kmem.Tests.Native;

/// <summary>How a program ended, and what it wrote. A signal's number is added to 128.</summary>
internal sealed record Outcome(string Command, int ExitCode, string Output, string Error)
{
    public const int AbortSignal = 6;
    public const int AlarmSignal = 14;

    public Outcome AssertGood()
    {
        Assert.True(ExitCode == 0, ToString());
        return this;
    }

    public override string ToString() => $"{Command}: exit code {ExitCode}\n{Shorten(Output)}\n{Shorten(Error)}";

    private static string Shorten(string text) => text.Length <= 3000 ? text : text[..1000] + "\n…\n" + text[^2000..];
}

/// <summary>A program, its arguments and its environment. Starts from the environment of the tests without what would reach into it.</summary>
internal sealed class Command
{
    private static readonly string[] s_unwanted =
        ["LD_PRELOAD", "LD_DEBUG", "LD_DEBUG_OUTPUT", "KMEM_STATS", "KMEM_LONG", "KMEM_LIBRARY", "PYTHONMALLOC", "DOTNET_gcServer", "MSBUILDDISABLENODEREUSE"];

    private readonly ProcessStartInfo _start;

    public Command(string program, params IEnumerable<string> arguments)
    {
        _start = new ProcessStartInfo(program)
        {
            RedirectStandardError = true,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        foreach (string argument in arguments)
        {
            _start.ArgumentList.Add(argument);
        }

        foreach (string name in s_unwanted)
        {
            _start.Environment.Remove(name);
        }

        _start.Environment["LC_ALL"] = "C.UTF-8";
    }

    public string Text => Path.GetFileName(_start.FileName) + " " + string.Join(' ', _start.ArgumentList);

    public Command In(string folder)
    {
        _start.WorkingDirectory = folder;
        return this;
    }

    public Command With(string name, string value)
    {
        _start.Environment[name] = value;
        return this;
    }

    /// <summary>Starts the program and does not wait; the caller ends it.</summary>
    public Process Start()
    {
        try
        {
            return Process.Start(_start)!;
        }
        catch (Win32Exception exception)
        {
            throw new InvalidOperationException("Cannot start " + Text, exception);
        }
    }

    public Outcome Run(string input = "", TimeSpan? limit = null)
    {
        using Process process = Start();
        return Finish(process, input, limit);
    }

    /// <summary>Waits for a program that was started, and kills it with all that it started when it takes too long.</summary>
    public Outcome Finish(Process process, string input = "", TimeSpan? limit = null)
    {
        using CancellationTokenSource late = new(limit ?? Settings.Limit);
        Task<string> output = process.StandardOutput.ReadToEndAsync(CancellationToken.None);
        Task<string> error = process.StandardError.ReadToEndAsync(CancellationToken.None);
        Task written = Write(process, input);
        bool wasLate = false;
        using (late.Token.Register(() =>
        {
            wasLate = true;
            process.Kill(entireProcessTree: true);
        }))
        {
            Task.WaitAll(output, error, written);
            process.WaitForExit();
        }

        Outcome outcome = new(Text, process.ExitCode, output.Result, error.Result);
        Assert.False(wasLate, "Stopped as late: " + outcome);
        return outcome;
    }

    private static async Task Write(Process process, string input)
    {
        try
        {
            await process.StandardInput.WriteAsync(input).ConfigureAwait(false);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It ended before it had read all.
        }
    }
}
