using Kmem.Engine.Primitives;

namespace Kmem.Engine.Sized;

internal enum SizeClassSet : byte
{
    /// <summary>Multiples of 16 up to 128, then eight classes per doubling up to 32 KiB: 72 classes.</summary>
    Default = 0,

    /// <summary>Linux: 8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192.</summary>
    Kernel = 1,
}

/// <summary>
/// The sizes that kmalloc rounds up to, and a table from a size to the cache of its class: one byte for each 8 bytes of
/// size, so that the fast path is one load.
/// </summary>
/// <remarks>
/// The default set loses at most a ninth to rounding above 128 bytes; below, the step is the alignment of 16 bytes that
/// every class keeps. In both sets a power of two is aligned to itself, and any other size to its largest power-of-two
/// divisor, up to a page.
/// </remarks>
internal static unsafe class SizeClasses
{
    public const int GranuleShift = 3;
    public const int DefaultCount = LinearCount + (8 * ClassesPerDoubling);

    /// <summary>Of these, classes smaller than a page.</summary>
    public const int DefaultCountBelowPage = LinearCount + (5 * ClassesPerDoubling) - 1;

    public const int KernelCount = 13;
    public const nuint DefaultLargest = 32 * 1024;
    public const nuint KernelLargest = 8 * 1024;

    /// <summary>Bytes of the table: an entry for each multiple of 8 up to the largest class, zero included.</summary>
    public const nuint TableBytes = (DefaultLargest >> GranuleShift) + 1;

    private const int LinearCount = 8;
    private const nuint LinearStep = 16;
    private const int ClassesPerDoubling = 8;

    public static int Count(SizeClassSet set) => set == SizeClassSet.Kernel ? KernelCount : DefaultCount;

    public static nuint Largest(SizeClassSet set) => set == SizeClassSet.Kernel ? KernelLargest : DefaultLargest;

    /// <summary>Size of a class in bytes, the smallest class first.</summary>
    public static nuint SizeOf(SizeClassSet set, int sizeClass)
    {
        Invariant.Holds((uint)sizeClass < (uint)Count(set));
        return set == SizeClassSet.Kernel ? KernelSizeOf(sizeClass) : DefaultSizeOf(sizeClass);
    }

    /// <summary>
    /// Fills the table: entry ceil(size / 8) names the cache, <paramref name="firstCache"/> + class; entry 0 is not used:
    /// a size of zero never comes here.
    /// </summary>
    public static void FillTable(SizeClassSet set, byte* table, int firstCache)
    {
        Invariant.Holds(firstCache + Count(set) <= byte.MaxValue);
        table[0] = 0;
        int sizeClass = 0;
        for (nuint entry = 1; entry <= Largest(set) >> GranuleShift; entry++)
        {
            while (SizeOf(set, sizeClass) < entry << GranuleShift)
            {
                sizeClass++;
            }

            table[entry] = (byte)(firstCache + sizeClass);
        }
    }

    private static nuint DefaultSizeOf(int sizeClass)
    {
        if (sizeClass < LinearCount)
        {
            return (nuint)(sizeClass + 1) * LinearStep;
        }

        int doubling = (sizeClass - LinearCount) / ClassesPerDoubling;
        int step = (sizeClass - LinearCount) % ClassesPerDoubling;
        nuint start = (LinearCount * LinearStep) << doubling;
        return start + ((start / ClassesPerDoubling) * (nuint)(step + 1));
    }

    private static nuint KernelSizeOf(int sizeClass) => sizeClass switch
    {
        < 4 => (nuint)8 << sizeClass,
        4 => 96,
        5 => 128,
        6 => 192,
        _ => (nuint)256 << (sizeClass - 7),
    };
}
