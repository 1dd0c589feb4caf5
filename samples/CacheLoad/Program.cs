using System;
using System.Collections.Generic;
using System.CommandLine;
using System.Globalization;
using System.Linq;
using HdrHistogram;

namespace CacheLoad;

/// <summary>Fills CacheServer with items and asks it for them at a fixed rate, with each of its stores in turn, and prints what both made of it.</summary>
internal static class Program
{
    private static int Main(string[] arguments)
    {
        Option<int> items = new("--items") { Description = "Items of 100 to 1000 bytes.", DefaultValueFactory = _ => 5_000_000 };
        Option<int> rate = new("--rate") { Description = "Requests a second, over all connections; a tenth of them stores.", DefaultValueFactory = _ => 10_000 };
        Option<int> seconds = new("--seconds") { Description = "How long.", DefaultValueFactory = _ => 60 };
        Option<int> connections = new("--connections") { Description = "Clients.", DefaultValueFactory = _ => 8 };
        Option<int> turns = new("--turns") { Description = "How often each store has its turn.", DefaultValueFactory = _ => 1 };
        Option<string[]> stores = new("--store") { Description = "Stores of the server.", DefaultValueFactory = _ => ["kmem", "managed"] };
        RootCommand root = new("Load for the cache server, and what it did to its latency and its pauses.") { items, rate, seconds, connections, turns, stores };
        root.SetAction(parsed =>
        {
            Load load = new(parsed.GetValue(items), parsed.GetValue(rate), parsed.GetValue(seconds), parsed.GetValue(connections));
            List<Outcome> outcomes = [];
            for (int turn = 0; turn < parsed.GetValue(turns); turn++)
            {
                foreach (string store in parsed.GetValue(stores)!)
                {
                    using ServerProcess server = ServerProcess.Start(store);
                    outcomes.Add(load.Run(server, store));
                    Console.Error.WriteLine(Row(outcomes[^1]));
                }
            }

            Print(load, outcomes);
        });
        return root.Parse(arguments).Invoke();
    }

    private static void Print(Load load, List<Outcome> outcomes)
    {
        Console.WriteLine(load.Description);
        Console.WriteLine();
        Console.WriteLine("| store | p50 | p99 | p99.9 | p99.99 | longest | late | longest GC pause | all GC pauses | longest while filling | collections 0/1/2 | RSS | fill | CPU |");
        Console.WriteLine("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
        foreach (Outcome outcome in outcomes.OrderBy(static each => each.Store, StringComparer.Ordinal))
        {
            Console.WriteLine(Row(outcome));
        }
    }

    private static string Row(Outcome outcome)
    {
        LongHistogram latency = outcome.Latency;
        return string.Create(
            CultureInfo.InvariantCulture,
            $"| {outcome.Store} | {At(50)} | {At(99)} | {At(99.9)} | {At(99.99)} | {Time(latency.GetMaxValue())} | {outcome.Late:0.00} % | {Time(outcome.LongestPause * 1000)} | {Time(outcome.AllPauses * 1000)} | {Time(outcome.LongestFillPause * 1000)} | {outcome.Collections} | {outcome.ResidentBytes / 1048576.0:#,0} MiB | {outcome.FillSeconds:0} s | {outcome.CpuSeconds:0} s |");

        string At(double percentile) => Time(latency.GetValueAtPercentile(percentile));
    }

    /// <summary>Nanoseconds, as people read them.</summary>
    private static string Time(long nanoseconds) => nanoseconds switch
    {
        < 10_000 => string.Create(CultureInfo.InvariantCulture, $"{nanoseconds / 1e3:0.0} µs"),
        < 1_000_000 => string.Create(CultureInfo.InvariantCulture, $"{nanoseconds / 1e3:0} µs"),
        < 100_000_000 => string.Create(CultureInfo.InvariantCulture, $"{nanoseconds / 1e6:0.0} ms"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{nanoseconds / 1e6:0} ms"),
    };
}

/// <summary>What one run came to.</summary>
internal sealed record Outcome(string Store, LongHistogram Latency, double Late, long LongestFillPause, long LongestPause, long AllPauses, string Collections, long ResidentBytes, double FillSeconds, double CpuSeconds);
