using System;
using System.Buffers;
using System.Collections.Generic;
using System.Linq;
using System.Threading.Tasks;
using Kmem.Extensions;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Xunit;

namespace Kmem.Tests.Hosting;

/// <summary>Real hosts, started and stopped.</summary>
public sealed class AddKmemTests
{
    [Fact]
    public async Task Without_settings_it_is_the_shared_heap_which_outlives_the_host()
    {
        using (IHost host = Build(services => services.AddKmem()))
        {
            await host.StartAsync(TestContext.Current.CancellationToken);
            Assert.Same(KmemHeap.Shared, host.Services.GetRequiredService<KmemHeap>());
            SlabMemoryPool pool = host.Services.GetRequiredService<SlabMemoryPool>();
            using (IMemoryOwner<byte> owner = pool.Rent(10_000))
            {
                Assert.True(owner.Memory.Length >= 10_000);
            }

            Assert.Same(KmemHeap.Shared, pool.Heap);
            await host.StopAsync(TestContext.Current.CancellationToken);
        }

        using IMemoryOwner<byte> after = SlabMemoryPool.Shared.Rent();
        Assert.Equal(1000, KmemHeap.Shared.MaintenanceIntervalMilliseconds);
    }

    [Fact]
    public async Task Configuration_makes_a_heap_of_the_hosts_own_which_ends_with_it()
    {
        IConfiguration configuration = Configuration(
            ("Kmem:HeapName", "orders"),
            ("Kmem:MaxBytes", "67108864"),
            ("Kmem:PurgeDelay", "00:00:05"),
            ("Kmem:MaintenanceInterval", "00:00:02"),
            ("Kmem:Debug", "FZPU,kmalloc-64"),
            ("Kmem:GuardInterval", "00:00:00.5"),
            ("Kmem:ProfileIntervalBytes", "524288"),
            ("Kmem:MisusePolicy", "Quarantine"));
        KmemHeap heap;
        using (IHost host = Build(services => services.AddKmem(configuration.GetSection("Kmem"))))
        {
            await host.StartAsync(TestContext.Current.CancellationToken);
            heap = host.Services.GetRequiredService<KmemHeap>();
            Assert.Equal("orders", heap.Name);
            Assert.Equal(KmemChecks.All, heap.GetChecks("kmalloc-64"));
            Assert.Equal(KmemChecks.None, heap.GetChecks("kmalloc-128"));
            Assert.Equal(500, heap.GuardIntervalMilliseconds);
            Assert.Equal((nuint)524288, heap.ProfileIntervalBytes);
            SlabMemoryPool pool = host.Services.GetRequiredService<SlabMemoryPool>();
            Assert.Throws<OutOfMemoryException>(() => pool.Rent(100 << 20));
            Assert.Equal(TimeSpan.FromSeconds(2), host.Services.GetRequiredService<IOptions<KmemOptions>>().Value.MaintenanceInterval);
            await host.StopAsync(TestContext.Current.CancellationToken);
        }

        Assert.Throws<ObjectDisposedException>(() => heap.GetStatistics());
    }

