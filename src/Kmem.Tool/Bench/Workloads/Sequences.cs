using System;

namespace Kmem.Tool.Bench.Workloads;

/// <summary>Random sequences from fixed seeds: the same in every process.</summary>
internal static class Sequences
{
    public const int SizeBytesMin = 16;
    public const int SizeBytesEnd = 1016;

    private const int Seed = 20_230_917;

    /// <summary>A generator for the run of an index.</summary>
    public static Random Generator(int index) => new(Seed + index);

    /// <summary>Sizes of 16 to 1015 bytes.</summary>
    public static ushort[] Sizes(int count, int index)
    {
        Random random = Generator(index);
        ushort[] sizes = new ushort[count];
        for (int at = 0; at < count; at++)
        {
            sizes[at] = (ushort)random.Next(SizeBytesMin, SizeBytesEnd);
        }

        return sizes;
    }

    /// <summary>The numbers from 0 to below <paramref name="count"/> in random order.</summary>
    public static int[] Shuffled(int count, int index)
    {
        int[] order = new int[count];
        for (int at = 0; at < count; at++)
        {
            order[at] = at;
        }

        Generator(index).Shuffle(order);
        return order;
    }
}
