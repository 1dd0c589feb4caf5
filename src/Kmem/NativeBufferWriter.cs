using System;
using System.Buffers;
using System.Threading;

namespace Kmem;

/// <summary>
/// Bytes written one after the other into memory outside of the garbage collector's heap: an <see cref="IBufferWriter{T}"/> for serialisers, formatters and encoders. Writing allocates no managed memory.
/// </summary>
/// <remarks>
/// What was written lies in one piece, which grows by half when it is full and may move then: spans that were taken before a write are not used after it. Not thread-safe. A writer that is not disposed leaks its memory; it has no
/// finaliser, since a span into it may still be in use.
/// </remarks>
public sealed unsafe class NativeBufferWriter : IBufferWriter<byte>, IDisposable
{
    private const int LeastBytes = 256;

    private readonly KmemHeap _heap;
    private byte* _start;
    private int _capacity;
    private int _written;
    private bool _isDisposed;
    private WindowManager? _window;

    private WindowManager Window => _window ??= new WindowManager(this);

    /// <summary>Makes a writer.</summary>
    /// <param name="initialCapacityBytes">Bytes to begin with; 0 waits for the first write.</param>
    /// <param name="heap">The heap; null takes <see cref="KmemHeap.Shared"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">A negative capacity.</exception>
    /// <exception cref="OutOfMemoryException">Memory is out.</exception>
    /// <exception cref="ObjectDisposedException">The heap was disposed.</exception>
    public NativeBufferWriter(int initialCapacityBytes = 0, KmemHeap? heap = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(initialCapacityBytes);
        _heap = heap ?? KmemHeap.Shared;
        if (initialCapacityBytes != 0)
        {
            Resize(initialCapacityBytes);
        }
    }

    /// <summary>What was written. Valid until the next write.</summary>
    /// <exception cref="ObjectDisposedException">The writer or its heap was disposed.</exception>
    public ReadOnlySpan<byte> WrittenSpan
    {
        get
        {
            ThrowIfDisposed();
            return new ReadOnlySpan<byte>(_start, _written);
        }
    }

    /// <summary>The same as memory: a window on where the bytes are, also after later writes.</summary>
    /// <exception cref="ObjectDisposedException">The writer or its heap was disposed.</exception>
    public ReadOnlyMemory<byte> WrittenMemory
    {
        get
        {
            ThrowIfDisposed();
            return Window.Slice(0, _written);
        }
    }

    /// <summary>Bytes that were written.</summary>
    public int WrittenCount => _written;

    /// <summary>Bytes that fit before it grows.</summary>
    public int Capacity => _capacity;

    /// <summary>Where what was written starts; null before the first write.</summary>
    /// <safety>Not used after a write, a clear or the writer's end.</safety>
    public byte* Pointer => _start;

    /// <summary>So many bytes after <see cref="GetSpan"/> are written.</summary>
    /// <param name="count">Bytes.</param>
    /// <exception cref="ArgumentOutOfRangeException">Negative, or more than there is room for.</exception>
    /// <exception cref="ObjectDisposedException">The writer or its heap was disposed.</exception>
    public void Advance(int count)
    {
        ThrowIfDisposed();
        if ((uint)count > (uint)(_capacity - _written))
        {
            throw new ArgumentOutOfRangeException(nameof(count), count, $"The writer has room for {_capacity - _written} bytes.");
        }

        _written += count;
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentOutOfRangeException">Negative.</exception>
    /// <exception cref="OutOfMemoryException">Memory is out, or more than 2 GiB would be written.</exception>
    /// <exception cref="ObjectDisposedException">The writer or its heap was disposed.</exception>
    public Span<byte> GetSpan(int sizeHint = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(sizeHint);
        EnsureRoom(sizeHint);
        return new Span<byte>(_start + _written, _capacity - _written);
    }

    /// <inheritdoc/>
    /// <remarks>It stays valid when the writer grows: it is a window on where the bytes are then. While a window is pinned the writer cannot grow.</remarks>
    /// <exception cref="ArgumentOutOfRangeException">Negative.</exception>
    /// <exception cref="OutOfMemoryException">As for <see cref="GetSpan"/>.</exception>
    /// <exception cref="ObjectDisposedException">The writer or its heap was disposed.</exception>
    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(sizeHint);
        EnsureRoom(sizeHint);
        return Window.Slice(_written, _capacity - _written);
    }

