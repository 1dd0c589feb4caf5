using System.Numerics;

namespace Kmem.Engine.Primitives;

/// <summary>
/// Bit counting: the only place where the engine names <c>BitOperations</c>, which both faces compile to one
/// instruction.
/// </summary>
internal static class Bits
{
    public static int TrailingZeros(ulong value) => BitOperations.TrailingZeroCount(value);

    public static int PopCount(ulong value) => BitOperations.PopCount(value);

    /// <summary>Floor of the binary logarithm; <paramref name="value"/> is not zero.</summary>
    public static int Log2(nuint value)
    {
        Invariant.Holds(value != 0);
        return BitOperations.Log2(value);
    }

    /// <summary>Ceiling of the binary logarithm; <paramref name="value"/> is not zero.</summary>
    public static int Log2Ceiling(nuint value)
    {
        Invariant.Holds(value != 0);
        return value == 1 ? 0 : BitOperations.Log2(value - 1) + 1;
    }

    /// <summary>A mask of the lowest <paramref name="count"/> bits, 0..64.</summary>
    public static ulong LowMask(int count) => count >= 64 ? ~0ul : (1ul << count) - 1;
}
