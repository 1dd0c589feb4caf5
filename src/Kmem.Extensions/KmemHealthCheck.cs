using System;
using System.Collections.Generic;
using System.Globalization;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Kmem.Extensions;

/// <summary>Tells how full the heap is, and whether anything was found.</summary>
internal sealed class KmemHealthCheck(KmemHeap heap, KmemReportCounter counter, KmemHealthCheckOptions options, long? maxBytes) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) => Task.FromResult(Check(context.Registration.FailureStatus));

    private HealthCheckResult Check(HealthStatus worst)
    {
        KmemStatistics statistics = heap.GetStatistics();
        long limit = options.LimitBytes ?? maxBytes ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        double share = limit <= 0 ? 0 : (double)statistics.CommittedBytes / limit;
        Dictionary<string, object> data = new()
        {
            ["heap"] = heap.Name,
            ["committedBytes"] = statistics.CommittedBytes,
            ["inUseBytes"] = statistics.RequestedBytes + statistics.SizeClassBytes + statistics.RoundingBytes,
            ["limitBytes"] = limit,
            ["damageReports"] = counter.Damages,
            ["mistakeReports"] = counter.Mistakes,
            ["leakReports"] = counter.Leaks,
        };
        HealthStatus status = HealthStatus.Healthy;
        List<string> texts = [string.Create(CultureInfo.InvariantCulture, $"heap '{heap.Name}': {statistics.CommittedBytes:N0} bytes committed, {share:P0} of {limit:N0}")];
        if (share >= options.UnhealthyShare)
        {
            status = worst;
        }
        else if (share >= options.DegradedShare)
        {
            status = HealthStatus.Degraded;
        }

        Exception? found = null;
        if (options.CountsReports && counter.Last is KmemReport last)
        {
            status = Worse(status, counter.Damages != 0 ? worst : HealthStatus.Degraded);
            texts.Add(string.Create(CultureInfo.InvariantCulture, $"{counter.Damages} reports of damage and {counter.Mistakes} of other mistakes, the last: {last.Misuse} in {last.Operation} of the heap '{last.HeapName}'"));
        }

        if (options.Validates)
        {
            try
            {
                heap.Validate();
            }
            catch (InvalidOperationException exception)
            {
                found = exception;
                status = worst;
                texts.Add(exception.Message);
            }
        }

        return new HealthCheckResult(status, string.Join("; ", texts), found, data);
    }

    /// <summary>The lower value is the worse state.</summary>
    private static HealthStatus Worse(HealthStatus one, HealthStatus other) => one < other ? one : other;
}
