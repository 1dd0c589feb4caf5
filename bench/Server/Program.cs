using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Threading.Tasks;

namespace Kmem.Bench.Server;

/// <summary>Kestrel with its own pool and with Kmem's, under the same load, in turns and in processes of their own.</summary>
internal static class Program
{
    private const string Usage = """
        Kmem.Bench.Server [--turns N] [--warm-up SECONDS] [--seconds N] [--connections N] [--clients N] [--workload NAME]... [--variant NAME]... [--server-cpus LIST] [--output FILE.md]

        Compares Kestrel's memory pools on a loopback port. Each turn of each variant is a process of its own; the client is this one.
          workloads: plaintext (16 requests at a time), single (one at a time), body-16k (answers of 16 KiB), burst (answers that nobody reads: who gives memory back)
          variants:  kestrel (as it comes), transport (Kmem's transport with Kestrel's pool), kmem (AddKmemMemoryPool)
        --warm-up is the least; the server is measured when its runtime compiles no more.
        --server-cpus gives the server these CPUs, by taskset; start this program by `taskset -c` on the others, and client and server are not in each other's way.
        """;

    public static async Task<int> Main(string[] arguments)
    {
        if (arguments is ["--serve", string variant])
        {
            await ServerProcess.Serve(variant);
            return 0;
        }

        if (arguments is ["--help"])
        {
            Console.WriteLine(Usage);
            return 0;
        }

        Settings settings = new();
        List<string> workloads = [];
        List<string> variants = [];
        string? output = null;
        for (int index = 0; index < arguments.Length; index += 2)
        {
            string value = index + 1 < arguments.Length ? arguments[index + 1] : "";
            switch (arguments[index])
            {
                case "--turns" when TryCount(value, out int turns):
                    settings = settings with { Turns = turns };
                    break;
                case "--seconds" when TryCount(value, out int seconds):
                    settings = settings with { Seconds = seconds };
                    break;
                case "--warm-up" when TryCount(value, out int warmUp):
                    settings = settings with { WarmUpSeconds = warmUp };
                    break;
                case "--connections" when TryCount(value, out int connections):
                    settings = settings with { Connections = connections };
                    break;
                case "--clients" when TryCount(value, out int clients):
                    settings = settings with { Clients = clients };
                    break;
                case "--workload" when Workload.All.Any(workload => workload.Name == value):
                    workloads.Add(value);
                    break;
                case "--variant" when ServerProcess.Variants.Contains(value):
                    variants.Add(value);
                    break;
                case "--server-cpus" when value.Length != 0:
                    settings = settings with { ServerCpus = value };
                    break;
                case "--output" when value.Length != 0:
                    output = value;
                    break;
                default:
                    Console.Error.WriteLine($"'{arguments[index]} {value}' is not understood.\n\n{Usage}");
                    return 2;
            }
        }

        Comparison comparison = new(
            settings,
            [.. Workload.All.Where(workload => workloads.Count == 0 || workloads.Contains(workload.Name))],
            variants.Count == 0 ? ServerProcess.Variants : variants);
        string page = comparison.Run();
        Console.WriteLine(page);
        if (output != null)
        {
            await File.WriteAllTextAsync(output, page);
        }

        return 0;
    }

    private static bool TryCount(string text, out int count) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out count) && count > 0;
}

/// <summary>How long and how much.</summary>
internal sealed record Settings
{
    public int Turns { get; init; } = 7;

    /// <summary>At least; longer while the runtime still compiles.</summary>
    public int WarmUpSeconds { get; init; } = 8;

    public int Seconds { get; init; } = 4;

    public int Connections { get; init; } = 32;

    public int Clients { get; init; } = 1;

    /// <summary>As taskset takes them; null for all.</summary>
    public string? ServerCpus { get; init; }
}

/// <summary>What the client asks for.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Path">Path of the request.</param>
/// <param name="Depth">Requests that are sent at once; 0: the answers are not read at all.</param>
internal sealed record Workload(string Name, string Path, int Depth)
{
    public static IReadOnlyList<Workload> All { get; } =
    [
        new("plaintext", "/plaintext", 16),
        new("single", "/plaintext", 1),
        new("body-16k", "/body", 1),
        new("burst", "/burst", 0),
    ];
}
