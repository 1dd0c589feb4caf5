using System;
using System.Buffers;
using System.Runtime.CompilerServices;
using System.Threading;

namespace Kmem;

/// <summary>
/// Memory of a heap as <see cref="Memory{T}"/>: for APIs that take that, and for code without pointers. Made by <see cref="KmemHeap.AllocMemory{T}"/>.
/// </summary>
/// <typeparam name="T">A type without references.</typeparam>
/// <remarks>
/// <para>The memory does not move: pinning it costs nothing. A pinned owner that is disposed frees its memory when the last pin ends, so that whatever native code was given stays valid that long.</para>
/// <para>After its end every access through <see cref="MemoryManager{T}.Memory"/> throws <see cref="ObjectDisposedException"/>, which names the heap; disposing twice does nothing. A span that was taken before must not be used after
/// it: that cannot be found, but with the letter P writes to it are. An owner that is not disposed leaks; it has no finaliser, since a span into it may still be in use when nobody has the owner any more.</para>
/// </remarks>
public sealed unsafe class KmemMemory<T> : MemoryManager<T>
    where T : unmanaged
{
    private readonly KmemHeap _heap;
    private readonly T* _start;
    private readonly int _length;

    /// <summary>Pins, and 1 for the owner. Whoever takes the last one frees.</summary>
    private int _holders = 1;
    private int _disposed;

    internal KmemMemory(KmemHeap heap, int length, bool isZeroed, nuint alignmentBytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        _heap = heap;
        _length = length;
        nuint bytes = checked((nuint)length * (nuint)sizeof(T));
        _start = (T*)(alignmentBytes == 0 ? heap.Alloc(bytes) : heap.AllocAligned(bytes, alignmentBytes));
        if (isZeroed)
        {
            heap.ClearFresh(_start, bytes);
        }
    }

    /// <summary>Elements.</summary>
    public int Length => _length;

    /// <inheritdoc/>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    public override Span<T> GetSpan()
    {
        ThrowIfDisposed();
        return new Span<T>(_start, _length);
    }

    /// <summary>Says where the memory is. Nothing has to be pinned: it does not move.</summary>
    /// <param name="elementIndex">An element, or the end.</param>
    /// <returns>A handle; until it is disposed the memory stays, even after the owner's end.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such element.</exception>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    public override MemoryHandle Pin(int elementIndex = 0)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)elementIndex, (uint)_length, nameof(elementIndex));
        int holders;
        do
        {
            holders = Volatile.Read(ref _holders);
            if (holders == 0 || Volatile.Read(ref _disposed) != 0)
            {
                ThrowIfDisposed();
                throw Disposed();
            }
        }
        while (Interlocked.CompareExchange(ref _holders, holders + 1, holders) != holders);

        return new MemoryHandle(_start + elementIndex, default, this);
    }

    /// <summary>The mirror of <see cref="Pin"/>; called by the handle.</summary>
    public override void Unpin() => Release();

    /// <summary>Ends the owner. Its memory is freed now, or when the last pin ends. The second time it does nothing.</summary>
    public void Dispose() => Dispose(disposing: true);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            Release();
        }
    }

    private void Release()
    {
        if (Interlocked.Decrement(ref _holders) == 0)
        {
            _heap.Free(_start);
        }
    }

    private void ThrowIfDisposed()
    {
        if (Volatile.Read(ref _disposed) != 0)
        {
            throw Disposed();
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private ObjectDisposedException Disposed() => new($"{nameof(KmemMemory<>)}<{typeof(T).Name}> of {_length} elements of the heap '{_heap.Name}'");
}
