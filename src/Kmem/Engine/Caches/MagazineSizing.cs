namespace Kmem.Engine.Caches;

/// <summary>
/// How many rounds a magazine has. Sizes of magazine memory are 128, 256, 512, 1024 and 2048 bytes, so 13, 29, 61, 125 and
/// 253 rounds; caches of large objects use fewer rounds of the smallest. Magazines of different capacities mix freely.
/// </summary>
/// <remarks>
/// A cache starts with about 4 KiB of objects in a magazine, grows a step when its slow rungs are visited often, up to 32 KiB,
/// and shrinks a step in each maintenance that finds it hardly visited. Source of the idea: Bonwick and Adams 2001,
/// §3.4, which only grows, on lock contention alone.
/// </remarks>
internal static class MagazineSizing
{
    public const int SizeClasses = 5;
    public const int CapacityMax = 253;

    private const uint StartBytes = 4 * 1024;
    private const uint BytesMax = 32 * 1024;
    private const int CapacityLeast = 2;

    /// <summary>Visits of depot or slab since the last step that ask for a larger magazine.</summary>
    public const int VisitsToGrow = 32;

    /// <summary>Visits in one maintenance interval below which magazines shrink.</summary>
    public const int VisitsToKeep = 4;

    /// <summary>Bytes of magazine memory of a size class.</summary>
    public static nuint BytesOf(int sizeClass) => (nuint)128 << sizeClass;

    /// <summary>The smallest size class that holds so many rounds.</summary>
    public static int SizeClassFor(int capacity)
    {
        int sizeClass = 0;
        while (RoundsOf(sizeClass) < capacity)
        {
            sizeClass++;
        }

        return sizeClass;
    }

    /// <summary>The capacity to start with, for objects of a stride.</summary>
    public static int StartFor(uint strideBytes) => Nearest((int)(StartBytes / strideBytes));

    /// <summary>The largest capacity for objects of a stride.</summary>
    public static int LargestFor(uint strideBytes) => Nearest((int)(BytesMax / strideBytes));

    /// <summary>The capacity of the steps nearest below, at least 2: 2, 4, 8, 13, 29, 61, 125, 253.</summary>
    public static int Nearest(int capacity)
    {
        int step = CapacityLeast;
        while (Larger(step) <= capacity && step != CapacityMax)
        {
            step = Larger(step);
        }

        return step;
    }

    public static int Larger(int capacity) => capacity switch
    {
        < 8 => capacity * 2,
        8 => 13,
        >= CapacityMax => CapacityMax,
        _ => (capacity * 2) + 3,
    };

    public static int Smaller(int capacity) => capacity switch
    {
        <= CapacityLeast => CapacityLeast,
        <= 8 => capacity / 2,
        13 => 8,
        _ => (capacity - 3) / 2,
    };

    private static int RoundsOf(int sizeClass) => (int)((BytesOf(sizeClass) - Magazine.HeaderBytes) / 8) - 1;
}
