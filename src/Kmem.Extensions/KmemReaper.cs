using System;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Kmem.Extensions;

/// <summary>Maintenance of the host's heap while the host runs, by the host's clock. The heap's own timer is off meanwhile.</summary>
internal sealed class KmemReaper(KmemHeap heap, IOptions<KmemOptions> options, TimeProvider time, ILogger<KmemReaper> logger) : BackgroundService
{
    private static readonly TimeSpan s_defaultInterval = TimeSpan.FromSeconds(1);

    private int _timerBefore;

    /// <summary>Passes done. Tests wait for it.</summary>
    internal long Passes => Volatile.Read(ref _passes);

    private long _passes;

    public static TimeSpan IntervalOf(KmemOptions options) => options.MaintenanceInterval ?? s_defaultInterval;

    public override Task StartAsync(CancellationToken cancellationToken)
    {
        _timerBefore = heap.MaintenanceIntervalMilliseconds;
        heap.MaintenanceIntervalMilliseconds = 0;
        return base.StartAsync(cancellationToken);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken).ConfigureAwait(false);

        // Where the timer was off already, another host may have taken over.
        if (_timerBefore != 0)
        {
            heap.MaintenanceIntervalMilliseconds = _timerBefore;
            _timerBefore = 0;
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        TimeSpan interval = IntervalOf(options.Value);
        if (interval == TimeSpan.Zero)
        {
            return;
        }

        using PeriodicTimer timer = new(interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken).ConfigureAwait(false))
            {
                Maintain();
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }

    private void Maintain()
    {
        try
        {
            heap.Maintain();
        }
        catch (KmemMisuseException exception)
        {
            // Found on the way; the pass was done. Whoever listens to reports has it in full.
            KmemLog.FoundInMaintenance(logger, heap.Name, exception.Misuse, exception);
        }

        Interlocked.Increment(ref _passes);
    }
}
