using System;
using Kmem.Tool.Bench.Measuring;

namespace Kmem.Tool.Bench.Workloads;

/// <summary>The sizes of <see cref="ReleaseWorkload"/>: as many as the machine has room for.</summary>
internal static class ReleaseSizes
{
    private const long BytesMax = 1L << 30;
    private const long BytesMin = 64L << 20;

    /// <summary>Room for allocators that need much more than they were asked for, and for the rest of the machine.</summary>
    private const int ShareOfFree = 4;

    /// <summary>One object of so many is larger than the others.</summary>
    private const int LargerEvery = 1024;

    private const int LargerBytesEnd = 32 << 10;

    public static ushort[] Create()
    {
        long bytes = BytesOf(ProcessMemory.AvailableBytes());

        // The first pass counts; the second has the same generator and gives the same sizes.
        int count = 0;
        Random random = Sequences.Generator(index: 0);
        for (long sum = 0; sum < bytes; count++)
        {
            sum += Next(random, count);
        }

        ushort[] sizes = new ushort[count];
        random = Sequences.Generator(index: 0);
        for (int at = 0; at < count; at++)
        {
            sizes[at] = Next(random, at);
        }

        return sizes;
    }

    public static long Sum(ushort[] sizes)
    {
        long sum = 0;
        foreach (ushort size in sizes)
        {
            sum += size;
        }

        return sum;
    }

    /// <summary>Powers of two: what is free varies from process to process, and all should do the same.</summary>
    private static long BytesOf(long available)
    {
        long bytes = BytesMax;
        while (bytes > BytesMin && bytes * ShareOfFree > available)
        {
            bytes /= 2;
        }

        return bytes;
    }

    private static ushort Next(Random random, int at) => at % LargerEvery == LargerEvery - 1
        ? (ushort)random.Next(Sequences.SizeBytesEnd, LargerBytesEnd)
        : (ushort)random.Next(Sequences.SizeBytesMin, Sequences.SizeBytesEnd);
}
