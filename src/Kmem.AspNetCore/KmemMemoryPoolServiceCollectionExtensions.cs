using System;
using Kmem;
using Kmem.AspNetCore;
using Kmem.AspNetCore.Transport;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Memory pools of Kmem for Kestrel.</summary>
public static class KmemMemoryPoolServiceCollectionExtensions
{
    private const int BlockBytesMin = 512;
    private const int BlockBytesMax = 1 << 20;

    /// <summary>
    /// Kestrel's buffers, and those of all others who ask for an <see cref="IMemoryPoolFactory{T}"/> of bytes, come from Kmem: from the <see cref="KmemHeap"/> among the services, else
    /// from <see cref="KmemHeap.Shared"/>. To be called after Kestrel was added, as is the case wherever there is a <c>WebApplicationBuilder</c>; when called before, connections use Kmem all the
    /// same, and who asks for a factory gets Kestrel's.
    /// </summary>
    /// <param name="services">The services.</param>
    /// <param name="configure">Settings; null takes the defaults.</param>
    /// <returns>The services.</returns>
    /// <exception cref="OptionsValidationException">Thrown when the host starts: an option is out of range, and the message names it.</exception>
    public static IServiceCollection AddKmemMemoryPool(this IServiceCollection services, Action<KmemMemoryPoolOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        OptionsBuilder<KmemMemoryPoolOptions> options = services.AddOptions<KmemMemoryPoolOptions>().ValidateOnStart();
        options.Validate(
            static set => set.BlockBytes is >= BlockBytesMin and <= BlockBytesMax,
            $"{nameof(KmemMemoryPoolOptions.BlockBytes)} of the memory pools is {BlockBytesMin} to {BlockBytesMax}.");
        if (configure != null)
        {
            options.Configure(configure);
        }

        services.TryAddSingleton(static provider => new SlabMemoryPoolFactory(
            provider.GetService<KmemHeap>() ?? KmemHeap.Shared, provider.GetRequiredService<IOptions<KmemMemoryPoolOptions>>()));
        services.RemoveAll<IMemoryPoolFactory<byte>>();
        services.AddSingleton<IMemoryPoolFactory<byte>>(static provider => provider.GetRequiredService<SlabMemoryPoolFactory>());

        // Kestrel asks the one that was added last first. It adds its own only where there is none yet.
        services.RemoveAll<IConnectionListenerFactory>();
        services.AddSingleton<IConnectionListenerFactory>(static provider => provider.GetRequiredService<IOptions<KmemMemoryPoolOptions>>().Value.UseTransport
            ? new SlabTransportFactory(
                provider.GetRequiredService<SlabMemoryPoolFactory>(),
                provider.GetRequiredService<SlabMemoryPoolFactory>().Gathering,
                provider.GetRequiredService<IOptions<SocketTransportOptions>>(),
                provider.GetRequiredService<ILoggerFactory>())
            : ActivatorUtilities.CreateInstance<SocketTransportFactory>(provider));
        return services;
    }
}
