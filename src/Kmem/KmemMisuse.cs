using System;

namespace Kmem;

/// <summary>A caller's mistake, by its one name.</summary>
public enum KmemMisuse
{
    /// <summary>None.</summary>
    None,

    /// <summary>The address belongs to no heap of Kmem.</summary>
    ForeignPointer,

    /// <summary>The address belongs to another heap.</summary>
    WrongHeap,

    /// <summary>The address is inside an object, a block or a run, not at its start.</summary>
    InteriorPointer,

    /// <summary>The object, block or run is already free.</summary>
    AlreadyFree,

    /// <summary>The object belongs to another cache.</summary>
    WrongCache,

    /// <summary>The size given to a sized free does not lead to this object's size class.</summary>
    WrongSize,

    /// <summary>The address is of another kind: an object where pages were expected or the other way round.</summary>
    WrongKind,

    /// <summary>A cache was destroyed while objects were out.</summary>
    LiveObjects,
}

/// <summary>Thrown when a caller's mistake is found. The message names what is wrong and whose the address is; the heap is unharmed.</summary>
public sealed class KmemMisuseException : InvalidOperationException
{
    internal KmemMisuseException(KmemMisuse misuse, nuint address, string message)
        : base(message)
    {
        Misuse = misuse;
        Address = address;
    }

    /// <summary>The mistake.</summary>
    public KmemMisuse Misuse { get; }

    /// <summary>The address in question, or 0.</summary>
    public nuint Address { get; }
}
