using System;
using System.Buffers;
using System.Collections.Generic;
using System.Threading;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Options;

namespace Kmem.AspNetCore;

/// <summary>Pools for whoever asks the services for one. Those of one owner share a cache with the owner's name, so that tables say who holds the bytes.</summary>
/// <remarks>Thread-safe. Who creates a pool disposes it; the factory disposes the caches.</remarks>
public sealed class SlabMemoryPoolFactory : IMemoryPoolFactory<byte>, IDisposable
{
    private const string NoOwner = "memory-pool";
    private const int NameCharactersMax = 32;

    private readonly KmemHeap _heap;
    private readonly KmemMemoryPoolOptions _options;
    private readonly Lock _lock = new();
    private readonly Dictionary<string, KmemCache> _caches = new(StringComparer.Ordinal);
    private readonly List<WeakReference<SlabMemoryPool>> _pools = [];
    private readonly SlabMemoryPool _gathering;
    private bool _isDisposed;

    /// <summary>Makes a factory.</summary>
    /// <param name="heap">The heap that the memory comes from.</param>
    /// <param name="options">Settings.</param>
    public SlabMemoryPoolFactory(KmemHeap heap, IOptions<KmemMemoryPoolOptions> options)
    {
        ArgumentNullException.ThrowIfNull(heap);
        ArgumentNullException.ThrowIfNull(options);
        _heap = heap;
        _options = options.Value;
        _gathering = new SlabMemoryPool(new SlabMemoryPoolOptions { Name = "sends", Heap = heap });
    }

    /// <summary>Of any size, for sends that are put together from several blocks.</summary>
    internal SlabMemoryPool Gathering => _gathering;

    /// <summary>Pools that were made and are still in use.</summary>
    public IReadOnlyList<SlabMemoryPool> Pools
    {
        get
        {
            List<SlabMemoryPool> pools = [];
            lock (_lock)
            {
                foreach (WeakReference<SlabMemoryPool> reference in _pools)
                {
                    if (reference.TryGetTarget(out SlabMemoryPool? pool))
                    {
                        pools.Add(pool);
                    }
                }
            }

            return pools;
        }
    }

    /// <inheritdoc/>
    public MemoryPool<byte> Create(MemoryPoolOptions? options = null)
    {
        string name = NameFor(options?.Owner);
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (!_caches.TryGetValue(name, out KmemCache? cache))
            {
                // Blocks of whole pages start at one.
                cache = new KmemCache(name, (nuint)_options.BlockBytes, new KmemCacheOptions { Heap = _heap, AlignmentBytes = 64 });
                _caches.Add(name, cache);
            }

            SlabMemoryPool pool = new(new SlabMemoryPoolOptions { Name = name, Cache = cache, CheckLeases = _options.CheckLeases });
            _pools.RemoveAll(reference => !reference.TryGetTarget(out _));
            _pools.Add(new WeakReference<SlabMemoryPool>(pool));
            return pool;
        }
    }

    /// <summary>Disposes the caches. One with blocks that were not returned stays, and is reported.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            _isDisposed = true;
            _gathering.Dispose();
            foreach (KmemCache cache in _caches.Values)
            {
                try
                {
                    cache.Dispose();
                }
                catch (KmemMisuseException)
                {
                    // Somebody still has a block. It stays valid; the report tells which ones they are.
                }
            }

            _caches.Clear();
        }
    }

    /// <summary>The owner's name in a form that tables take.</summary>
    private static string NameFor(string? owner)
    {
        if (string.IsNullOrWhiteSpace(owner))
        {
            return NoOwner;
        }

        Span<char> name = stackalloc char[Math.Min(owner.Length, NameCharactersMax)];
        for (int index = 0; index < name.Length; index++)
        {
            name[index] = char.IsAsciiLetterOrDigit(owner[index]) || owner[index] is '-' or '.' or '_' ? owner[index] : '-';
        }

        return name.ToString();
    }
}
