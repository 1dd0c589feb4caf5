using System;
using System.Collections.Generic;
using Kmem;
using Kmem.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Kmem among the health checks.</summary>
public static class KmemHealthChecksBuilderExtensions
{
    /// <summary>
    /// Adds a check of the host's heap: degraded and unhealthy at shares of a byte limit, and when damage or mistakes were reported. Adds Kmem's services, too, where <c>AddKmem</c> was not called.
    /// </summary>
    /// <param name="builder">The health checks.</param>
    /// <param name="configure">Settings; null takes the defaults.</param>
    /// <param name="name">Name of the check.</param>
    /// <param name="failureStatus">What is reported in place of unhealthy; null: <see cref="HealthStatus.Unhealthy"/>.</param>
    /// <param name="tags">Tags of the check.</param>
    /// <returns>The health checks.</returns>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    public static IHealthChecksBuilder AddKmem(
        this IHealthChecksBuilder builder,
        Action<KmemHealthCheckOptions>? configure = null,
        string name = "kmem",
        HealthStatus? failureStatus = null,
        IEnumerable<string>? tags = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        KmemHealthCheckOptions options = new();
        configure?.Invoke(options);
        if (options.LimitBytes <= 0)
        {
            throw new ArgumentOutOfRangeException(nameof(configure), options.LimitBytes, $"{nameof(KmemHealthCheckOptions.LimitBytes)} is more than 0.");
        }

        if (!(options.DegradedShare is >= 0 and <= 1 && options.UnhealthyShare <= 1 && options.DegradedShare <= options.UnhealthyShare))
        {
            throw new ArgumentException(
                $"{nameof(KmemHealthCheckOptions.DegradedShare)} ({options.DegradedShare}) and {nameof(KmemHealthCheckOptions.UnhealthyShare)} ({options.UnhealthyShare}) are 0 to 1, the first no more than the second.",
                nameof(configure));
        }

        builder.Services.AddKmem();
        return builder.Add(new HealthCheckRegistration(
            name,
            provider => new KmemHealthCheck(
                provider.GetRequiredService<KmemHeap>(),
                provider.GetRequiredService<KmemReportCounter>(),
                options,
                provider.GetRequiredService<IOptions<KmemOptions>>().Value.MaxBytes),
            failureStatus,
            tags));
    }
}
