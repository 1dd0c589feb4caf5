namespace System
{
    public abstract class Attribute
    {
    }

    public enum AttributeTargets
    {
        Assembly = 0x0001,
        Module = 0x0002,
        Class = 0x0004,
        Struct = 0x0008,
        Enum = 0x0010,
        Constructor = 0x0020,
        Method = 0x0040,
        Property = 0x0080,
        Field = 0x0100,
        Event = 0x0200,
        Interface = 0x0400,
        Parameter = 0x0800,
        Delegate = 0x1000,
        ReturnValue = 0x2000,
        GenericParameter = 0x4000,
        All = 0x7FFF,
    }

    public sealed class AttributeUsageAttribute : Attribute
    {
        public AttributeUsageAttribute(AttributeTargets validOn) => ValidOn = validOn;

        public AttributeTargets ValidOn { get; }

        public bool AllowMultiple { get; set; }

        public bool Inherited { get; set; }
    }

    public sealed class FlagsAttribute : Attribute
    {
    }

    public sealed class ParamArrayAttribute : Attribute
    {
    }

    public sealed class ObsoleteAttribute : Attribute
    {
        public ObsoleteAttribute(string message, bool error)
        {
            Message = message;
            IsError = error;
        }

        public string Message { get; }

        public bool IsError { get; }
    }
}

namespace System.Diagnostics
{
    [AttributeUsage(AttributeTargets.Class | AttributeTargets.Method, AllowMultiple = true)]
    public sealed class ConditionalAttribute : Attribute
    {
        public ConditionalAttribute(string conditionString) => ConditionString = conditionString;

        public string ConditionString { get; }
    }

    public sealed class StackTraceHiddenAttribute : Attribute
    {
    }

    public sealed class DebuggerDisplayAttribute : Attribute
    {
        public DebuggerDisplayAttribute(string value) => Value = value;

        public string Value { get; }
    }
}

namespace System.Diagnostics.CodeAnalysis
{
    public sealed class DoesNotReturnAttribute : Attribute
    {
    }

    public sealed class DoesNotReturnIfAttribute : Attribute
    {
        public DoesNotReturnIfAttribute(bool parameterValue) => ParameterValue = parameterValue;

        public bool ParameterValue { get; }
    }

    public sealed class UnscopedRefAttribute : Attribute
    {
    }

    public sealed class SuppressMessageAttribute : Attribute
    {
        public SuppressMessageAttribute(string category, string checkId)
        {
            Category = category;
            CheckId = checkId;
        }

        public string Category { get; }

        public string CheckId { get; }

        public string? Justification { get; set; }
    }
}

namespace System.Reflection
{
    public sealed class DefaultMemberAttribute : Attribute
    {
        public DefaultMemberAttribute(string memberName) => MemberName = memberName;

        public string MemberName { get; }
    }
}

namespace System.Runtime
{
    /// <summary>The method is a plain C function of that name, seen from outside.</summary>
    [AttributeUsage(AttributeTargets.Method)]
    internal sealed class RuntimeExportAttribute : Attribute
    {
        public RuntimeExportAttribute(string entryPoint) => EntryPoint = entryPoint;

        public string EntryPoint { get; }
    }

    /// <summary>The method is a plain call of the C function of that name, without any transition.</summary>
    [AttributeUsage(AttributeTargets.Method)]
    internal sealed class RuntimeImportAttribute : Attribute
    {
        public RuntimeImportAttribute(string entryPoint) => EntryPoint = entryPoint;

        public RuntimeImportAttribute(string dllName, string entryPoint)
        {
            DllName = dllName;
            EntryPoint = entryPoint;
        }

        public string? DllName { get; }

        public string EntryPoint { get; }
    }
}

namespace System.Runtime.InteropServices
{
    public enum LayoutKind
    {
        Sequential = 0,
        Explicit = 2,
        Auto = 3,
    }

    public enum CharSet
    {
        None = 1,
        Ansi = 2,
        Unicode = 3,
        Auto = 4,
    }

    public enum CallingConvention
    {
        Winapi = 1,
        Cdecl = 2,
    }

    public sealed class StructLayoutAttribute : Attribute
    {
        public int Pack;
        public int Size;
        public CharSet CharSet;