    [Theory]
    [InlineData("HeapName", " ", "HeapName has 1 to 64 characters")]
    [InlineData("MaxBytes", "1000", "MaxBytes is at least 16777216")]
    [InlineData("PurgeDelay", "-00:00:01", "PurgeDelay is 0 to a day")]
    [InlineData("PurgeDelay", "2.00:00:00", "PurgeDelay is 0 to a day")]
    [InlineData("MaintenanceInterval", "00:00:00.05", "MaintenanceInterval is 0, or 100 ms to a day")]
    [InlineData("GuardInterval", "1.00:00:01", "GuardInterval is 0, or 1 ms to a day")]
    [InlineData("ProfileIntervalBytes", "-1", "ProfileIntervalBytes is 0 to 1099511627776")]
    [InlineData("Debug", "FX,kmalloc-64", "'X' in 'FX,kmalloc-64'")]
    [InlineData("MisusePolicy", "99", "MisusePolicy is one of Throw, FailFast, Quarantine, Repair")]
    public async Task A_bad_option_stops_the_start_with_its_name(string option, string value, string message)
    {
        IConfiguration configuration = Configuration(("HeapName", "own"), (option, value));
        using IHost host = Build(services => services.AddKmem(configuration));
        OptionsValidationException thrown = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync(TestContext.Current.CancellationToken));
        Assert.Contains(message, thrown.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("MaxBytes", "67108864")]
    [InlineData("PurgeDelay", "00:00:05")]
    [InlineData("MisusePolicy", "FailFast")]
    [InlineData("ReportLeaksAtDispose", "true")]
    public async Task What_only_a_new_heap_can_have_is_refused_for_the_shared_one(string option, string value)
    {
        IConfiguration configuration = Configuration((option, value));
        using IHost host = Build(services => services.AddKmem(configuration));
        OptionsValidationException thrown = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync(TestContext.Current.CancellationToken));
        Assert.Contains($"{option} is for a heap of the host's own: set HeapName, too", thrown.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_letter_that_a_heap_takes_is_taken()
    {
        using IHost host = Build(services => services.AddKmem(options =>
        {
            options.HeapName = "letters";
            options.Debug = "fzpuTAG,one*;-,two;F";
        }));
        await host.StartAsync(TestContext.Current.CancellationToken);
        Assert.Equal(KmemChecks.Consistency, host.Services.GetRequiredService<KmemHeap>().GetChecks("kmalloc-64"));
        await host.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Later_settings_come_on_top_and_nothing_is_added_twice()
    {
        using IHost host = Build(services =>
        {
            services.AddKmem(options => options.HeapName = "first");
            services.AddKmem(options => options.HeapName = "second");
            services.AddHealthChecks().AddKmem();
        });
        Assert.Equal("second", host.Services.GetRequiredService<KmemHeap>().Name);
        Assert.Equal(2, host.Services.GetServices<IHostedService>().Count(service => service.GetType().Assembly == typeof(KmemOptions).Assembly));
        await host.StartAsync(TestContext.Current.CancellationToken);
        await host.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task The_reaper_takes_the_place_of_the_heaps_timer_and_goes_by_the_hosts_clock()
    {
        ManualTime time = new();
        using IHost host = Build(services =>
        {
            services.AddSingleton<TimeProvider>(time);
            services.AddKmem(options =>
            {
                options.HeapName = "reaped";
                options.PurgeDelay = TimeSpan.Zero;
                options.MaintenanceInterval = TimeSpan.FromSeconds(10);
            });
        });
        KmemHeap heap = host.Services.GetRequiredService<KmemHeap>();
        Assert.Equal(10_000, heap.MaintenanceIntervalMilliseconds);
        await host.StartAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, heap.MaintenanceIntervalMilliseconds);
        await Wait.Until(() => time.TimerCount == 1, "the reaper's timer");

        SlabMemoryPool pool = host.Services.GetRequiredService<SlabMemoryPool>();
        foreach (IMemoryOwner<byte> owner in Enumerable.Range(0, 64).Select(_ => pool.Rent(1 << 20)).ToList())
        {
            owner.Memory.Span.Fill(1);
            owner.Dispose();
        }

        ulong before = heap.GetStatistics().CommittedBytes;
        Assert.True(before > 64 << 20);
        await Wait.Until(
            () =>
            {
                time.Advance(TimeSpan.FromSeconds(10));
                return heap.GetStatistics().CommittedBytes < before / 4;
            },
            "a pass that gives pages back");

        await host.StopAsync(TestContext.Current.CancellationToken);
        Assert.Equal(10_000, heap.MaintenanceIntervalMilliseconds);
        Assert.Equal(0, time.TimerCount);
    }

    [Fact]
    public async Task Without_an_interval_nobody_maintains()
    {
        ManualTime time = new();
        using IHost host = Build(services =>
        {
            services.AddSingleton<TimeProvider>(time);
            services.AddKmem(options => (options.HeapName, options.MaintenanceInterval) = ("still", TimeSpan.Zero));
        });
        await host.StartAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, time.TimerCount);
        await host.StopAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, host.Services.GetRequiredService<KmemHeap>().MaintenanceIntervalMilliseconds);
    }

