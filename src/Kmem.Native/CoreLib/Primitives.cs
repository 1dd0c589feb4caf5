using System.Runtime.CompilerServices;

namespace System
{
    // The primitive types have themselves as their only field: the compilers know what that means.
    public struct Boolean
    {
        private readonly bool _value;
    }

    public struct Char
    {
        private readonly char _value;
    }

    public struct SByte
    {
        public const sbyte MaxValue = 127;
        public const sbyte MinValue = -128;

        private readonly sbyte _value;
    }

    public struct Byte
    {
        public const byte MaxValue = 255;
        public const byte MinValue = 0;

        private readonly byte _value;
    }

    public struct Int16
    {
        public const short MaxValue = 32767;
        public const short MinValue = -32768;

        private readonly short _value;
    }

    public struct UInt16
    {
        public const ushort MaxValue = 65535;
        public const ushort MinValue = 0;

        private readonly ushort _value;
    }

    public struct Int32
    {
        public const int MaxValue = 0x7FFFFFFF;
        public const int MinValue = -0x7FFFFFFF - 1;

        private readonly int _value;
    }

    public struct UInt32
    {
        public const uint MaxValue = 0xFFFFFFFF;
        public const uint MinValue = 0;

        private readonly uint _value;
    }

    public struct Int64
    {
        public const long MaxValue = 0x7FFFFFFFFFFFFFFF;
        public const long MinValue = -0x7FFFFFFFFFFFFFFF - 1;

        private readonly long _value;
    }

    public struct UInt64
    {
        public const ulong MaxValue = 0xFFFFFFFFFFFFFFFF;
        public const ulong MinValue = 0;

        private readonly ulong _value;
    }

    /// <summary>64 bits: the only width that this library is built for.</summary>
    public unsafe struct IntPtr
    {
        public const nint Zero = 0;

        private readonly void* _value;

        public static nint MaxValue => unchecked((nint)long.MaxValue);

        public static nint MinValue => unchecked((nint)long.MinValue);
    }

    /// <inheritdoc cref="IntPtr"/>
    public unsafe struct UIntPtr
    {
        public const nuint Zero = 0;

        private readonly void* _value;

        public static nuint MaxValue => unchecked((nuint)ulong.MaxValue);

        public static nuint MinValue => 0;
    }

    public struct Single
    {
        private readonly float _value;
    }

    public struct Double
    {
        private readonly double _value;
    }

    public struct Decimal
    {
    }

    public struct Nullable<T>
        where T : struct
    {
        private readonly bool hasValue;
        internal T value;

        public Nullable(T value)
        {
            this.value = value;
            hasValue = true;
        }

        public readonly bool HasValue => hasValue;

        public readonly T Value => value;

        public readonly T GetValueOrDefault() => value;

        public static implicit operator T?(T value) => new T?(value);
    }

    public struct ValueTuple<T1, T2>
    {
        public T1 Item1;
        public T2 Item2;

        public ValueTuple(T1 item1, T2 item2)
        {
            Item1 = item1;
            Item2 = item2;
        }
    }

    public struct ValueTuple<T1, T2, T3>
    {
        public T1 Item1;
        public T2 Item2;
        public T3 Item3;

        public ValueTuple(T1 item1, T2 item2, T3 item3)
        {
            Item1 = item1;
            Item2 = item2;
            Item3 = item3;
        }
    }

    /// <summary>Bytes of a literal (<c>"…"u8</c>) or of any memory. Indexing is not checked.</summary>
    public readonly ref struct ReadOnlySpan<T>
    {
        private readonly ref T _reference;
        private readonly int _length;

        public unsafe ReadOnlySpan(void* pointer, int length)
        {
            _reference = ref *(T*)pointer;
            _length = length;
        }

        // Looked up by the compiler for "…"u8, which it then turns into the other one. There are no arrays here.
        public ReadOnlySpan(T[] array, int start, int length) => this = default;

        public int Length => _length;

        public unsafe ref readonly T this[int index]
        {
            get
            {
                fixed (T* first = &_reference)
                {
                    return ref first[index];
                }
            }
        }

        public ref readonly T GetPinnableReference() => ref _reference;
    }

    /// <summary>Writable memory, mostly of the stack. Indexing is not checked.</summary>
    public readonly ref struct Span<T>
    {
        private readonly ref T _reference;
        private readonly int _length;

        public unsafe Span(void* pointer, int length)
        {
            _reference = ref *(T*)pointer;
            _length = length;
        }

        public int Length => _length;

        public unsafe ref T this[int index]
        {
            get
            {
                fixed (T* first = &_reference)
                {
                    return ref first[index];
                }
            }
        }

        public ref T GetPinnableReference() => ref _reference;
    }
}
