using System;
using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Threading;

namespace Kmem;

/// <summary>
/// Memory of a heap as <see cref="Memory{T}"/>: for APIs that take that, and for code without pointers. Made by <see cref="KmemHeap.AllocMemory{T}"/>.
/// </summary>
/// <typeparam name="T">A type without references.</typeparam>
/// <remarks>
/// <para>The memory does not move: pinning it costs nothing. A pinned owner that is disposed frees its memory when the last pin ends, so that whatever native code was given stays valid that long.</para>
/// <para>After its end, and after that of its heap, every access through <see cref="MemoryManager{T}.Memory"/> throws <see cref="ObjectDisposedException"/>, which names the heap; disposing twice does nothing. A span that was taken
/// before must not be used after it: that cannot be found, but with the letter P writes to it are. An owner that is not disposed leaks; it has no finaliser, since a span into it may still be in use when nobody has the owner any more.</para>
/// </remarks>
public sealed unsafe class KmemMemory<T> : MemoryManager<T>
    where T : unmanaged
{
    private const int Ended = 1;
    private const int OnePin = 2;

    private readonly KmemHeap _heap;
    private readonly T* _start;
    private readonly int _length;

    /// <summary>Twice the number of pins, and <see cref="Ended"/> once the owner was disposed. Whoever brings it to <see cref="Ended"/> alone frees.</summary>
    private int _state;

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
    /// <exception cref="ObjectDisposedException">It or its heap was disposed.</exception>
    public override Span<T> GetSpan()
    {
        if ((Volatile.Read(ref _state) & Ended) != 0 || _heap.IsDisposed)
        {
            ThrowEnded();
        }

        return new Span<T>(_start, _length);
    }

    /// <summary>Says where the memory is. Nothing has to be pinned: it does not move.</summary>
    /// <param name="elementIndex">An element, or the end.</param>
    /// <returns>A handle; until it is disposed the memory stays, even after the owner's end, but not after the heap's.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such element.</exception>
    /// <exception cref="ObjectDisposedException">It or its heap was disposed.</exception>
    public override MemoryHandle Pin(int elementIndex = 0)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)elementIndex, (uint)_length, nameof(elementIndex));
        int state;
        do
        {
            state = Volatile.Read(ref _state);
            if ((state & Ended) != 0 || _heap.IsDisposed)
            {
                ThrowEnded();
            }
        }
        while (Interlocked.CompareExchange(ref _state, state + OnePin, state) != state);

        return new MemoryHandle(_start + elementIndex, default, this);
    }

    /// <summary>The mirror of <see cref="Pin"/>; called by the handle.</summary>
    /// <exception cref="InvalidOperationException">There is no pin: a copy of a handle was disposed too.</exception>
    public override void Unpin()
    {
        int state;
        do
        {
            state = Volatile.Read(ref _state);
            if (state < OnePin)
            {
                throw new InvalidOperationException($"{this} is not pinned: a handle was disposed twice.");
            }
        }
        while (Interlocked.CompareExchange(ref _state, state - OnePin, state) != state);

        if (state - OnePin == Ended)
        {
            _heap.FreeOfOwner(_start);
        }
    }

    /// <summary>Ends the owner. Its memory is freed now, or when the last pin ends, or went with its heap. The second time it does nothing.</summary>
    public void Dispose() => Dispose(disposing: true);

    /// <summary>Type, length and place, for messages.</summary>
    /// <returns>One line.</returns>
    public override string ToString() => $"{nameof(KmemMemory<>)}<{typeof(T).Name}> of {_length} elements of the heap '{_heap.Name}'";

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (Interlocked.Or(ref _state, Ended) == 0)
        {
            _heap.FreeOfOwner(_start);
        }
    }

    [DoesNotReturn]
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void ThrowEnded()
    {
        if ((Volatile.Read(ref _state) & Ended) == 0)
        {
            _heap.ThrowGone(ToString());
        }

        throw new ObjectDisposedException(ToString());
    }
}
