using System.Runtime.CompilerServices;

namespace System
{
    public static class Math
    {
        public static int Min(int left, int right) => left <= right ? left : right;

        public static uint Min(uint left, uint right) => left <= right ? left : right;

        public static long Min(long left, long right) => left <= right ? left : right;

        public static ulong Min(ulong left, ulong right) => left <= right ? left : right;

        public static nuint Min(nuint left, nuint right) => left <= right ? left : right;

        public static int Max(int left, int right) => left >= right ? left : right;

        public static uint Max(uint left, uint right) => left >= right ? left : right;

        public static long Max(long left, long right) => left >= right ? left : right;

        public static ulong Max(ulong left, ulong right) => left >= right ? left : right;

        public static nuint Max(nuint left, nuint right) => left >= right ? left : right;

        /// <summary>Product of 128 bits: the high half is returned. By halves of 32 bits, so that no product overflows.</summary>
        public static ulong BigMul(ulong a, ulong b, out ulong low)
        {
            ulong aLow = (uint)a;
            ulong aHigh = a >> 32;
            ulong bLow = (uint)b;
            ulong bHigh = b >> 32;

            ulong lowProduct = aLow * bLow;
            ulong middle = (aHigh * bLow) + (lowProduct >> 32);
            ulong middleLow = (aLow * bHigh) + (uint)middle;

            low = (middleLow << 32) | (uint)lowProduct;
            return (aHigh * bHigh) + (middle >> 32) + (middleLow >> 32);
        }
    }
}

namespace System.Numerics
{
    /// <summary>
    /// One instruction each where the target has it: the compiler to machine code knows these by name. The bodies are
    /// for targets that do not.
    /// </summary>
    public static class BitOperations
    {
        [Intrinsic]
        public static int TrailingZeroCount(int value) => TrailingZeroCount((uint)value);

        [Intrinsic]
        public static int TrailingZeroCount(uint value) => value == 0 ? 32 : PopCount((value & (~value + 1)) - 1);

        [Intrinsic]
        public static int TrailingZeroCount(long value) => TrailingZeroCount((ulong)value);

        [Intrinsic]
        public static int TrailingZeroCount(ulong value) => value == 0 ? 64 : PopCount((value & (~value + 1)) - 1);

        [Intrinsic]
        public static int TrailingZeroCount(nuint value) => TrailingZeroCount((ulong)value);

        [Intrinsic]
        public static int LeadingZeroCount(uint value) => LeadingZeroCount((ulong)value) - 32;

        [Intrinsic]
        public static int LeadingZeroCount(ulong value)
        {
            value |= value >> 1;
            value |= value >> 2;
            value |= value >> 4;
            value |= value >> 8;
            value |= value >> 16;
            value |= value >> 32;
            return 64 - PopCount(value);
        }

        [Intrinsic]
        public static int LeadingZeroCount(nuint value) => LeadingZeroCount((ulong)value);

        /// <summary>Floor of the binary logarithm; 0 for 0, as in the framework.</summary>
        [Intrinsic]
        public static int Log2(uint value) => 31 - LeadingZeroCount(value | 1);

        /// <inheritdoc cref="Log2(uint)"/>
        [Intrinsic]
        public static int Log2(ulong value) => 63 - LeadingZeroCount(value | 1);

        /// <inheritdoc cref="Log2(uint)"/>
        [Intrinsic]
        public static int Log2(nuint value) => Log2((ulong)value);

        [Intrinsic]
        public static int PopCount(uint value) => PopCount((ulong)value);

        // Sums in fields of 2, 4 and 8 bits; the multiplication adds the eight bytes into the top one.
        [Intrinsic]
        public static int PopCount(ulong value)
        {
            value -= (value >> 1) & 0x5555_5555_5555_5555;
            value = (value & 0x3333_3333_3333_3333) + ((value >> 2) & 0x3333_3333_3333_3333);
            value = (value + (value >> 4)) & 0x0F0F_0F0F_0F0F_0F0F;
            return (int)((value * 0x0101_0101_0101_0101) >> 56);
        }

        [Intrinsic]
        public static int PopCount(nuint value) => PopCount((ulong)value);

        [Intrinsic]
        public static uint RotateLeft(uint value, int offset) => (value << offset) | (value >> (32 - offset));

        [Intrinsic]
        public static ulong RotateLeft(ulong value, int offset) => (value << offset) | (value >> (64 - offset));
    }
}