        public StructLayoutAttribute(LayoutKind layoutKind) => Value = layoutKind;

        public LayoutKind Value { get; }
    }

    public sealed class FieldOffsetAttribute : Attribute
    {
        public FieldOffsetAttribute(int offset) => Value = offset;

        public int Value { get; }
    }

    public sealed class DllImportAttribute : Attribute
    {
        public string? EntryPoint;
        public CharSet CharSet;
        public bool SetLastError;
        public bool ExactSpelling;
        public CallingConvention CallingConvention;

        public DllImportAttribute(string dllName) => Value = dllName;

        public string Value { get; }
    }

    public sealed class SuppressGCTransitionAttribute : Attribute
    {
    }

    public sealed class UnmanagedCallersOnlyAttribute : Attribute
    {
        public Type[]? CallConvs;
        public string? EntryPoint;
    }

    public sealed class InAttribute : Attribute
    {
    }

    public sealed class OutAttribute : Attribute
    {
    }

    public sealed class MarshalAsAttribute : Attribute
    {
        public MarshalAsAttribute(short unmanagedType) => Value = unmanagedType;

        public short Value { get; }
    }
}

namespace System.Runtime.CompilerServices
{
    public sealed class IntrinsicAttribute : Attribute
    {
    }

    public enum MethodImplOptions
    {
        Unmanaged = 4,
        NoInlining = 8,
        NoOptimization = 64,
        AggressiveInlining = 256,
        AggressiveOptimization = 512,
        InternalCall = 4096,
    }

    public sealed class MethodImplAttribute : Attribute
    {
        public MethodImplAttribute(MethodImplOptions methodImplOptions) => Value = methodImplOptions;

        public MethodImplOptions Value { get; }
    }

    public sealed class SkipLocalsInitAttribute : Attribute
    {
    }

    public sealed class CompilerGeneratedAttribute : Attribute
    {
    }

    public sealed class ExtensionAttribute : Attribute
    {
    }

    public sealed class UnsafeValueTypeAttribute : Attribute
    {
    }

    public sealed class InlineArrayAttribute : Attribute
    {
        public InlineArrayAttribute(int length) => Length = length;

        public int Length { get; }
    }

    public sealed class FixedBufferAttribute : Attribute
    {
        public FixedBufferAttribute(Type elementType, int length)
        {
            ElementType = elementType;
            Length = length;
        }

        public Type ElementType { get; }

        public int Length { get; }
    }

    public sealed class CallerArgumentExpressionAttribute : Attribute
    {
        public CallerArgumentExpressionAttribute(string parameterName) => ParameterName = parameterName;

        public string ParameterName { get; }
    }

    public sealed class CallerFilePathAttribute : Attribute
    {
    }

    public sealed class CallerLineNumberAttribute : Attribute
    {
    }

    public sealed class CallerMemberNameAttribute : Attribute
    {
    }

    [AttributeUsage(AttributeTargets.Assembly)]
    public sealed class DisableRuntimeMarshallingAttribute : Attribute
    {
    }

    public sealed class InternalsVisibleToAttribute : Attribute
    {
        public InternalsVisibleToAttribute(string assemblyName) => AssemblyName = assemblyName;

        public string AssemblyName { get; }
    }

    public sealed class CompilationRelaxationsAttribute : Attribute
    {
        public CompilationRelaxationsAttribute(int relaxations) => CompilationRelaxations = relaxations;

        public int CompilationRelaxations { get; }
    }

    public sealed class RuntimeCompatibilityAttribute : Attribute
    {
        public bool WrapNonExceptionThrows { get; set; }
    }

    /// <summary>What the C# compiler may rely on: it looks these constants up by name.</summary>
    public static class RuntimeFeature
    {
        public const string ByRefFields = nameof(ByRefFields);
        public const string NumericIntPtr = nameof(NumericIntPtr);
        public const string UnmanagedSignatureCallingConvention = nameof(UnmanagedSignatureCallingConvention);
    }

    // Modifiers that the compiler writes into signatures.
    public static class IsVolatile
    {
    }

    public class CallConvSuppressGCTransition
    {
    }

    public class CallConvCdecl
    {
    }
}
