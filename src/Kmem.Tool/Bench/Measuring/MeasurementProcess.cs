using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;
using Kmem.Tool.Bench.Report;
using Kmem.Tool.Hosting;

namespace Kmem.Tool.Bench.Measuring;

/// <summary>Has an order measured by a fresh process of this very program.</summary>
internal static class MeasurementProcess
{
    /// <summary>The hidden command that <see cref="Measurer"/> stands behind.</summary>
    public const string CommandName = "bench-measure";

    private const int SignalledExitCode = 128;
    private const int SignalMax = 64;

    private static readonly string[] s_frames = ["Process terminated.", "Unhandled exception.", "Fatal error.", "kmem: "];
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(3);

    /// <summary>The measurement, or why there is none.</summary>
    public static (Measurement? Measurement, string? Failure) Run(MeasurementOrder order)
    {
        ProcessStartInfo start = StartOfThisProgram();
        start.ArgumentList.Add(CommandName);
        start.ArgumentList.Add(JsonSerializer.Serialize(order, BenchJsonContext.Default.MeasurementOrder));
        start.RedirectStandardOutput = true;
        start.RedirectStandardError = true;
        start.UseShellExecute = false;

        // Optimised code from the first thirty calls on, so that a short warm-up suffices; what it is optimised to is the same.
        start.Environment["DOTNET_TC_CallCountingDelayMs"] = "0";
        foreach (string variable in start.Environment.Keys.Where(static each => each.StartsWith("KMEM_", StringComparison.Ordinal)).ToArray())
        {
            start.Environment.Remove(variable);
        }

        if (order.Allocator.UsesTryLock)
        {
            start.Environment["KMEM_FRONT_END"] = "lock";
        }

        if (order.Allocator.Variable != null)
        {
            start.Environment[order.Allocator.Variable] = order.Allocator.VariableValue;
        }

        if (order.Allocator.IsPreloaded)
        {
            start.Environment["LD_PRELOAD"] = order.Allocator.Path;
        }

        using Process process = Process.Start(start) ?? throw new ToolException("no process can be started to measure in");
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> error = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(s_patience))
        {
            process.Kill(entireProcessTree: true);
            return (null, $"did not end in {s_patience.TotalMinutes:F0} minutes");
        }

        if (process.ExitCode != 0)
        {
            string? reason = ReasonOf(error.Result);
            return (null, reason == null ? EndOf(process.ExitCode) : $"{EndOf(process.ExitCode)}: {reason}");
        }

        try
        {
            return (JsonSerializer.Deserialize(output.Result, BenchJsonContext.Default.Measurement), null);
        }
        catch (JsonException)
        {
            return (null, "ended without a measurement");
        }
    }

    /// <summary>The runtime gives 128 and the signal for a process that was ended by one, as shells do.</summary>
    private static string EndOf(int exitCode) => exitCode is > SignalledExitCode and <= SignalledExitCode + SignalMax
        ? $"ended by signal {exitCode - SignalledExitCode}"
        : $"exit code {exitCode}";

    /// <summary>The first line that says anything: not the frame that the runtime prints around the message of a fatal error.</summary>
    private static string? ReasonOf(string error) => error
        .Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
        .Select(static line => s_frames.FirstOrDefault(line.StartsWith) is { } frame ? line[frame.Length..].Trim() : line)
        .FirstOrDefault(static line => line.Length > 0);

    private static ProcessStartInfo StartOfThisProgram()
    {
        string assembly = typeof(MeasurementProcess).Assembly.Location;
        string? process = Environment.ProcessPath;
        if (process != null && Path.GetFileNameWithoutExtension(process) == Path.GetFileNameWithoutExtension(assembly))
        {
            return new ProcessStartInfo(process);
        }

        // Under a test or as an installed tool, this process is a host that was given the assembly.
        bool isHost = process != null && Path.GetFileNameWithoutExtension(process) == "dotnet";
        ProcessStartInfo start = new(isHost ? process! : Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet");
        start.ArgumentList.Add(assembly);
        return start;
    }
}
