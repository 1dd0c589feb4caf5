using System.Runtime.CompilerServices;

namespace Kmem.Tool.Replay;

/// <summary>
/// The number of an object, written at both of its ends while it is allocated. If two live objects overlapped, or an
/// allocator wrote into one, the mark of one of them would be gone when it is freed.
/// </summary>
internal static unsafe class ObjectMark
{
    /// <summary>Of the mark at either end.</summary>
    public const int Bytes = 8;

    // An odd constant (2^64 divided by the golden ratio) spreads the numbers, so that memory that holds a small
    // number by chance, or zero, is no mark.
    private const ulong Spread = 0x9E3779B97F4A7C15;

    /// <summary>Marks an object of <paramref name="sizeBytes"/>. Objects of less than 16 bytes are marked at the start only.</summary>
    public static void Write(void* pointer, int sizeBytes, int number)
    {
        ulong mark = MarkOf(number);
        byte* start = (byte*)pointer;
        if (sizeBytes >= 8)
        {
            Unsafe.WriteUnaligned(start, mark);
            if (sizeBytes >= 16)
            {
                Unsafe.WriteUnaligned(start + sizeBytes - 8, mark);
            }
        }
        else
        {
            for (int index = 0; index < sizeBytes; index++)
            {
                start[index] = (byte)(mark >> (8 * index));
            }
        }
    }

    /// <summary>Whether the object still has its mark.</summary>
    public static bool IsIntact(void* pointer, int sizeBytes, int number)
    {
        ulong mark = MarkOf(number);
        byte* start = (byte*)pointer;
        if (sizeBytes >= 8)
        {
            return Unsafe.ReadUnaligned<ulong>(start) == mark
                && (sizeBytes < 16 || Unsafe.ReadUnaligned<ulong>(start + sizeBytes - 8) == mark);
        }

        for (int index = 0; index < sizeBytes; index++)
        {
            if (start[index] != (byte)(mark >> (8 * index)))
            {
                return false;
            }
        }

        return true;
    }

    private static ulong MarkOf(int number) => ((ulong)(uint)number + 1) * Spread;
}
