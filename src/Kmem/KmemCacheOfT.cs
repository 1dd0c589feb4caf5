using System;
using System.Runtime.CompilerServices;

namespace Kmem;

/// <summary>A cache of values of one type: a <see cref="KmemCache"/> whose objects are <typeparamref name="T"/>.</summary>
/// <typeparam name="T">A type without references.</typeparam>
/// <remarks>See <see cref="KmemCache"/> for lifetime, threads and errors.</remarks>
public sealed unsafe class KmemCache<T> : IDisposable
    where T : unmanaged
{
    private readonly KmemCache _cache;

    /// <summary>Makes a cache for <typeparamref name="T"/>.</summary>
    /// <param name="name">Name in reports; null takes the type's name.</param>
    /// <param name="options">Settings; null takes the defaults.</param>
    /// <exception cref="ArgumentException">The name or a setting is out of range, or the type is larger than 4 MiB.</exception>
    /// <exception cref="OutOfMemoryException">No memory, or the heap has 8192 caches already.</exception>
    public KmemCache(string? name = null, KmemCacheOptions? options = null) =>
        _cache = new KmemCache(name ?? typeof(T).Name, (nuint)sizeof(T), options);

    internal KmemCache(KmemCache cache) => _cache = cache;

    /// <summary>The cache itself.</summary>
    public KmemCache Untyped => _cache;

    /// <summary>Name of the cache.</summary>
    public string Name => _cache.Name;

    /// <inheritdoc cref="KmemCache.Alloc"/>
    /// <safety>As for <see cref="KmemCache.Alloc"/>.</safety>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T* Alloc() => (T*)_cache.Alloc();

    /// <inheritdoc cref="KmemCache.TryAlloc"/>
    /// <safety>As for <see cref="KmemCache.Alloc"/>.</safety>
    public T* TryAlloc() => (T*)_cache.TryAlloc();

    /// <inheritdoc cref="KmemCache.AllocZeroed"/>
    /// <safety>As for <see cref="KmemCache.Alloc"/>.</safety>
    public T* AllocZeroed() => (T*)_cache.AllocZeroed();

    /// <inheritdoc cref="KmemCache.Free"/>
    /// <safety>As for <see cref="KmemCache.Free"/>.</safety>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Free(T* pointer) => _cache.Free(pointer);

    /// <summary>An object with an owner that frees it: no pointer, no <c>unsafe</c>.</summary>
    /// <returns>The owner.</returns>
    /// <exception cref="OutOfMemoryException">Memory is out.</exception>
    public KmemOwned<T> Rent() => new(_cache.Heap, _cache, Alloc());

    /// <inheritdoc cref="KmemCache.AllocBulk"/>
    public bool AllocBulk(Span<nint> objects) => _cache.AllocBulk(objects);

    /// <inheritdoc cref="KmemCache.FreeBulk"/>
    public void FreeBulk(ReadOnlySpan<nint> objects) => _cache.FreeBulk(objects);

    /// <inheritdoc cref="KmemCache.Shrink"/>
    public int Shrink() => _cache.Shrink();

    /// <inheritdoc cref="KmemCache.Validate"/>
    public void Validate() => _cache.Validate();

    /// <inheritdoc cref="KmemCache.GetStatistics"/>
    public KmemCacheStatistics GetStatistics() => _cache.GetStatistics();

    /// <inheritdoc cref="KmemCache.Dispose"/>
    public void Dispose() => _cache.Dispose();
}
