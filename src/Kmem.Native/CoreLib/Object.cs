using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace System
{
    /// <summary>The root of the type system. The compiler to machine code lays every object out by this one field.</summary>
    public unsafe class Object
    {
        internal Internal.Runtime.MethodTable* m_pEEType; // Written by the compiler to machine code.

        public Object()
        {
        }

        // Called by nobody: there is no collector. The compilers look it up by name.
        ~Object()
        {
        }

        public virtual bool Equals(object? o) => false;

        public virtual int GetHashCode() => 0;
    }

    public abstract class ValueType
    {
    }

    public abstract class Enum : ValueType
    {
    }

    public struct Void
    {
    }

    public abstract class Array
    {
        internal int _numComponents;

        public int Length => _numComponents;
    }

    public class Array<T> : Array
    {
    }

    /// <summary>Literals only: they lie in the read-only data of the library.</summary>
    public sealed class String
    {
        private readonly int _stringLength;
        private readonly char _firstChar;

        public int Length => _stringLength;

        internal ref readonly char FirstChar => ref _firstChar;

        public unsafe char this[int index]
        {
            [Intrinsic]
            get
            {
                fixed (char* first = &_firstChar)
                {
                    return first[index];
                }
            }
        }
    }

    public abstract class Delegate
    {
    }

    public abstract class MulticastDelegate : Delegate
    {
    }

    public class Exception
    {
    }

    public abstract class Type
    {
    }

    public class RuntimeType : Type
    {
    }

    public struct RuntimeTypeHandle
    {
        private nint _value;
    }

    public struct RuntimeMethodHandle
    {
        private nint _value;
    }

    public struct RuntimeFieldHandle
    {
        private nint _value;
    }

    public interface IDisposable
    {
        void Dispose();
    }
}

namespace System.Collections
{
    // Named by the compiler where a type has an indexer or params; never used here.
    internal interface IEnumerable
    {
    }
}

namespace Internal.Runtime
{
    /// <summary>What an object's first word points to. Only its address matters here.</summary>
    internal struct MethodTable
    {
        private nint _unused;
    }
}
