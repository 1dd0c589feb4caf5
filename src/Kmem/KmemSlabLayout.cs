using System;
using Kmem.Engine.Slabs;

namespace Kmem;

/// <summary>Geometry of a slab: how many pages it has and how many objects it holds. Nothing but objects is in a slab.</summary>
/// <param name="ObjectSizeBytes">Size of an object as asked for, in bytes.</param>
/// <param name="StrideBytes">Distance of two objects: the size rounded up to the alignment, in bytes.</param>
/// <param name="AlignmentBytes">Alignment of every object, in bytes.</param>
/// <param name="Order">A slab has 2^Order pages of 4096 bytes.</param>
/// <param name="ObjectsPerSlab">Objects in one slab.</param>
/// <param name="TailBytes">Remainder at the end where no further object fits, in bytes.</param>
public readonly record struct KmemSlabLayout(
    nuint ObjectSizeBytes,
    nuint StrideBytes,
    nuint AlignmentBytes,
    int Order,
    int ObjectsPerSlab,
    nuint TailBytes)
{
    internal KmemSlabLayout(SlabLayout layout)
        : this(layout.ObjectSizeBytes, layout.StrideBytes, layout.AlignmentBytes, layout.Order, (int)layout.Objects, layout.TailBytes)
    {
    }

    /// <summary>Computes the layout of a size: a pure function.</summary>
    /// <param name="objectSizeBytes">1 to 4 MiB.</param>
    /// <param name="alignmentBytes">0 for the default, 8; else a power of two up to 4096.</param>
    /// <param name="rule">Which rule.</param>
    /// <param name="cpuCount">CPUs of the machine, at least 1: the kernel's rule depends on it.</param>
    /// <param name="flags">Only <see cref="KmemCacheFlags.CacheLineAligned"/> matters.</param>
    /// <returns>The layout.</returns>
    /// <exception cref="ArgumentException">An argument is out of range.</exception>
    public static KmemSlabLayout Compute(nuint objectSizeBytes, nuint alignmentBytes, KmemSlabRule rule, int cpuCount, KmemCacheFlags flags = KmemCacheFlags.None)
    {
        if (objectSizeBytes is 0 or > SlabLayout.ObjectSizeBytesMax)
        {
            throw new ArgumentOutOfRangeException(nameof(objectSizeBytes), objectSizeBytes, $"An object has 1 to {SlabLayout.ObjectSizeBytesMax} bytes.");
        }

        if (alignmentBytes != 0)
        {
            KmemHeap.ThrowIfNotAlignment(alignmentBytes, SlabLayout.AlignmentBytesMax);
        }

        ArgumentOutOfRangeException.ThrowIfLessThan(cpuCount, 1);
        return new KmemSlabLayout(SlabLayout.Compute(
            (uint)objectSizeBytes,
            (uint)alignmentBytes,
            rule == KmemSlabRule.Kernel ? SlabRule.Kernel : SlabRule.Default,
            cpuCount,
            (flags & KmemCacheFlags.CacheLineAligned) != 0));
    }
}
