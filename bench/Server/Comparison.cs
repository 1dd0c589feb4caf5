using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;

namespace Kmem.Bench.Server;

/// <summary>Takes turns: in each, every variant serves every workload once, the order of the variants moving on by one.</summary>
internal sealed class Comparison(Settings settings, IReadOnlyList<Workload> workloads, IReadOnlyList<string> variants)
{
    private const int BurstConnections = 800;
    private const int WarmUpPauseMilliseconds = 400;
    private const int WarmUpSecondsMax = 40;
    private const int QuietSeconds = 3;
    private const int CompiledWhileQuiet = 5;

    /// <summary>By workload, variant and name of the figure: one value for each turn.</summary>
    private readonly Dictionary<(string Workload, string Variant, string Figure), List<double>> _figures = [];

    public string Run()
    {
        for (int turn = 0; turn < settings.Turns; turn++)
        {
            foreach (Workload workload in workloads)
            {
                for (int step = 0; step < variants.Count; step++)
                {
                    string variant = variants[(turn + step) % variants.Count];
                    Console.Error.Write($"\rturn {turn + 1} of {settings.Turns}: {workload.Name}, {variant}          ");
                    if (workload.Depth == 0)
                    {
                        MeasureBurst(workload, variant);
                    }
                    else
                    {
                        Measure(workload, variant);
                    }
                }
            }
        }

        Console.Error.WriteLine();
        return Page();
    }

    private void Measure(Workload workload, string variant)
    {
        using ServerProcess server = new(variant, settings.ServerCpus);
        WarmUp(server, workload);
        double before = server.CpuSeconds;
        double rate = LoadClient.Run(server.Port, workload, settings, settings.Seconds);
        double cpu = server.CpuSeconds - before;
        Keep(workload, variant, "requests/s", rate);
        Keep(workload, variant, "CPU µs/request", cpu * 1e6 / (rate * settings.Seconds));
        Keep(workload, variant, "RSS MiB", server.ResidentMiB);
    }

    /// <summary>
    /// At least as long as was said, and until the runtime compiles no more: hot code is compiled again in the background, in two steps, which is put off while new code comes up. Before that, more than half of the time is
    /// the counters' of code that is not yet compiled for good. The pauses are for the compiler.
    /// </summary>
    private void WarmUp(ServerProcess server, Workload workload)
    {
        long compiled = 0;
        int quiet = 0;
        for (int second = 0; second < WarmUpSecondsMax && (second < settings.WarmUpSeconds || quiet < QuietSeconds); second++)
        {
            _ = LoadClient.Run(server.Port, workload, settings, 1);
            Thread.Sleep(WarmUpPauseMilliseconds);
            long now = server.AskCompiledMethods();
            quiet = now - compiled < CompiledWhileQuiet ? quiet + 1 : 0;
            compiled = now;
        }
    }

    private void MeasureBurst(Workload workload, string variant)
    {
        using ServerProcess server = new(variant, settings.ServerCpus);
        WarmUp(server, Workload.All[0]);
        double idle = server.ResidentMiB;
        Socket[] sockets = LoadClient.AskAndWait(server.Port, workload, BurstConnections);
        double most = 0;
        for (int tick = 0; tick < 20; tick++)
        {
            Thread.Sleep(100);
            most = Math.Max(most, server.ResidentMiB);
        }

        Array.ForEach(sockets, socket => socket.Close(0));
        Thread.Sleep(3000);
        double soon = server.ResidentMiB;
        Keep(workload, variant, "RSS MiB before", idle);
        Keep(workload, variant, "most", Math.Max(most, soon));
        Keep(workload, variant, "3 s after", soon);
        Thread.Sleep(12_000);
        Keep(workload, variant, "15 s after", server.ResidentMiB);
        Thread.Sleep(15_000);
        Keep(workload, variant, "30 s after", server.ResidentMiB);
    }

    private void Keep(Workload workload, string variant, string figure, double value)
    {
        if (!_figures.TryGetValue((workload.Name, variant, figure), out List<double>? values))
        {
            _figures.Add((workload.Name, variant, figure), values = []);
        }

        values.Add(value);
    }

    private string Page()
    {
        StringBuilder page = new();
        page.Append(CultureInfo.InvariantCulture, $"""
            # Kestrel's pool and Kmem's

            Made by `dotnet run -c Release --project bench/Server` on {DateTime.UtcNow:yyyy-MM-dd}. {RuntimeInformation.FrameworkDescription}, {RuntimeInformation.OSDescription}, {Environment.ProcessorCount} CPUs ({ProcessorName()}).
            {settings.Turns} turns; in each, every variant is a process of its own: warmed up until the runtime compiles no more, {settings.Seconds} s measured, {settings.Connections} connections, {settings.Clients} client thread(s) in another process on the same machine{(settings.ServerCpus == null ? "" : $", which has other CPUs than the server's {settings.ServerCpus}")}.
            A cell is the median, with the lowest and the highest of the turns behind it.

            `kestrel` is Kestrel as it comes, `transport` Kmem's transport with Kestrel's pool, `kmem` the two together as `AddKmemMemoryPool` adds them.

            """);
        foreach (Workload workload in workloads)
        {
            List<string> figures = [.. _figures.Keys.Where(key => key.Workload == workload.Name).Select(key => key.Figure).Distinct()];
            page.Append(CultureInfo.InvariantCulture, $"\n## {workload.Name}\n\n{About(workload)}\n\n| variant | {string.Join(" | ", figures)} |\n|---|{string.Concat(figures.Select(_ => "---:|"))}\n");
            foreach (string variant in variants)
            {
                page.Append(CultureInfo.InvariantCulture, $"| {variant} | {string.Join(" | ", figures.Select(figure => Cell(_figures[(workload.Name, variant, figure)])))} |\n");
            }
        }

        return page.ToString();
    }

    private static string About(Workload workload) => workload.Name switch
    {
        "plaintext" => $"13 bytes, {workload.Depth} requests at a time on each connection.",
        "single" => "13 bytes, one request at a time on each connection.",
        "body-16k" => "16 KiB: answers of several blocks.",
        _ => $"{BurstConnections} clients ask for 1 MiB each, read nothing, and go: resident memory of the server.",
    };

    private static string Cell(List<double> values)
    {
        List<double> sorted = [.. values.Order()];
        double median = (sorted[(sorted.Count - 1) / 2] + sorted[sorted.Count / 2]) / 2;
        string format = median >= 1000 ? "N0" : median >= 10 ? "F1" : "F2";
        return string.Create(CultureInfo.InvariantCulture, $"{Text(median)} ({Text(sorted[0])} … {Text(sorted[^1])})");

        string Text(double value) => value.ToString(format, CultureInfo.InvariantCulture);
    }

    private static string ProcessorName() => File.Exists("/proc/cpuinfo")
        ? File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))?.Split(':')[1].Trim() ?? "?"
        : RuntimeInformation.ProcessArchitecture.ToString();
}
