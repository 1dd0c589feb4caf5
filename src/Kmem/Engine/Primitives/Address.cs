namespace Kmem.Engine.Primitives;

/// <summary>Arithmetic on addresses and byte counts. Every alignment is a power of two.</summary>
internal static unsafe class Address
{
    public const int PageShift = 12;
    public const nuint PageSizeBytes = 1u << PageShift;

    public static nuint AlignUp(nuint value, nuint alignment)
    {
        Invariant.Holds(IsPowerOfTwo(alignment));
        return (value + alignment - 1) & ~(alignment - 1);
    }

    public static nuint AlignDown(nuint value, nuint alignment)
    {
        Invariant.Holds(IsPowerOfTwo(alignment));
        return value & ~(alignment - 1);
    }

    public static bool IsAligned(void* address, nuint alignment) => ((nuint)address & (alignment - 1)) == 0;

    public static bool IsPowerOfTwo(nuint value) => value != 0 && (value & (value - 1)) == 0;

    /// <summary>Whole pages that hold <paramref name="bytes"/>; zero bytes need no page. Never overflows.</summary>
    public static nuint PagesFor(nuint bytes) => (bytes >> PageShift) + ((bytes & (PageSizeBytes - 1)) != 0 ? 1u : 0u);
}
