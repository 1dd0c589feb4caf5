using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using System.Threading;
using HdrHistogram;

namespace CacheLoad;

/// <summary>
/// The load: each connection has a schedule, so many requests a second, and a request's latency counts from when it should have been sent. So a server that stops for a while is seen by
/// all requests of that while, not by one.
/// </summary>
internal sealed class Load(int items, int rate, int seconds, int connections)
{
    private const int StoresInHundred = 10;
    private const int LeastBytes = 100;
    private const int MostBytes = 1000;
    private const long LongestNanoseconds = 60_000_000_000;
    private const long LateNanoseconds = 10_000_000;
    private const int WarmUpSeconds = 10;

    public string Description => string.Create(
        CultureInfo.InvariantCulture,
        $"{items:N0} items of {LeastBytes} to {MostBytes} bytes; {rate:N0} requests a second for {seconds} s over {connections} connections, {StoresInHundred} % of them stores; latency from when a request should have been sent, after {WarmUpSeconds} s to warm up; late is more than 10 ms");

    public Outcome Run(ServerProcess server, string store)
    {
        long began = Stopwatch.GetTimestamp();
        RunThreads(server, (client, number) => Fill(client, number));
        double fillSeconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
        LongHistogram[] latencies = new LongHistogram[connections];
        RunThreads(server, (client, number) => _ = Work(client, number, WarmUpSeconds));
        Dictionary<string, long> before = Ask(server);
        RunThreads(server, (client, number) => latencies[number] = Work(client, number, seconds));
        Dictionary<string, long> after = Ask(server);
        LongHistogram all = new(LongestNanoseconds, 3);
        Array.ForEach(latencies, all.Add);
        long late = all.RecordedValues().Where(static value => value.ValueIteratedTo > LateNanoseconds).Sum(static value => value.CountAtValueIteratedTo);
        return new Outcome(
            store,
            all,
            100.0 * late / all.TotalCount,
            before["gc_pause_longest_microseconds"],
            after["gc_pause_longest_microseconds"],
            Grown("gc_pause_total_microseconds"),
            $"{Grown("gc_collections_0")}/{Grown("gc_collections_1")}/{Grown("gc_collections_2")}",
            after["rss_bytes"],
            fillSeconds,
            Grown("cpu_milliseconds") / 1000.0);

        long Grown(string figure) => after[figure] - before[figure];
    }

    private void RunThreads(ServerProcess server, Action<Client, int> work)
    {
        Exception? failure = null;
        Thread[] threads = [.. Enumerable.Range(0, connections).Select(number => new Thread(() =>
        {
            try
            {
                using Client client = new(server.Port);
                work(client, number);
            }
            catch (Exception exception)
            {
                failure = exception;
            }
        }))];
        Array.ForEach(threads, static thread => thread.Start());
        Array.ForEach(threads, static thread => thread.Join());
        if (failure != null)
        {
            throw new InvalidOperationException("The load failed.", failure);
        }
    }

    /// <summary>Each connection stores its part, many at a time.</summary>
    private void Fill(Client client, int number)
    {
        for (int item = number; item < items; item += connections)
        {
            client.StoreSilently(item, BytesOf(item, 0));
        }

        client.WaitForAll();
    }

    private LongHistogram Work(Client client, int number, int seconds)
    {
        LongHistogram latency = new(LongestNanoseconds, 3);
        Random random = new(number);
        double ticksBetween = (double)Stopwatch.Frequency * connections / rate;
        long start = Stopwatch.GetTimestamp();
        long count = (long)seconds * rate / connections;
        for (long request = 0; request < count; request++)
        {
            long due = start + (long)(request * ticksBetween);
            WaitUntil(due);
            int item = random.Next(items);
            if (random.Next(100) < StoresInHundred)
            {
                client.Store(item, BytesOf(item, (int)request));
            }
            else
            {
                client.Get(item);
            }

            latency.RecordValue(Math.Clamp((long)((Stopwatch.GetTimestamp() - due) * (1e9 / Stopwatch.Frequency)), 1, LongestNanoseconds));
        }

        return latency;
    }

    private static int BytesOf(int item, int version) => LeastBytes + (int)((uint)HashCode.Combine(item, version) % (MostBytes - LeastBytes + 1));

    /// <summary>Sleeps, and yields for the last bit: the CPUs are the server's too.</summary>
    private static void WaitUntil(long due)
    {
        while (true)
        {
            double left = (due - Stopwatch.GetTimestamp()) * 1e3 / Stopwatch.Frequency;
            if (left <= 0)
            {
                return;
            }

            if (left > 1.5)
            {
                Thread.Sleep(1);
            }
            else
            {
                _ = Thread.Yield();
            }
        }
    }

    private static Dictionary<string, long> Ask(ServerProcess server)
    {
        using Client client = new(server.Port);
        Dictionary<string, long> all = client.Statistics();
        client.Reset();
        return all;
    }
}
