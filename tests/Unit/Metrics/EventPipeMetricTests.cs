using System;
using System.Buffers;
using System.Collections.Generic;
using System.Diagnostics.Tracing;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Threading;
using Kmem.Tests.Unit.Tool;
using Microsoft.Diagnostics.NETCore.Client;
using Microsoft.Diagnostics.Tracing;
using Xunit;

namespace Kmem.Tests.Unit.Metrics;

/// <summary>The meter from outside, over the diagnostics port, as <c>dotnet-counters</c> asks for it.</summary>
public sealed unsafe class EventPipeMetricTests
{
    private const string FileVariable = "KMEM_TEST_FIGURES";
    private const string Provider = "System.Diagnostics.Metrics";
    private const long TimeSeriesValues = 0x2;
    private const int Collections = 2;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    [Fact]
    public void The_values_of_a_running_process_are_those_of_its_statistics()
    {
        using TestFolder folder = new();
        Environment.SetEnvironmentVariable(FileVariable, folder["figures"]);
        using ServedProgram program = new(nameof(Child_is_counted));
        program.Order();
        Dictionary<string, long> expected = File.ReadAllLines(folder["figures"]).Select(static line => line.Split('=')).ToDictionary(static parts => parts[0], static parts => long.Parse(parts[1], CultureInfo.InvariantCulture));
        Dictionary<string, string> units = [];
        Dictionary<string, long> values = Collect(program.ProcessId, units, out string? failure);
        Assert.Null(failure);
        foreach ((string key, long value) in expected)
        {
            Assert.True(values.TryGetValue(key, out long found), $"{key} is not there");
            Assert.True(found == value, $"{key} is {found}, not {value}");
        }

        Assert.Equal("By", units[KmemMetrics.MemoryCommitted]);
        Assert.Equal("{miss}", units[KmemMetrics.AllocationMisses]);
    }

    /// <summary>As many collections as make sure that one began when the program had done its order.</summary>
    private static Dictionary<string, long> Collect(int pid, Dictionary<string, string> units, out string? failure)
    {
        Dictionary<string, string> arguments = new()
        {
            ["SessionId"] = Guid.NewGuid().ToString(),
            ["Metrics"] = KmemMetrics.MeterName,
            ["RefreshInterval"] = "0.5",
            ["MaxTimeSeries"] = "1000",
            ["MaxHistograms"] = "10",
        };
        Dictionary<string, long> values = [];
        string? told = null;
        int collections = 0;
        using ManualResetEventSlim enough = new();
        using EventPipeSession session = new DiagnosticsClient(pid).StartEventPipeSession([new EventPipeProvider(Provider, EventLevel.Informational, TimeSeriesValues, arguments)], requestRundown: false);
        Thread reader = new(() =>
        {
            using EventPipeEventSource source = new(session.EventStream);
            source.Dynamic.All += each =>
            {
                if (each.ProviderName != Provider)
                {
                    return;
                }

                switch (each.EventName)
                {
                    case "CounterRateValuePublished" or "UpDownCounterRateValuePublished":
                        string name = (string)each.PayloadByName("instrumentName");
                        string tags = (string)each.PayloadByName("tags");
                        units[name] = (string)each.PayloadByName("unit");
                        values[$"{name}{{{string.Join(',', tags.Split(',').OrderBy(static tag => !tag.StartsWith(KmemMetrics.HeapTag + "=", StringComparison.Ordinal)).Select(static tag => tag.Split('=', 2)[^1]))}}}"] =
                            (long)double.Parse((string)each.PayloadByName("value"), CultureInfo.InvariantCulture);
                        break;
                    case "Collection/Stop" when ++collections > Collections:
                        enough.Set();
                        break;
                    case "TimeSeriesLimitReached" or "ObservableInstrumentCallbackError" or "Error" or "MultipleSessionsNotSupportedError":
                        told = each.ToString(CultureInfo.InvariantCulture);
                        enough.Set();
                        break;
                    default:
                        break;
                }
            };
            try
            {
                source.Process();
            }
            catch (IOException)
            {
                // The program has ended, and the stream with it.
            }
        });
        reader.Start();
        Assert.True(enough.Wait(s_patience), "no values came");
        session.Stop();
        reader.Join();
        failure = told;
        return values;
    }

    [Fact(Explicit = true)]
    public void Child_is_counted()
    {
        using KmemHeap heap = new(new KmemHeapOptions { Name = "watched", Debug = "FZPU,kmalloc-96", MaintenanceIntervalMilliseconds = 0 });
        KmemCache cache = new("widget", 100, new KmemCacheOptions { Heap = heap });
        using SlabMemoryPool pool = new(new SlabMemoryPoolOptions { Name = "frames", Cache = cache });
        IMemoryOwner<byte>? held = null;
        ServedProgram.Serve(() =>
        {
            for (int count = 0; count < 1000; count++)
            {
                _ = cache.Alloc();
                heap.Free(heap.Alloc(96));
                heap.Free(heap.Alloc(1000));
            }

            _ = heap.Alloc(5_000_000);
            held = pool.Rent(100);
            pool.Rent(100).Dispose();
            File.WriteAllLines(
                Environment.GetEnvironmentVariable(FileVariable)!,
                ExpectedMetrics.Of(heap.GetStatistics(), "widget", "kmalloc-96", "kmalloc-1024").Select(static each => $"{each.Key}={each.Value}"));
            File.AppendAllLines(
                Environment.GetEnvironmentVariable(FileVariable)!,
                ["kmem.memory_pool.lease.count{watched,frames}=1", "kmem.memory_pool.lease.size{watched,frames}=100", "kmem.memory_pool.rents{watched,frames}=2", "kmem.memory_pool.lease.losses{watched,frames}=0"]);
        });
        GC.KeepAlive(held);
    }
}
