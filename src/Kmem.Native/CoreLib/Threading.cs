using System.Runtime.CompilerServices;

namespace System.Threading
{
    /// <summary>
    /// Each method calls itself: the compiler to machine code must replace the call by the instruction, and fails
    /// where it cannot. So no slow or wrong fallback can slip in.
    /// </summary>
    public static class Interlocked
    {
        [Intrinsic]
        public static int CompareExchange(ref int location1, int value, int comparand) => CompareExchange(ref location1, value, comparand);

        [Intrinsic]
        public static long CompareExchange(ref long location1, long value, long comparand) => CompareExchange(ref location1, value, comparand);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static unsafe uint CompareExchange(ref uint location1, uint value, uint comparand)
        {
            fixed (uint* location = &location1)
            {
                return (uint)CompareExchange(ref *(int*)location, (int)value, (int)comparand);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static unsafe ulong CompareExchange(ref ulong location1, ulong value, ulong comparand)
        {
            fixed (ulong* location = &location1)
            {
                return (ulong)CompareExchange(ref *(long*)location, (long)value, (long)comparand);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static unsafe nuint CompareExchange(ref nuint location1, nuint value, nuint comparand)
        {
            fixed (nuint* location = &location1)
            {
                return (nuint)CompareExchange(ref *(long*)location, (long)value, (long)comparand);
            }
        }

        [Intrinsic]
        public static int Exchange(ref int location1, int value) => Exchange(ref location1, value);

        [Intrinsic]
        public static long Exchange(ref long location1, long value) => Exchange(ref location1, value);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static unsafe uint Exchange(ref uint location1, uint value)
        {
            fixed (uint* location = &location1)
            {
                return (uint)Exchange(ref *(int*)location, (int)value);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static unsafe ulong Exchange(ref ulong location1, ulong value)
        {
            fixed (ulong* location = &location1)
            {
                return (ulong)Exchange(ref *(long*)location, (long)value);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static unsafe nuint Exchange(ref nuint location1, nuint value)
        {
            fixed (nuint* location = &location1)
            {
                return (nuint)Exchange(ref *(long*)location, (long)value);
            }
        }

        [Intrinsic]
        private static int ExchangeAdd(ref int location1, int value) => ExchangeAdd(ref location1, value);

        [Intrinsic]
        private static long ExchangeAdd(ref long location1, long value) => ExchangeAdd(ref location1, value);

        public static int Add(ref int location1, int value) => ExchangeAdd(ref location1, value) + value;

        public static long Add(ref long location1, long value) => ExchangeAdd(ref location1, value) + value;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static unsafe uint Add(ref uint location1, uint value)
        {
            fixed (uint* location = &location1)
            {
                return (uint)Add(ref *(int*)location, (int)value);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static unsafe ulong Add(ref ulong location1, ulong value)
        {
            fixed (ulong* location = &location1)
            {
                return (ulong)Add(ref *(long*)location, (long)value);
            }
        }

        public static int Increment(ref int location) => Add(ref location, 1);

        public static long Increment(ref long location) => Add(ref location, 1);

        public static int Decrement(ref int location) => Add(ref location, -1);

        public static long Decrement(ref long location) => Add(ref location, -1);

        [Intrinsic]
        public static void MemoryBarrier() => MemoryBarrier();
    }

    /// <summary>Acquire loads and release stores; on x64 those are plain moves that the compiler may not drop or repeat.</summary>
    public static class Volatile
    {
        // A field marked volatile: an access through a reference to this struct is an acquire or a release.
        private struct VolatileInt32
        {
            public volatile int Value;
        }

        private struct VolatileUInt32
        {
            public volatile uint Value;
        }

        private struct VolatileIntPtr
        {
            public volatile nint Value;
        }

        private struct VolatileByte
        {
            public volatile byte Value;
        }

        [Intrinsic]
        public static unsafe byte Read(ref byte location)
        {
            fixed (byte* address = &location)
            {
                return ((VolatileByte*)address)->Value;
            }
        }

        [Intrinsic]
        public static unsafe int Read(ref int location)
        {
            fixed (int* address = &location)
            {
                return ((VolatileInt32*)address)->Value;
            }
        }

        [Intrinsic]
        public static unsafe uint Read(ref uint location)
        {
            fixed (uint* address = &location)
            {
                return ((VolatileUInt32*)address)->Value;
            }
        }

        [Intrinsic]
        public static unsafe long Read(ref long location)
        {
            fixed (long* address = &location)
            {
                return ((VolatileIntPtr*)address)->Value;
            }
        }

        [Intrinsic]
        public static unsafe ulong Read(ref ulong location)
        {
            fixed (ulong* address = &location)
            {
                return (ulong)((VolatileIntPtr*)address)->Value;
            }
        }

        [Intrinsic]
        public static unsafe nint Read(ref nint location)
        {
            fixed (nint* address = &location)
            {
                return ((VolatileIntPtr*)address)->Value;
            }
        }

        [Intrinsic]
        public static unsafe nuint Read(ref nuint location)
        {
            fixed (nuint* address = &location)
            {
                return (nuint)((VolatileIntPtr*)address)->Value;
            }
        }

        [Intrinsic]
        public static unsafe void Write(ref byte location, byte value)
        {
            fixed (byte* address = &location)
            {
                ((VolatileByte*)address)->Value = value;
            }
        }

        [Intrinsic]
        public static unsafe void Write(ref int location, int value)
        {
            fixed (int* address = &location)
            {
                ((VolatileInt32*)address)->Value = value;
            }
        }

        [Intrinsic]
        public static unsafe void Write(ref uint location, uint value)
        {
            fixed (uint* address = &location)
            {
                ((VolatileUInt32*)address)->Value = value;
            }
        }

        [Intrinsic]
        public static unsafe void Write(ref long location, long value)
        {
            fixed (long* address = &location)
            {
                ((VolatileIntPtr*)address)->Value = (nint)value;
            }
        }

        [Intrinsic]
        public static unsafe void Write(ref ulong location, ulong value)
        {
            fixed (ulong* address = &location)
            {
                ((VolatileIntPtr*)address)->Value = (nint)value;
            }
        }

        [Intrinsic]
        public static unsafe void Write(ref nint location, nint value)
        {
            fixed (nint* address = &location)
            {
                ((VolatileIntPtr*)address)->Value = value;
            }
        }

        [Intrinsic]
        public static unsafe void Write(ref nuint location, nuint value)
        {
            fixed (nuint* address = &location)
            {
                ((VolatileIntPtr*)address)->Value = (nint)value;
            }
        }
    }
}