    /// <summary>Appends bytes.</summary>
    /// <param name="bytes">Bytes; may be of this writer.</param>
    /// <exception cref="OutOfMemoryException">As for <see cref="GetSpan"/>.</exception>
    /// <exception cref="ObjectDisposedException">The writer or its heap was disposed.</exception>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        ThrowIfDisposed();
        if (bytes.Length > _capacity - _written)
        {
            // They may move with the writer.
            fixed (byte* from = bytes)
            {
                nint offset = (nint)(from - _start);
                bool isOwn = from >= _start && from < _start + _capacity;
                EnsureRoom(bytes.Length);
                bytes = isOwn ? new ReadOnlySpan<byte>(_start + offset, bytes.Length) : bytes;
            }
        }

        bytes.CopyTo(new Span<byte>(_start + _written, _capacity - _written));
        _written += bytes.Length;
    }

    /// <summary>Forgets what was written and keeps the memory.</summary>
    /// <exception cref="ObjectDisposedException">The writer or its heap was disposed.</exception>
    public void Clear()
    {
        ThrowIfDisposed();
        _written = 0;
    }

    /// <summary>Frees the memory. The second time, and when the heap was disposed, it does nothing.</summary>
    /// <exception cref="InvalidOperationException">A window is pinned.</exception>
    public void Dispose()
    {
        if (!_isDisposed)
        {
            ThrowIfPinned();
            _isDisposed = true;
            _heap.FreeOfOwner(_start);
            _start = null;
            _capacity = _written = 0;
        }
    }

    private void EnsureRoom(int bytes)
    {
        ThrowIfDisposed();
        bytes = bytes == 0 ? 1 : bytes;
        if (bytes > _capacity - _written)
        {
            long wanted = (long)_written + bytes;
            long grown = Math.Max(_capacity + ((long)_capacity / 2), LeastBytes);
            long most = Math.Min(Math.Max(wanted, grown), int.MaxValue);
            Resize(wanted <= int.MaxValue ? (int)most : throw new OutOfMemoryException($"A {nameof(NativeBufferWriter)} holds 2 GiB at most."));
        }
    }

    private void Resize(int capacity)
    {
        ThrowIfPinned();

        // What the class of the size has more than was asked for is used too.
        nuint rounded = _heap.RoundUpSize((nuint)capacity);
        capacity = rounded <= int.MaxValue ? (int)rounded : capacity;
        _start = (byte*)_heap.Realloc(_start, (nuint)capacity);
        _capacity = capacity;
    }

    private void ThrowIfDisposed()
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        _heap.ThrowIfGone(this);
    }

    private void ThrowIfPinned()
    {
        if (_window?.IsPinned == true)
        {
            throw new InvalidOperationException($"A {nameof(NativeBufferWriter)} whose memory is pinned can neither grow nor be disposed.");
        }
    }

    /// <summary>All of the writer's memory, wherever it is.</summary>
    private sealed class WindowManager(NativeBufferWriter writer) : MemoryManager<byte>
    {
        private int _pins;

        public bool IsPinned => Volatile.Read(ref _pins) != 0;

        public Memory<byte> Slice(int start, int length) => CreateMemory(start, length);

        public override Span<byte> GetSpan()
        {
            writer.ThrowIfDisposed();
            return new Span<byte>(writer._start, writer._capacity);
        }

        public override MemoryHandle Pin(int elementIndex = 0)
        {
            writer.ThrowIfDisposed();
            ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)elementIndex, (uint)writer._capacity, nameof(elementIndex));
            _ = Interlocked.Increment(ref _pins);
            return new MemoryHandle(writer._start + elementIndex, default, this);
        }

        public override void Unpin()
        {
            int pins;
            do
            {
                pins = Volatile.Read(ref _pins);
                if (pins == 0)
                {
                    throw new InvalidOperationException($"The memory of a {nameof(NativeBufferWriter)} is not pinned: a handle was disposed twice.");
                }
            }
            while (Interlocked.CompareExchange(ref _pins, pins - 1, pins) != pins);
        }

        /// <summary>The writer owns the memory.</summary>
        protected override void Dispose(bool disposing)
        {
        }
    }
}