    [Fact]
    public async Task Of_two_hosts_with_one_heap_the_last_leaves_it_its_timer()
    {
        using IHost first = Build(services => services.AddKmem());
        using IHost second = Build(services => services.AddKmem());
        await first.StartAsync(TestContext.Current.CancellationToken);
        await second.StartAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, KmemHeap.Shared.MaintenanceIntervalMilliseconds);
        await first.StopAsync(TestContext.Current.CancellationToken);
        await second.StopAsync(TestContext.Current.CancellationToken);
        Assert.Equal(1000, KmemHeap.Shared.MaintenanceIntervalMilliseconds);
    }

    [Fact]
    public async Task Reports_are_in_the_log_with_their_fields()
    {
        using KeptLog log = new();
        using IHost host = Build(services => services.AddKmem(options => (options.HeapName, options.Debug) = ("logged", "FZPU")), log);
        await host.StartAsync(TestContext.Current.CancellationToken);
        KmemHeap heap = host.Services.GetRequiredService<KmemHeap>();
        WriteAfterFree(heap);
        Assert.Throws<KmemMisuseException>(heap.Validate);
        IMemoryOwner<byte> owner = host.Services.GetRequiredService<SlabMemoryPool>().Rent(100);
        owner.Dispose();
        Assert.Throws<KmemMisuseException>(owner.Dispose);
        await host.StopAsync(TestContext.Current.CancellationToken);

        List<LogLine> reports = [.. log.Lines.Where(line => line.Event.Name == "Report")];
        Assert.Equal(2, reports.Count);
        Assert.Equal(LogLevel.Error, reports[0].Level);
        Assert.Equal(KmemMisuse.WrittenAfterFree, reports[0].Fields["Misuse"]);
        Assert.Equal("logged", reports[0].Fields["HeapName"]);
        Assert.Equal("kmalloc-112", ((string)reports[0].Fields["CacheName"]!).Split('(')[0]);
        Assert.NotEqual(0ul, reports[0].Fields["Address"]);
        Assert.Equal(LogLevel.Warning, reports[1].Level);
        Assert.Equal("Return", reports[1].Fields["Operation"]);
        Assert.Contains("returned twice", reports[1].Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Reports_stay_out_of_the_log_where_that_was_asked_for()
    {
        using KeptLog log = new();
        using IHost host = Build(services => services.AddKmem(options => (options.HeapName, options.LogReports) = ("quiet", false)), log);
        await host.StartAsync(TestContext.Current.CancellationToken);
        IMemoryOwner<byte> owner = host.Services.GetRequiredService<SlabMemoryPool>().Rent(100);
        owner.Dispose();
        Assert.Throws<KmemMisuseException>(owner.Dispose);
        await host.StopAsync(TestContext.Current.CancellationToken);
        Assert.DoesNotContain(log.Lines, line => line.Event.Name == "Report");
    }

    internal static unsafe void WriteAfterFree(KmemHeap heap)
    {
        byte* memory = (byte*)heap.Alloc(100);
        heap.Free(memory);
        memory[5] = 1;
    }

    internal static IHost Build(Action<IServiceCollection> add, KeptLog? log = null)
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        if (log != null)
        {
            builder.Logging.AddProvider(log);
        }

        add(builder.Services);
        return builder.Build();
    }

    private static IConfiguration Configuration(params (string Name, string Value)[] settings) =>
        new ConfigurationBuilder().AddInMemoryCollection(settings.Reverse().DistinctBy(set => set.Name).Select(set => KeyValuePair.Create(set.Name, (string?)set.Value))).Build();
}
