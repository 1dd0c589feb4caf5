using System;
using System.Diagnostics;
using System.Globalization;
using System.IO;

namespace CacheLoad;

/// <summary>CacheServer as a process, on a port that it chooses itself.</summary>
internal sealed class ServerProcess : IDisposable
{
    private readonly Process _process;

    private ServerProcess(Process process, int port)
    {
        _process = process;
        Port = port;
    }

    public int Port { get; }

    public static ServerProcess Start(string store)
    {
        string folder = AppContext.BaseDirectory.Replace("CacheLoad", "CacheServer", StringComparison.Ordinal);
        ProcessStartInfo start = new("dotnet", [Path.Combine(folder, "CacheServer.dll"), "--port", "0", "--store", store, "--memory", "16384"]) { RedirectStandardOutput = true };
        Process process = Process.Start(start)!;
        string? line = process.StandardOutput.ReadLine();
        if (line == null || !int.TryParse(line[(line.LastIndexOf(':') + 1)..], CultureInfo.InvariantCulture, out int port))
        {
            throw new InvalidOperationException($"The server says '{line}' instead of where it listens.");
        }

        return new ServerProcess(process, port);
    }

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }
}
