using System;
using Microsoft.Extensions.ObjectPool;

namespace Kmem.Extensions;

/// <summary>
/// Object pools that keep what was returned by CPU (<see cref="KmemObjectCache{T}"/>), in place of <see cref="DefaultObjectPoolProvider"/> and with its contract: threads that get and return at the same time do
/// not meet at one place.
/// </summary>
/// <remarks>
/// Pools of a type that is <see cref="IDisposable"/> are so too, and dispose what they do not keep; after their end to get an object throws, and what is returned is disposed. What the others do not
/// keep is left to the garbage collector. The pools are thread-safe; the provider is once it is set up.
/// </remarks>
public sealed class KmemObjectPoolProvider : ObjectPoolProvider
{
    private int _maximumRetained = Environment.ProcessorCount * 2;

    /// <summary>Objects that each pool made from now on keeps at most; 1 at least. Default twice the number of CPUs.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Less than 1.</exception>
    public int MaximumRetained
    {
        get => _maximumRetained;
        set
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            _maximumRetained = value;
        }
    }

    /// <summary>Makes a pool.</summary>
    /// <typeparam name="T">The type of the objects.</typeparam>
    /// <param name="policy">How objects are made and taken back.</param>
    /// <returns>The pool. It is <see cref="IDisposable"/> where <typeparamref name="T"/> is.</returns>
    /// <exception cref="ArgumentNullException">No policy.</exception>
    public override ObjectPool<T> Create<T>(IPooledObjectPolicy<T> policy)
    {
        ArgumentNullException.ThrowIfNull(policy);
        return typeof(IDisposable).IsAssignableFrom(typeof(T)) ? new DisposableKmemObjectPool<T>(policy, MaximumRetained) : new KmemObjectPool<T>(policy, MaximumRetained);
    }
}
