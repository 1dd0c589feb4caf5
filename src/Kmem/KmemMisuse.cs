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

    /// <summary>Somebody wrote before the start of an object. Found with the letter Z.</summary>
    WrittenBefore,

    /// <summary>Somebody wrote past the bytes that were asked for. Found with the letter Z.</summary>
    WrittenPast,

    /// <summary>Somebody wrote to an object after it was freed. Found with the letter P.</summary>
    WrittenAfterFree,

    /// <summary>Somebody wrote over what is kept behind an object. Found with Z or U.</summary>
    TrackDamaged,

    /// <summary>The bits or descriptors of a slab do not agree. Found with the letter F.</summary>
    SlabDamaged,

    /// <summary>Somebody read or wrote outside of a guarded object, or after it was freed.</summary>
    GuardedAccess,

    /// <summary>Objects were live at the end of what should have freed them: of a <see cref="KmemLeakScope"/>, or of a heap with <see cref="KmemHeapOptions.ReportLeaksAtDispose"/>.</summary>
    Leaked,
}

/// <summary>Thrown when a caller's mistake is found. The message names what is wrong and whose the address is; the heap is unharmed.</summary>
public sealed class KmemMisuseException : InvalidOperationException
{
    internal KmemMisuseException(KmemReport report)
        : this(report.Misuse, report.Address, report.Text) => Report = report;

    internal KmemMisuseException(KmemMisuse misuse, nuint address, string message)
        : base(message)
    {
        Misuse = misuse;
        Address = address;
    }

    /// <summary>The mistake.</summary>
    public KmemMisuse Misuse { get; }

    /// <summary>All that is known, where the checks of a cache found it; else null.</summary>
    public KmemReport? Report { get; }

    /// <summary>The address in question, or 0.</summary>
    public nuint Address { get; }
}
