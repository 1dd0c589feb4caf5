using System;
using System.Buffers;
using System.Buffers.Text;
using System.IO.Pipelines;

namespace CacheServer.Protocol;

/// <summary>Small writes to a pipe.</summary>
internal static class Bytes
{
    private const int NumberBytesMax = 20;

    public const int ValueBytesMax = 1 << 20;

    public const int KeyBytesMax = 250;

    public static void Put(this PipeWriter output, ReadOnlySpan<byte> text) => output.Write(text);

    public static void Put(this PipeWriter output, ulong number)
    {
        Span<byte> digits = output.GetSpan(NumberBytesMax);
        _ = Utf8Formatter.TryFormat(number, digits, out int count);
        output.Advance(count);
    }

    /// <summary>Calls back with the bytes as one span, copied if they are not.</summary>
    public static ReadOnlySpan<byte> AsOne(in ReadOnlySequence<byte> bytes, ref byte[]? copy)
    {
        if (bytes.IsSingleSegment)
        {
            return bytes.FirstSpan;
        }

        copy = ArrayPool<byte>.Shared.Rent((int)bytes.Length);
        bytes.CopyTo(copy);
        return copy.AsSpan(0, (int)bytes.Length);
    }

    public static void GiveBack(byte[]? copy)
    {
        if (copy != null)
        {
            ArrayPool<byte>.Shared.Return(copy);
        }
    }

    /// <summary>Seconds as a client gives them: 0 never, up to 30 days from now, else since 1970; negative: over already.</summary>
    public static uint Expiry(long seconds, uint now)
    {
        const long ThirtyDays = 60 * 60 * 24 * 30;
        if (seconds == 0)
        {
            return 0;
        }

        long left = seconds <= ThirtyDays ? seconds : seconds - DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        return left <= 0 ? 1 : (uint)Math.Min(now + left, uint.MaxValue);
    }
}
