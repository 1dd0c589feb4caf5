using System;
using Kmem.Extensions;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.ObjectPool;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Object pools of Kmem among the services of a host.</summary>
public static class KmemObjectPoolServiceCollectionExtensions
{
    /// <summary>
    /// Whoever asks the services for an <see cref="ObjectPoolProvider"/> gets pools on <see cref="Kmem.KmemObjectCache{T}"/>, in place of whatever was added before. May be called several times: later settings
    /// come on top.
    /// </summary>
    /// <param name="services">The services.</param>
    /// <param name="configure">Settings; null takes the defaults.</param>
    /// <returns>The services.</returns>
    /// <exception cref="OptionsValidationException">Thrown when the host starts: an option is out of range, and the message names it.</exception>
    public static IServiceCollection AddKmemObjectPools(this IServiceCollection services, Action<KmemObjectPoolOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        OptionsBuilder<KmemObjectPoolOptions> options = services.AddOptions<KmemObjectPoolOptions>().ValidateOnStart();
        if (configure != null)
        {
            options.Configure(configure);
        }

        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<KmemObjectPoolOptions>, KmemObjectPoolOptionsValidator>());
        services.TryAddSingleton(static provider => new KmemObjectPoolProvider { MaximumRetained = provider.GetRequiredService<IOptions<KmemObjectPoolOptions>>().Value.MaximumRetained });
        services.RemoveAll<ObjectPoolProvider>();
        services.AddSingleton<ObjectPoolProvider>(static provider => provider.GetRequiredService<KmemObjectPoolProvider>());
        return services;
    }

    private sealed class KmemObjectPoolOptionsValidator : IValidateOptions<KmemObjectPoolOptions>
    {
        public ValidateOptionsResult Validate(string? name, KmemObjectPoolOptions options) => options.MaximumRetained >= 1
            ? ValidateOptionsResult.Success
            : ValidateOptionsResult.Fail($"{nameof(KmemObjectPoolOptions.MaximumRetained)} of the object pools is at least 1, not {options.MaximumRetained}.");
    }
}
