using System;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Threading;

namespace Kmem;

/// <summary>
/// Owner of one value outside of the garbage collector's heap: disposing it frees the value. Made by <see cref="KmemCache{T}.Rent"/> and by <see cref="KmemHeap.AllocOwned{T}"/>.
/// </summary>
/// <typeparam name="T">A type without references.</typeparam>
/// <remarks>
/// <para>An owner is a small managed object, so that use after its end is found: then <see cref="Value"/> and <see cref="Pointer"/> throw <see cref="ObjectDisposedException"/>, also when its heap was disposed. References that
/// <see cref="Value"/> gave before must not be used after it. Disposing twice does nothing, and an owner that is not disposed leaks its value: it has no finaliser.</para>
/// <para>Not thread-safe but for <see cref="Dispose"/>: only one of two threads frees.</para>
/// </remarks>
public sealed unsafe class KmemOwned<T> : IDisposable
    where T : unmanaged
{
    private readonly KmemHeap _heap;

    /// <summary>Null for a value that the heap's size classes hold.</summary>
    private readonly KmemCache? _cache;
    private nint _value;

    internal KmemOwned(KmemHeap heap, KmemCache? cache, T* value)
    {
        _heap = heap;
        _cache = cache;
        _value = (nint)value;
    }

    /// <summary>The value itself, not a copy. Not initialised unless it was asked for zeroed, or the cache constructs or clears its objects.</summary>
    /// <exception cref="ObjectDisposedException">The owner or its heap was disposed.</exception>
    public ref T Value => ref *Pointer;

    /// <summary>Where the value is. Does not move.</summary>
    /// <exception cref="ObjectDisposedException">The owner or its heap was disposed.</exception>
    /// <safety>The pointer is not used after the owner was disposed.</safety>
    public T* Pointer
    {
        get
        {
            nint value = _value;
            if (value == 0 || _heap.IsDisposed)
            {
                ThrowEnded(value);
            }

            return (T*)value;
        }
    }

    /// <summary>Whether it was disposed.</summary>
    public bool IsDisposed => _value == 0;

    /// <summary>Frees the value. The second time, and when the heap was disposed, it does nothing.</summary>
    /// <exception cref="KmemMisuseException">The value was damaged, or freed by its pointer.</exception>
    public void Dispose()
    {
        nint value = Interlocked.Exchange(ref _value, 0);
        if (value == 0 || _heap.IsDisposed)
        {
            return;
        }

        if (_cache != null)
        {
            _cache.Free((T*)value);
        }
        else
        {
            _heap.Free((T*)value);
        }
    }

    /// <summary>Type and place, for messages.</summary>
    /// <returns>One line.</returns>
    public override string ToString() => $"{nameof(KmemOwned<>)}<{typeof(T).Name}> of the {(_cache != null ? $"cache '{_cache.Name}'" : $"heap '{_heap.Name}'")}";

    [DoesNotReturn]
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void ThrowEnded(nint value)
    {
        if (value != 0)
        {
            _heap.ThrowGone(ToString());
        }

        throw new ObjectDisposedException(ToString());
    }
}
