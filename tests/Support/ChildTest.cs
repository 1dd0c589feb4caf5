using System;
using System.Diagnostics;
using System.Reflection;
using System.Text;

namespace Kmem.Tests;

/// <summary>Runs explicit tests of this program in a process of their own: for what ends a process, or must have a heap for itself.</summary>
internal static class ChildTest
{
    /// <summary>Exit status and all output of the child that runs one test.</summary>
    public static (int ExitCode, string Output) Run(string method) => Start("--filter-method", "*" + method, []);

    /// <summary>The same of all explicit tests of a class, one after the other.</summary>
    public static (int ExitCode, string Output) RunClass(string name, params (string Name, string Value)[] environment) =>
        Start("--filter-class", "*" + name, environment);

    private static (int ExitCode, string Output) Start(string filter, string pattern, (string Name, string Value)[] environment)
    {
        ProcessStartInfo start = new(Environment.ProcessPath!)
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        if (Environment.ProcessPath!.EndsWith("dotnet", StringComparison.Ordinal))
        {
            start.ArgumentList.Add(Assembly.GetExecutingAssembly().Location);
        }

        foreach (string argument in new[] { "--explicit", "only", filter, pattern })
        {
            start.ArgumentList.Add(argument);
        }

        start.Environment["DOTNET_DbgEnableMiniDump"] = "0";
        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        StringBuilder output = new();
        using Process child = new() { StartInfo = start };
        child.OutputDataReceived += (_, line) => Append(line.Data);
        child.ErrorDataReceived += (_, line) => Append(line.Data);
        child.Start();
        child.BeginOutputReadLine();
        child.BeginErrorReadLine();
        child.WaitForExit();
        return (child.ExitCode, output.ToString());

        void Append(string? line)
        {
            lock (output)
            {
                output.AppendLine(line);
            }
        }
    }
}
