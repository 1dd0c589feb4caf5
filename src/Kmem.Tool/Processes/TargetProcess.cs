using System;
using System.Diagnostics;
using System.Linq;
using Kmem.Tool.Hosting;
using Microsoft.Diagnostics.NETCore.Client;

namespace Kmem.Tool.Processes;

/// <summary>A running .NET process that can be asked.</summary>
internal static class TargetProcess
{
    /// <summary>A client for the process; a failure in words where there is none to be had.</summary>
    public static DiagnosticsClient Open(int pid)
    {
        RequireRunning(pid);
        return DiagnosticsClient.GetPublishedProcesses().Contains(pid)
            ? new DiagnosticsClient(pid)
            : throw new ToolException($"{pid}: no .NET process that can be asked: it is another program or another user's, has DOTNET_EnableDiagnostics=0, or another TMPDIR than this one");
    }

    /// <summary>Fails where the process has gone.</summary>
    public static void RequireRunning(int pid)
    {
        try
        {
            using Process process = Process.GetProcessById(pid);
            if (!process.HasExited)
            {
                return;
            }
        }
        catch (Exception exception) when (exception is ArgumentException or InvalidOperationException)
        {
            // There is none.
        }

        throw new ToolException($"{pid}: no such process");
    }
}
