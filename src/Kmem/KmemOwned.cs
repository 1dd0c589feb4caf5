using System;
using System.Threading;

namespace Kmem;

/// <summary>Owner of one value outside of the garbage collector's heap: disposing it frees the value.</summary>
/// <typeparam name="T">A type without references.</typeparam>
/// <remarks>
/// <para>An owner is a small managed object, so that use after its end is found: then every member but <see cref="Dispose"/> throws <see cref="ObjectDisposedException"/>. References that <see cref="Value"/> gave
/// before must not be used after it. Disposing twice does nothing, and an owner that is not disposed leaks its value: it has no finaliser.</para>
/// <para>Not thread-safe but for <see cref="Dispose"/>: only one of two threads frees.</para>
/// </remarks>
public sealed unsafe class KmemOwned<T> : IDisposable
    where T : unmanaged
{
    private readonly KmemCache<T> _cache;
    private nint _value;

    internal KmemOwned(KmemCache<T> cache, T* value)
    {
        _cache = cache;
        _value = (nint)value;
    }

    /// <summary>The value itself, not a copy. Not initialised unless the cache constructs or clears its objects.</summary>
    /// <exception cref="ObjectDisposedException">The owner was disposed.</exception>
    public ref T Value => ref *Pointer;

    /// <summary>Where the value is. Does not move.</summary>
    /// <exception cref="ObjectDisposedException">The owner was disposed.</exception>
    /// <safety>The pointer is not used after the owner was disposed.</safety>
    public T* Pointer
    {
        get
        {
            nint value = _value;
            return value != 0 ? (T*)value : throw new ObjectDisposedException($"{nameof(KmemOwned<>)}<{typeof(T).Name}> of the cache '{_cache.Name}'");
        }
    }

    /// <summary>Whether it was disposed.</summary>
    public bool IsDisposed => _value == 0;

    /// <summary>Frees the value. The second time it does nothing.</summary>
    /// <exception cref="KmemMisuseException">The value was damaged, or freed by its pointer.</exception>
    public void Dispose()
    {
        nint value = Interlocked.Exchange(ref _value, 0);
        if (value != 0)
        {
            _cache.Free((T*)value);
        }
    }
}
