using System;
using System.Diagnostics;
using System.Reflection;
using System.Text;

namespace Kmem.Tests;

/// <summary>Runs one explicit test of this program in a process of its own, for what ends a process.</summary>
internal static class ChildTest
{
    /// <summary>Exit status and all output of the child.</summary>
    public static (int ExitCode, string Output) Run(string method)
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

        foreach (string argument in new[] { "--explicit", "only", "--filter-method", "*" + method })
        {
            start.ArgumentList.Add(argument);
        }

        start.Environment["DOTNET_DbgEnableMiniDump"] = "0";
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
