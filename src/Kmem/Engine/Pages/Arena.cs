using Kmem.Engine.Primitives;

namespace Kmem.Engine.Pages;

/// <summary>
/// One reserved range of address space. Everything below its frontier is committed, has descriptors, and belongs to a
/// block; nothing above it may be touched.
/// </summary>
/// <remarks>
/// <code>
/// Base                      Base + FrontierBytes                     Base + CapacityBytes
///  | committed, in blocks         | reserved: address space only            |
/// page FirstPage            first page of the next growth
/// </code>
/// The frontier moves up only, by whole blocks of the largest order.
/// </remarks>
internal unsafe struct Arena
{
    /// <summary>Ranges that one heap may have. With the default size that is 4 TiB.</summary>
    public const int CountMax = 16;

    /// <summary>4 MiB: what the frontier moves by, and what bases are aligned to.</summary>
    public const int BlockShift = Address.PageShift + Order.Max;

    public const nuint BlockBytes = (nuint)1 << BlockShift;

    /// <summary>First address; aligned to <see cref="BlockBytes"/>. Constant.</summary>
    public byte* Base;

    /// <summary>Bytes in use from the base. Written under the zone's lock, read by anyone with acquire.</summary>
    public nuint FrontierBytes;

    /// <summary>Bytes reserved. Constant.</summary>
    public nuint CapacityBytes;

    /// <summary>The number of the page at the base; a multiple of 1024. Constant.</summary>
    public uint FirstPage;

    /// <summary>Blocks whose descriptors are committed: never fewer than the frontier's, more after a growth that failed half way. Zone lock.</summary>
    public uint DescribedBlocks;

    public readonly uint FrontierBlocks => (uint)(FrontierBytes >> BlockShift);

    public readonly uint CapacityBlocks => (uint)(CapacityBytes >> BlockShift);

    public readonly uint FrontierPages => (uint)(FrontierBytes >> Address.PageShift);

    public readonly bool Contains(PageIndex page) => page.Number - FirstPage < FrontierPages;

    /// <summary>The block of the largest order with this number in the range.</summary>
    public readonly PageIndex PageOfBlock(uint block)
    {
        Invariant.Holds(block < CapacityBlocks);
        return new(FirstPage + (block << Order.Max));
    }
}
