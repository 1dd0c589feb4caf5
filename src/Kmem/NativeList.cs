using System;
using System.Collections;
using System.Collections.Generic;
using System.Runtime.CompilerServices;

namespace Kmem;

/// <summary>A list whose elements are outside of the garbage collector's heap: however long it is, a collection does not look at it.</summary>
/// <typeparam name="T">A type without references.</typeparam>
/// <remarks>
/// Behaves like <see cref="List{T}"/>, and gives references and spans to its elements besides. Those are not used after the list grew, shrank or was disposed. Not thread-safe. A list that is not disposed leaks; it has no
/// finaliser, since a span into it may still be in use.
/// </remarks>
public sealed unsafe class NativeList<T> : IDisposable, IReadOnlyList<T>
    where T : unmanaged
{
    private const int LeastElements = 8;

    private readonly KmemHeap _heap;
    private T* _start;
    private int _capacity;
    private int _count;
    private int _version;
    private bool _isDisposed;

    /// <summary>Makes an empty list.</summary>
    /// <param name="capacity">Elements that there is room for; 0 waits for the first.</param>
    /// <param name="heap">The heap; null takes <see cref="KmemHeap.Shared"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">A negative capacity.</exception>
    /// <exception cref="OutOfMemoryException">Memory is out.</exception>
    /// <exception cref="ObjectDisposedException">The heap was disposed.</exception>
    public NativeList(int capacity = 0, KmemHeap? heap = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(capacity);
        _heap = heap ?? KmemHeap.Shared;
        if (capacity != 0)
        {
            Resize(capacity);
        }
    }

    /// <summary>Elements.</summary>
    public int Count => _count;

    /// <summary>Elements that there is room for.</summary>
    public int Capacity => _capacity;

    /// <summary>Where the elements start; null before there was room for any.</summary>
    /// <safety>Not used after the list grew, shrank or was disposed.</safety>
    public T* Pointer => _start;

    /// <summary>An element itself, not a copy.</summary>
    /// <param name="index">Its place.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such element.</exception>
    /// <exception cref="ObjectDisposedException">The list or its heap was disposed.</exception>
    public ref T this[int index]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get
        {
            if ((uint)index >= (uint)_count || _heap.IsDisposed)
            {
                ThrowNoElement(index);
            }

            return ref _start[index];
        }
    }

    T IReadOnlyList<T>.this[int index] => this[index];

    /// <summary>Appends an element.</summary>
    /// <param name="item">The element.</param>
    /// <exception cref="OutOfMemoryException">Memory is out, or there are 2³¹ − 1 elements.</exception>
    /// <exception cref="ObjectDisposedException">The list or its heap was disposed.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Add(T item)
    {
        if (_count == _capacity || _heap.IsDisposed)
        {
            Grow(1);
        }

        _start[_count++] = item;
        _version++;
    }

    /// <summary>Appends elements.</summary>
    /// <param name="items">The elements; may be of this list.</param>
    /// <exception cref="OutOfMemoryException">As for <see cref="Add"/>.</exception>
    /// <exception cref="ObjectDisposedException">The list or its heap was disposed.</exception>
    public void AddRange(ReadOnlySpan<T> items)
    {
        ThrowIfDisposed();
        if (items.Length > _capacity - _count)
        {
            // They may move with the list.
            fixed (T* from = items)
            {
                long offset = from - _start;
                bool isOwn = from >= _start && from < _start + _count;
                Grow(items.Length);
                items = isOwn ? new ReadOnlySpan<T>(_start + offset, items.Length) : items;
            }
        }

        items.CopyTo(new Span<T>(_start + _count, items.Length));
        _count += items.Length;
        _version++;
    }

    /// <summary>Puts an element before another, or at the end.</summary>
    /// <param name="index">Its place.</param>
    /// <param name="item">The element.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such place.</exception>
    /// <exception cref="OutOfMemoryException">As for <see cref="Add"/>.</exception>
    /// <exception cref="ObjectDisposedException">The list or its heap was disposed.</exception>
    public void Insert(int index, T item)
    {
        ThrowIfDisposed();
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)index, (uint)_count, nameof(index));
        if (_count == _capacity)
        {
            Grow(1);
        }

        new Span<T>(_start + index, _count - index).CopyTo(new Span<T>(_start + index + 1, _count - index));
        _start[index] = item;
        _count++;
        _version++;
    }

    /// <summary>Takes an element out; those behind it move up.</summary>
    /// <param name="index">Its place.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such element.</exception>
    /// <exception cref="ObjectDisposedException">The list or its heap was disposed.</exception>
    public void RemoveAt(int index) => RemoveRange(index, 1);

    /// <summary>Takes elements out.</summary>
    /// <param name="index">Place of the first.</param>
    /// <param name="count">How many.</param>
    /// <exception cref="ArgumentOutOfRangeException">There are no such elements.</exception>
    /// <exception cref="ObjectDisposedException">The list or its heap was disposed.</exception>
    public void RemoveRange(int index, int count)
    {
        ThrowIfDisposed();
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        if (count > _count - index)
        {
            throw new ArgumentOutOfRangeException(nameof(count), count, $"There are {_count} elements; {count} from {index} on are not among them.");
        }

        new Span<T>(_start + index + count, _count - index - count).CopyTo(new Span<T>(_start + index, _count - index - count));
        _count -= count;
        _version++;
    }

    /// <summary>Takes an element out; the last one takes its place. Does not keep the order, and moves one element only.</summary>
    /// <param name="index">Its place.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such element.</exception>
    /// <exception cref="ObjectDisposedException">The list or its heap was disposed.</exception>
    public void RemoveAtSwapBack(int index)
    {
        this[index] = _start[_count - 1];
        _count--;
        _version++;
    }

    /// <summary>Forgets all elements and keeps the memory.</summary>
    /// <exception cref="ObjectDisposedException">The list or its heap was disposed.</exception>
    public void Clear()
    {
        ThrowIfDisposed();
        _count = 0;
        _version++;
    }

    /// <summary>All elements. Not used after the list grew, shrank or was disposed.</summary>
    /// <returns>The elements themselves.</returns>
    /// <exception cref="ObjectDisposedException">The list or its heap was disposed.</exception>
    public Span<T> AsSpan()
    {
        ThrowIfDisposed();
        return new Span<T>(_start, _count);
    }

    /// <summary>Makes room for so many elements in all.</summary>
    /// <param name="capacity">Elements.</param>
    /// <exception cref="ArgumentOutOfRangeException">A negative capacity.</exception>
    /// <exception cref="OutOfMemoryException">Memory is out.</exception>
    /// <exception cref="ObjectDisposedException">The list or its heap was disposed.</exception>
    public void EnsureCapacity(int capacity)
    {
        ThrowIfDisposed();
        ArgumentOutOfRangeException.ThrowIfNegative(capacity);
        if (capacity > _capacity)
        {
            Resize(capacity);
        }
    }

    /// <summary>Gives back what memory the elements do not need.</summary>
    /// <exception cref="ObjectDisposedException">The list or its heap was disposed.</exception>
    public void TrimExcess()
    {
        ThrowIfDisposed();
        if (_count == 0)
        {
            _heap.Free(_start);
            _start = null;
            _capacity = 0;
        }
        else
        {
            Resize(_count);
        }

        _version++;
    }

    /// <summary>Frees the memory. The second time, and when the heap was disposed, it does nothing.</summary>
    public void Dispose()
    {
        if (!_isDisposed)
        {
            _isDisposed = true;
            _heap.FreeOfOwner(_start);
            _start = null;
            _count = _capacity = 0;
            _version++;
        }
    }

    /// <summary>The elements in order, as they are when they are come to.</summary>
    /// <returns>An enumerator that finds changes of the list meanwhile.</returns>
    /// <exception cref="ObjectDisposedException">The list or its heap was disposed.</exception>
    public Enumerator GetEnumerator()
    {
        ThrowIfDisposed();
        return new Enumerator(this);
    }

    IEnumerator<T> IEnumerable<T>.GetEnumerator() => GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private void Grow(int more)
    {
        ThrowIfDisposed();
        long wanted = (long)_count + more;
        long grown = Math.Max(_capacity + ((long)_capacity / 2), LeastElements);
        Resize(wanted <= int.MaxValue ? (int)Math.Min(Math.Max(wanted, grown), int.MaxValue) : throw new OutOfMemoryException($"A {nameof(NativeList<>)} has {int.MaxValue} elements at most."));
    }

    /// <summary>The class of the size may have room for more: that is used too.</summary>
    private void Resize(int capacity)
    {
        nuint bytes = _heap.RoundUpSize(checked((nuint)capacity * (nuint)sizeof(T)));
        _start = (T*)_heap.Realloc(_start, bytes);
        _capacity = (int)Math.Min((ulong)(bytes / (nuint)sizeof(T)), int.MaxValue);
    }

    private void ThrowIfDisposed()
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        _heap.ThrowIfGone(this);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void ThrowNoElement(int index)
    {
        ThrowIfDisposed();
        throw new ArgumentOutOfRangeException(nameof(index), index, $"There are {_count} elements.");
    }

    /// <summary>Goes through the elements of a list.</summary>
    public struct Enumerator : IEnumerator<T>
    {
        private readonly NativeList<T> _list;
        private readonly int _version;
        private int _next;

        internal Enumerator(NativeList<T> list)
        {
            _list = list;
            _version = list._version;
        }

        /// <inheritdoc/>
        public T Current { get; private set; }

        readonly object IEnumerator.Current => Current;

        /// <inheritdoc/>
        /// <exception cref="InvalidOperationException">The list was changed or disposed.</exception>
        /// <exception cref="ObjectDisposedException">Its heap was disposed.</exception>
        public bool MoveNext()
        {
            if (_version != _list._version)
            {
                throw new InvalidOperationException($"The {nameof(NativeList<>)} was changed or disposed while it was gone through.");
            }

            _list._heap.ThrowIfGone(_list);
            bool isThere = _next < _list._count;
            Current = isThere ? _list._start[_next++] : default;
            return isThere;
        }

        /// <inheritdoc/>
        public void Reset() => _next = 0;

        /// <inheritdoc/>
        public readonly void Dispose()
        {
        }
    }
}
