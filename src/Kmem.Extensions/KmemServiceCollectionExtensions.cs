using System;
using Kmem;
using Kmem.Extensions;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Kmem among the services of a host.</summary>
public static class KmemServiceCollectionExtensions
{
    /// <summary>
    /// Adds <see cref="KmemHeap"/> (the shared one, unless <see cref="KmemOptions.HeapName"/> is set), a <see cref="SlabMemoryPool"/> of any size on it, maintenance while the host runs, and
    /// reports in the log. May be called several times: later settings come on top.
    /// </summary>
    /// <param name="services">The services.</param>
    /// <param name="configure">Settings; null takes the defaults.</param>
    /// <returns>The services.</returns>
    /// <exception cref="OptionsValidationException">Thrown when the host starts: an option is out of range, and the message names it.</exception>
    public static IServiceCollection AddKmem(this IServiceCollection services, Action<KmemOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        OptionsBuilder<KmemOptions> options = services.AddOptions<KmemOptions>().ValidateOnStart();
        if (configure != null)
        {
            options.Configure(configure);
        }

        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<KmemOptions>, KmemOptionsValidator>());
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton(provider => KmemHeapFactory.Create(provider.GetRequiredService<IOptions<KmemOptions>>().Value));
        services.TryAddSingleton(provider => new SlabMemoryPool(new SlabMemoryPoolOptions { Name = "host", Heap = provider.GetRequiredService<KmemHeap>() }));
        services.TryAddSingleton<KmemReportCounter>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, KmemReportService>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, KmemReaper>());
        return services;
    }

    /// <summary>The same with settings from configuration.</summary>
    /// <param name="services">The services.</param>
    /// <param name="section">A section with the names of <see cref="KmemOptions"/>, such as <c>Kmem</c>.</param>
    /// <returns>The services.</returns>
    /// <exception cref="OptionsValidationException">Thrown when the host starts: an option is out of range, and the message names it.</exception>
    public static IServiceCollection AddKmem(this IServiceCollection services, IConfiguration section)
    {
        ArgumentNullException.ThrowIfNull(section);
        services.AddKmem();
        services.AddOptions<KmemOptions>().Bind(section);
        return services;
    }
}
