using System;
using Xunit;

namespace Kmem.Tests.Model;

/// <summary>
/// What a block with an id holds: a stretch of one random stream, which starts where the id says. The bytes depend on the position too, so
/// that a block copied to the wrong offset is seen.
/// </summary>
internal static unsafe class Pattern
{
    private const int ChunkBytes = 1 << 15;
    private static readonly byte[] s_stream = MakeStream();

    public static void Fill(void* start, nuint sizeBytes, int id)
    {
        for (nuint at = 0; at < sizeBytes; at += ChunkBytes)
        {
            Chunk(id, sizeBytes - at).CopyTo(new Span<byte>((byte*)start + at, ChunkBytes));
        }
    }

    public static void Check(void* start, nuint sizeBytes, int id)
    {
        for (nuint at = 0; at < sizeBytes; at += ChunkBytes)
        {
            ReadOnlySpan<byte> expected = Chunk(id, sizeBytes - at);
            ReadOnlySpan<byte> actual = new((byte*)start + at, expected.Length);
            int same = expected.CommonPrefixLength(actual);
            Assert.True(same == expected.Length, $"Block {id}: byte {at + (nuint)same} of {sizeBytes} was changed.");
        }
    }

    private static ReadOnlySpan<byte> Chunk(int id, nuint left) =>
        new(s_stream, (int)((uint)id * 2654435761u % ChunkBytes), (int)(left < ChunkBytes ? left : ChunkBytes));

    private static byte[] MakeStream()
    {
        byte[] stream = new byte[2 * ChunkBytes];
        ulong state = 88172645463325252;
        for (int at = 0; at < stream.Length; at++)
        {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            stream[at] = (byte)(state >> 24);
        }

        return stream;
    }
}
