using System;
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Kmem.Extensions;

/// <summary>
/// Reports in the log. A report comes in the middle of an allocation, where a logger that allocates from the same heap would do harm: here it only joins a queue, and another thread
/// writes it down.
/// </summary>
internal sealed class KmemReportService : IHostedService, IDisposable
{
    private const int QueueLength = 256;

    private readonly KmemHeap _heap;
    private readonly KmemOptions _options;
    private readonly ILogger _logger;
    private readonly Channel<KmemReport> _queue;
    private long _lost;
    private Task _writing = Task.CompletedTask;

    public KmemReportService(KmemHeap heap, KmemReportCounter counter, IOptions<KmemOptions> options, ILogger<KmemReportService> logger)
    {
        // It counts from the start of the host on.
        ArgumentNullException.ThrowIfNull(counter);
        _heap = heap;
        _options = options.Value;
        _logger = logger;
        _queue = Channel.CreateBounded<KmemReport>(new BoundedChannelOptions(QueueLength) { FullMode = BoundedChannelFullMode.Wait, SingleReader = true });
    }

    public Task StartAsync(CancellationToken cancellationToken)
    {
        KmemLog.Started(_logger, _heap.Name, _heap.FrontEnd, KmemReaper.IntervalOf(_options));
        if (_options.LogReports)
        {
            KmemReports.Reported += Queue;
            _writing = Task.Run(WriteAsync, CancellationToken.None);
        }

        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken)
    {
        Dispose();
        return _writing.WaitAsync(cancellationToken);
    }

    public void Dispose()
    {
        KmemReports.Reported -= Queue;
        _queue.Writer.TryComplete();
    }

    private void Queue(KmemReport report)
    {
        if (!_queue.Writer.TryWrite(report))
        {
            Interlocked.Increment(ref _lost);
        }
    }

    private async Task WriteAsync()
    {
        await foreach (KmemReport report in _queue.Reader.ReadAllAsync().ConfigureAwait(false))
        {
            KmemLog.Report(
                _logger,
                KmemReportCounter.IsDamage(report.Misuse) ? LogLevel.Error : LogLevel.Warning,
                report.Misuse,
                report.Operation,
                report.HeapName,
                report.CacheName,
                report.Address,
                report.RequestedBytes,
                report.Text);
            long lost = Interlocked.Exchange(ref _lost, 0);
            if (lost != 0)
            {
                KmemLog.ReportsLost(_logger, lost);
            }
        }
    }
}
