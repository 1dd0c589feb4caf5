using System;
using System.Threading;

namespace Kmem;

/// <summary>How objects of a <see cref="KmemObjectCache{T}"/> are made and taken back.</summary>
/// <typeparam name="T">The type of the objects.</typeparam>
public interface IKmemObjectPolicy<T>
    where T : class
{
    /// <summary>Makes an object.</summary>
    /// <returns>The object.</returns>
    public T Create();

    /// <summary>Brings an object back into the state in which it can be handed out again.</summary>
    /// <param name="item">The object.</param>
    /// <returns>Whether it can; else it is dropped.</returns>
    public bool Return(T item);

    /// <summary>Called for an object that is not kept: one that was refused, is too many, or was kept when the cache ends. By itself it disposes what can be disposed.</summary>
    /// <param name="item">The object.</param>
    public void Drop(T item) => (item as IDisposable)?.Dispose();
}

/// <summary>
/// Managed objects that are used again: the slab allocator's magazines for objects of the garbage collector. The contract is that of
/// Microsoft.Extensions.ObjectPool: <see cref="Get"/> never fails for want of an object, and what is returned beyond the bound, or refused by the policy, is dropped.
/// </summary>
/// <typeparam name="T">The type of the objects.</typeparam>
/// <remarks>
/// <para>Thread-safe. Each CPU has a slot for one object, which an exchange takes or fills, and a stack behind it; a CPU whose stack is empty looks into the others. Whoever returns an object twice gives it to two others: that is not found.</para>
/// <para>Objects that implement <see cref="IDisposable"/> are disposed when they are dropped and when the cache is, unless the policy's <see cref="IKmemObjectPolicy{T}.Drop"/> does something else. An
/// object that is returned after the cache's end is dropped too, without a question to the policy; to get one then throws.</para>
/// </remarks>
public sealed class KmemObjectCache<T> : IDisposable
    where T : class
{
    private readonly IKmemObjectPolicy<T> _policy;
    private readonly Shard[] _shards;
    private bool _isDisposed;

    /// <summary>Makes a cache.</summary>
    /// <param name="policy">How objects are made and taken back.</param>
    /// <param name="maximumRetained">Objects that are kept at most; 0 takes twice the number of CPUs, at least 16.</param>
    /// <exception cref="ArgumentNullException">No policy.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A negative bound.</exception>
    public KmemObjectCache(IKmemObjectPolicy<T> policy, int maximumRetained = 0)
    {
        ArgumentNullException.ThrowIfNull(policy);
        ArgumentOutOfRangeException.ThrowIfNegative(maximumRetained);
        _policy = policy;
        MaximumRetained = maximumRetained == 0 ? Math.Max(16, Environment.ProcessorCount * 2) : maximumRetained;
        int shards = Math.Min(Environment.ProcessorCount, MaximumRetained);
        _shards = new Shard[shards];
        for (int index = 0; index < shards; index++)
        {
            // The bound is one for all: what does not divide goes to the first.
            int share = (MaximumRetained / shards) + (index < MaximumRetained % shards ? 1 : 0);
            _shards[index] = new Shard(share - 1);
        }
    }

    /// <summary>Objects that are kept at most.</summary>
    public int MaximumRetained { get; }

    /// <summary>An object that was returned, or a new one.</summary>
    /// <returns>The object; the caller has it alone.</returns>
    /// <exception cref="ObjectDisposedException">The cache was disposed.</exception>
    public T Get()
    {
        T? item = Interlocked.Exchange(ref Own().First, null);
        return item ?? GetSlow();
    }

    /// <summary>Gives an object back. The caller does not use it any more.</summary>
    /// <param name="item">The object.</param>
    /// <exception cref="ArgumentNullException">No object.</exception>
    public void Return(T item)
    {
        ArgumentNullException.ThrowIfNull(item);
        if (Volatile.Read(ref _isDisposed) || !_policy.Return(item))
        {
            Drop(item);
            return;
        }

        if (Interlocked.CompareExchange(ref Own().First, item, null) != null && !TryKeep(item))
        {
            Drop(item);
        }
        else if (Volatile.Read(ref _isDisposed))
        {
            // The cache ended meanwhile, and did not see it perhaps.
            DropAll();
        }
    }

    /// <summary>Ends the cache and disposes what it keeps. The second time it does nothing.</summary>
    public void Dispose()
    {
        Volatile.Write(ref _isDisposed, true);
        DropAll();
    }

    private void Drop(T item) => _policy.Drop(item);

    private Shard Own() => _shards[(uint)Thread.GetCurrentProcessorId() % (uint)_shards.Length];

    private T GetSlow()
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _isDisposed), this);
        uint first = (uint)Thread.GetCurrentProcessorId();
        for (uint offset = 0; offset < _shards.Length; offset++)
        {
            Shard shard = _shards[(first + offset) % (uint)_shards.Length];
            T? item = shard.TryPop() ?? (shard.First == null ? null : Interlocked.Exchange(ref shard.First, null));
            if (item != null)
            {
                return item;
            }
        }

        return _policy.Create();
    }

    private bool TryKeep(T item)
    {
        uint first = (uint)Thread.GetCurrentProcessorId();
        for (uint offset = 0; offset < _shards.Length; offset++)
        {
            Shard shard = _shards[(first + offset) % (uint)_shards.Length];
            if (shard.TryPush(item) || (shard.First == null && Interlocked.CompareExchange(ref shard.First, item, null) == null))
            {
                return true;
            }
        }

        return false;
    }

    private void DropAll()
    {
        foreach (Shard shard in _shards)
        {
            for (T? item = Interlocked.Exchange(ref shard.First, null) ?? shard.TryPop(); item != null; item = shard.TryPop())
            {
                Drop(item);
            }
        }
    }

    /// <summary>What one CPU keeps. The fields around the slot keep those of others off its cache line.</summary>
    private sealed class Shard(int room)
    {
#pragma warning disable CA1823, CS0169, IDE0051 // Padding.
        private readonly long _before0, _before1, _before2, _before3, _before4, _before5, _before6;
#pragma warning restore CA1823, CS0169, IDE0051

        public T? First;

        private readonly Lock _lock = new();
        private readonly T?[] _items = new T?[room];
        private int _count;

        public T? TryPop()
        {
            if (Volatile.Read(ref _count) == 0)
            {
                return null;
            }

            lock (_lock)
            {
                if (_count == 0)
                {
                    return null;
                }

                T? item = _items[--_count];
                _items[_count] = null;
                return item;
            }
        }

        public bool TryPush(T item)
        {
            if (Volatile.Read(ref _count) == _items.Length)
            {
                return false;
            }

            lock (_lock)
            {
                if (_count == _items.Length)
                {
                    return false;
                }

                _items[_count++] = item;
                return true;
            }
        }
    }
}
