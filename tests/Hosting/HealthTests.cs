using System;
using System.Buffers;
using System.Threading.Tasks;
using Kmem.Extensions;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Xunit;

namespace Kmem.Tests.Hosting;

/// <summary>What the health check says of a heap.</summary>
public sealed class HealthTests
{
    private const long MiB = 1 << 20;

    [Fact]
    public async Task Shares_of_the_limit_decide()
    {
        using IHost host = AddKmemTests.Build(services =>
        {
            services.AddKmem(options => (options.HeapName, options.MaintenanceInterval) = ("full", TimeSpan.Zero));
            services.AddHealthChecks().AddKmem(options => (options.LimitBytes, options.DegradedShare, options.UnhealthyShare) = (200 * MiB, 0.4, 0.8));
        });
        SlabMemoryPool pool = host.Services.GetRequiredService<SlabMemoryPool>();
        Assert.Equal(HealthStatus.Healthy, (await Check(host)).Status);
        using IMemoryOwner<byte> some = pool.Rent((int)(100 * MiB));
        HealthReportEntry degraded = await Check(host);
        Assert.Equal(HealthStatus.Degraded, degraded.Status);
        Assert.Contains("heap 'full'", degraded.Description, StringComparison.Ordinal);
        Assert.Equal(200 * MiB, degraded.Data["limitBytes"]);
        Assert.True((ulong)degraded.Data["committedBytes"] >= 100 * MiB);
        using IMemoryOwner<byte> more = pool.Rent((int)(80 * MiB));
        Assert.Equal(HealthStatus.Unhealthy, (await Check(host)).Status);
    }

    [Fact]
    public async Task The_limit_is_the_heaps_own_or_the_machines()
    {
        using IHost capped = AddKmemTests.Build(services =>
        {
            services.AddKmem(options => (options.HeapName, options.MaxBytes) = ("capped", 64 * MiB));
            services.AddHealthChecks().AddKmem();
        });
        Assert.Equal(64 * MiB, (await Check(capped)).Data["limitBytes"]);
        using IHost shared = AddKmemTests.Build(services => services.AddHealthChecks().AddKmem());
        Assert.Equal(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes, (await Check(shared)).Data["limitBytes"]);
    }

    [Fact]
    public async Task A_refused_mistake_is_degraded_and_damage_is_unhealthy()
    {
        using IHost host = AddKmemTests.Build(services =>
        {
            services.AddKmem(options => (options.HeapName, options.Debug, options.MisusePolicy) = ("reported", "FZPU", KmemMisusePolicy.Quarantine));
            services.AddHealthChecks().AddKmem();
        });
        await host.StartAsync(TestContext.Current.CancellationToken);
        Assert.Equal(HealthStatus.Healthy, (await Check(host)).Status);
        KmemHeap heap = host.Services.GetRequiredService<KmemHeap>();
        IMemoryOwner<byte> owner = host.Services.GetRequiredService<SlabMemoryPool>().Rent(10);
        owner.Dispose();
        Assert.Throws<KmemMisuseException>(owner.Dispose);
        HealthReportEntry degraded = await Check(host);
        Assert.Equal(HealthStatus.Degraded, degraded.Status);
        Assert.Contains("AlreadyFree in Return", degraded.Description, StringComparison.Ordinal);
        AddKmemTests.WriteAfterFree(heap);
        heap.Validate();
        Assert.Equal(HealthStatus.Unhealthy, (await Check(host)).Status);
        await host.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Reports_count_only_where_that_was_asked_for()
    {
        using IHost host = AddKmemTests.Build(services =>
        {
            services.AddKmem(options => options.HeapName = "deaf");
            services.AddHealthChecks().AddKmem(options => options.CountsReports = false);
        });
        _ = await Check(host);
        IMemoryOwner<byte> owner = host.Services.GetRequiredService<SlabMemoryPool>().Rent(10);
        owner.Dispose();
        Assert.Throws<KmemMisuseException>(owner.Dispose);
        HealthReportEntry entry = await Check(host);
        Assert.Equal(HealthStatus.Healthy, entry.Status);
        Assert.Equal(1L, entry.Data["mistakeReports"]);
    }

    [Fact]
    public async Task A_check_that_validates_finds_damage_by_itself()
    {
        using IHost host = AddKmemTests.Build(services =>
        {
            services.AddKmem(options => (options.HeapName, options.Debug) = ("walked", "FZPU"));
            services.AddHealthChecks().AddKmem(options => (options.Validates, options.CountsReports) = (true, false), failureStatus: HealthStatus.Degraded);
        });
        Assert.Equal(HealthStatus.Healthy, (await Check(host)).Status);
        AddKmemTests.WriteAfterFree(host.Services.GetRequiredService<KmemHeap>());
        HealthReportEntry entry = await Check(host);
        Assert.Equal(HealthStatus.Degraded, entry.Status);
        Assert.IsType<KmemMisuseException>(entry.Exception);
    }

    [Fact]
    public void Bad_settings_are_refused_at_once()
    {
        IHealthChecksBuilder builder = new ServiceCollection().AddHealthChecks();
        Assert.Throws<ArgumentOutOfRangeException>(() => builder.AddKmem(options => options.LimitBytes = 0));
        Assert.Throws<ArgumentException>(() => builder.AddKmem(options => options.DegradedShare = 0.95));
        Assert.Throws<ArgumentException>(() => builder.AddKmem(options => options.UnhealthyShare = 1.1));
        Assert.Throws<ArgumentException>(() => builder.AddKmem(options => options.DegradedShare = double.NaN));
    }

    private static async Task<HealthReportEntry> Check(IHost host) =>
        (await host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync(TestContext.Current.CancellationToken)).Entries["kmem"];
}
