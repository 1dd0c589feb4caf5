using System;
using Microsoft.Extensions.ObjectPool;

namespace Kmem.Extensions;

/// <summary>An object pool on a <see cref="KmemObjectCache{T}"/>. It has nothing to end: what it keeps cannot be disposed.</summary>
internal class KmemObjectPool<T> : ObjectPool<T>
    where T : class
{
    public KmemObjectPool(IPooledObjectPolicy<T> policy, int maximumRetained)
        : this(new PolicyAdapter(policy), maximumRetained)
    {
    }

    protected KmemObjectPool(IKmemObjectPolicy<T> policy, int maximumRetained) => Cache = new KmemObjectCache<T>(policy, maximumRetained);

    protected KmemObjectCache<T> Cache { get; }

    /// <inheritdoc/>
    public override T Get() => Cache.Get();

    /// <inheritdoc/>
    public override void Return(T obj) => Cache.Return(obj);

    /// <summary>One policy as the other. An object that is disposable, though its type does not say so, is left alone, as by other providers.</summary>
    private sealed class PolicyAdapter(IPooledObjectPolicy<T> policy) : IKmemObjectPolicy<T>
    {
        public T Create() => policy.Create();

        public bool Return(T item) => policy.Return(item);

        public void Drop(T item)
        {
        }
    }
}

/// <summary>A pool whose objects can be disposed, and so can it.</summary>
internal sealed class DisposableKmemObjectPool<T>(IPooledObjectPolicy<T> policy, int maximumRetained) : KmemObjectPool<T>(new DisposingAdapter(policy), maximumRetained), IDisposable
    where T : class
{
    public void Dispose() => Cache.Dispose();

    private sealed class DisposingAdapter(IPooledObjectPolicy<T> policy) : IKmemObjectPolicy<T>
    {
        public T Create() => policy.Create();

        public bool Return(T item) => policy.Return(item);
    }
}
