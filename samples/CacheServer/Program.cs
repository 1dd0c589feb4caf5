using System;
using System.CommandLine;
using System.Net;
using System.Threading;
using System.Threading.Tasks;
using CacheServer.Protocol;
using CacheServer.Store;
using Kmem;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using OpenTelemetry;
using OpenTelemetry.Metrics;

namespace CacheServer;

/// <summary>A cache that speaks memcached's protocols, on Kestrel, with its items in Kmem or, to compare, in a dictionary of arrays.</summary>
internal static class Program
{
    private static async Task<int> Main(string[] arguments)
    {
        Option<int> port = new("--port") { Description = "TCP port; 0 chooses a free one.", DefaultValueFactory = _ => 11211 };
        Option<string> store = new("--store") { Description = "kmem, or managed: a ConcurrentDictionary<string, byte[]>.", DefaultValueFactory = _ => "kmem" };
        store.AcceptOnlyFromAmong("kmem", "managed");
        Option<long> megabytes = new("--memory") { Description = "MiB of items; beyond them the oldest go. For kmem.", DefaultValueFactory = _ => 1024 };
        Option<int> metrics = new("--metrics") { Description = "Seconds between two exports of the meter Kmem to standard output, by OpenTelemetry; 0: none." };
        RootCommand root = new("A cache server that speaks memcached's protocols.") { port, store, megabytes, metrics };
        root.SetAction(Run);
        return await root.Parse(arguments).InvokeAsync();

        async Task<int> Run(ParseResult parsed, CancellationToken stop)
        {
            LongestPause.Start();
            IItemStore items = parsed.GetValue(store) == "managed"
                ? new ManagedItemStore()
                : new KmemItemStore(new KmemHeap(new KmemHeapOptions { Name = "cache" }), parsed.GetValue(megabytes) << 20);
            using MeterProvider? exported = ExportEvery(parsed.GetValue(metrics));
            WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
            builder.Logging.ClearProviders();
            builder.Services.AddSingleton(items);
            builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
                kestrel.Listen(IPAddress.Loopback, parsed.GetValue(port), listen => listen.UseConnectionHandler<MemcachedConnection>()));
            await using WebApplication application = builder.Build();
            await application.StartAsync(stop);
            Console.WriteLine($"listening on {string.Join(", ", application.Urls)}");
            await application.WaitForShutdownAsync(stop);
            (items as IDisposable)?.Dispose();
            return 0;
        }
    }

    private static MeterProvider? ExportEvery(int seconds) => seconds <= 0 ? null : Sdk.CreateMeterProviderBuilder()
        .AddMeter(KmemMetrics.MeterName)
        .AddConsoleExporter((_, reader) => reader.PeriodicExportingMetricReaderOptions.ExportIntervalMilliseconds = seconds * 1000)
        .Build();
}
