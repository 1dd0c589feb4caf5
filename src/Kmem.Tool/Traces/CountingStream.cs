using System;
using System.IO;

namespace Kmem.Tool.Traces;

/// <summary>
/// A forward-only stream over a file or a pipe whose first bytes were already read to see what it is. It counts what is
/// taken, for a progress bar, and remembers the last four bytes, where gzip keeps the length of the text.
/// </summary>
internal sealed class CountingStream : Stream
{
    private readonly byte[] _prefix;
    private readonly Stream _rest;
    private int _prefixUsed;

    // Written by the reading thread, read by the one that draws the progress bar.
    private long _bytesRead;

    public CountingStream(byte[] prefix, Stream rest)
    {
        _prefix = prefix;
        _rest = rest;
    }

    /// <summary>Bytes taken so far.</summary>
    public long BytesRead => System.Threading.Volatile.Read(ref _bytesRead);

    /// <summary>The last four bytes taken, as a little-endian number.</summary>
    public uint LastFourBytes { get; private set; }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(Span<byte> buffer)
    {
        int read = Math.Min(buffer.Length, _prefix.Length - _prefixUsed);
        if (read > 0)
        {
            _prefix.AsSpan(_prefixUsed, read).CopyTo(buffer);
            _prefixUsed += read;
        }
        else
        {
            read = _rest.Read(buffer);
        }

        foreach (byte value in buffer[Math.Max(0, read - 4)..read])
        {
            LastFourBytes = (LastFourBytes >> 8) | ((uint)value << 24);
        }

        System.Threading.Volatile.Write(ref _bytesRead, _bytesRead + read);
        return read;
    }

    /// <summary>Reads what is left.</summary>
    public void Drain()
    {
        byte[] ignored = new byte[4096];
        while (Read(ignored) > 0)
        {
        }
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _rest.Dispose();
        }

        base.Dispose(disposing);
    }
}
