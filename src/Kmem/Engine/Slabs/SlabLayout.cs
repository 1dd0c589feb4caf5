using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;

namespace Kmem.Engine.Slabs;

/// <summary>Which rule decides the number of pages of a slab.</summary>
internal enum SlabRule : byte
{
    /// <summary>At least 32 objects where order 3 allows it; objects over a page in slabs of up to 256 KiB.</summary>
    Default = 0,

    /// <summary>Exactly what Linux computes (SLUB), from the stride and the number of CPUs.</summary>
    Kernel = 1,
}

/// <summary>
/// The geometry of a slab: a pure function of size, alignment, rule and CPUs.
/// <code>
///   | object | object | … | object | tail |        2^Order pages
///   0        Stride                 Objects × Stride
/// </code>
/// Nothing else is in a slab: free bits and links are in the page descriptors, so 4096/128 is 32 objects and
/// 8192/64 is 128.
/// </summary>
/// <remarks>
/// Both rules search alike: start at the order that holds the wanted objects; accept the smallest order whose tail is at
/// most 1/16 of the slab, then 1/8, 1/4, 1/2; else the order that holds one object. Source of the kernel's
/// numbers: mm/slub.c, calculate_order, checked against every cache of a running kernel.
/// </remarks>
internal struct SlabLayout
{
    /// <summary>The smallest object and the smallest alignment, in bytes.</summary>
    public const uint GranuleBytes = 8;

    /// <summary>The largest object of a cache: one block of the largest order.</summary>
    public const uint ObjectSizeBytesMax = 1u << (Address.PageShift + Pages.Order.Max);

    public const uint AlignmentBytesMax = (uint)Address.PageSizeBytes;
    public const uint CacheLineBytes = 64;

    private const int KernelOrderMax = 3;
    private const uint KernelObjectsMax = 32767;

    private const uint DefaultObjectsWanted = 32;
    private const int DefaultOrderMax = 3;
    private const int DefaultOrderMaxOfLargeObjects = 6;

    /// <summary>As asked for, in bytes.</summary>
    public uint ObjectSizeBytes;

    /// <summary>Distance of two objects, in bytes: the size rounded up to the alignment.</summary>
    public uint StrideBytes;

    /// <summary>In bytes, a power of two.</summary>
    public uint AlignmentBytes;

    public int Order;

    /// <summary>Objects in one slab.</summary>
    public uint Objects;

    /// <summary>ceil(2^32 / (stride / 8)) mod 2^32, with which <see cref="Slab"/> divides and tests for object boundaries; 1 if the slab has one object.</summary>
    public uint StrideReciprocal;

    /// <summary>Bytes before the first object: none, unless objects are checked (<see cref="CheckedLayout"/>).</summary>
    public uint LeadBytes;

    public readonly nuint SlabBytes => Pages.Order.Bytes(Order);

    /// <summary>What no object has: behind the last and before the first.</summary>
    public readonly uint TailBytes => (uint)(SlabBytes - ((nuint)Objects * StrideBytes));

    /// <summary>Where the last object ends, in granules.</summary>
    public readonly uint ObjectUnits => Objects * (StrideBytes / GranuleBytes);

    /// <summary>Index of the object that contains a byte of the slab before its tail.</summary>
    public readonly uint IndexAt(uint offset) => StrideReciprocal switch
    {
        0 => offset / GranuleBytes,
        1 => 0,
        uint reciprocal => (uint)(((ulong)(offset / GranuleBytes) * reciprocal) >> 32),
    };

    /// <summary>
    /// <paramref name="objectSizeBytes"/> is 1..4 MiB; <paramref name="alignmentBytes"/> is 0 or a power of two up to 4096. The caller has checked both.
    /// </summary>
    public static SlabLayout Compute(uint objectSizeBytes, uint alignmentBytes, SlabRule rule, int cpuCount, bool cacheLineAligned)
    {
        Invariant.Holds(objectSizeBytes is >= 1 and <= ObjectSizeBytesMax);
        Invariant.Holds(alignmentBytes == 0 || Address.IsPowerOfTwo(alignmentBytes));

        uint alignment = alignmentBytes > GranuleBytes ? alignmentBytes : GranuleBytes;
        if (cacheLineAligned)
        {
            uint line = CacheLineBytes;
            while (objectSizeBytes <= line / 2)
            {
                line /= 2;
            }

            alignment = alignment > line ? alignment : line;
        }

        uint stride = (uint)Address.AlignUp(objectSizeBytes, alignment);
        int order = rule == SlabRule.Kernel ? KernelOrder(stride, cpuCount) : DefaultOrder(stride);
        uint objects = (uint)(Pages.Order.Bytes(order) / stride);
        Invariant.Holds(objects >= 1);
        return new SlabLayout
        {
            ObjectSizeBytes = objectSizeBytes,
            StrideBytes = stride,
            AlignmentBytes = alignment,
            Order = order,
            Objects = objects,
            StrideReciprocal = ReciprocalOf(stride, objects),
        };
    }

    /// <summary>
    /// The same with a given stride and something before the first object. False: not even one object fits into a block of the largest order.
    /// </summary>
    public static bool TryComputeLed(uint objectSizeBytes, uint strideBytes, uint leadBytes, uint alignmentBytes, SlabRule rule, int cpuCount, out SlabLayout layout)
    {
        layout = default;
        if (strideBytes + leadBytes > ObjectSizeBytesMax)
        {
            return false;
        }

        layout = Compute(strideBytes, alignmentBytes, rule, cpuCount, false);
        int orderForOne = OrderFor(strideBytes + leadBytes);
        layout.Order = layout.Order > orderForOne ? layout.Order : orderForOne;
        layout.ObjectSizeBytes = objectSizeBytes;
        layout.LeadBytes = leadBytes;
        layout.Objects = (uint)((layout.SlabBytes - leadBytes) / strideBytes);
        layout.StrideReciprocal = ReciprocalOf(strideBytes, layout.Objects);
        return true;
    }

    private static uint ReciprocalOf(uint stride, uint objects) =>
        objects == 1 ? 1 : unchecked((uint)(((1ul << 32) + (stride / GranuleBytes) - 1) / (stride / GranuleBytes)));

    private static int KernelOrder(uint stride, int cpuCount)
    {
        uint wanted = 4 * ((uint)Bits.Log2((nuint)cpuCount) + 2);
        int order = SearchOrder(stride, wanted, KernelOrderMax, out int start);
        return Pages.Order.Bytes(start) / stride > KernelObjectsMax
            ? OrderFor((nuint)stride * KernelObjectsMax) - 1
            : order;
    }

    private static int DefaultOrder(uint stride) => SearchOrder(
        stride,
        DefaultObjectsWanted,
        stride > Address.PageSizeBytes ? DefaultOrderMaxOfLargeObjects : DefaultOrderMax,
        out _);

    private static int SearchOrder(uint stride, uint wanted, int orderMax, out int start)
    {
        nuint most = Pages.Order.Bytes(orderMax) / stride;
        most = most == 0 ? 1 : most;
        start = OrderFor((wanted < most ? wanted : most) * stride);
        for (uint fraction = 16; fraction > 1; fraction /= 2)
        {
            for (int order = start; order <= orderMax; order++)
            {
                nuint slab = Pages.Order.Bytes(order);
                if (slab % stride <= slab / fraction)
                {
                    return order;
                }
            }
        }

        return OrderFor(stride);
    }

    private static int OrderFor(nuint bytes) => Pages.Order.ForPages(Address.PagesFor(bytes));
}
