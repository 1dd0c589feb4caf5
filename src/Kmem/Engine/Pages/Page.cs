using System.Runtime.InteropServices;
using Kmem.Engine.Primitives;

namespace Kmem.Engine.Pages;

/// <summary>What a page descriptor stands for. Zeroed memory is <see cref="None"/>.</summary>
internal enum PageKind : byte
{
    /// <summary>Not the head of anything: inside a block or a run, or never handed out.</summary>
    None = 0,

    /// <summary>Head of a block on a buddy free list.</summary>
    Free = 1,

    /// <summary>Head of a block in a CPU's page list: free, but the buddy allocator does not know it.</summary>
    Listed = 2,

    /// <summary>Head of a block of 2^order pages in use.</summary>
    Block = 3,

    /// <summary>Head of a run of any number of pages in use.</summary>
    Run = 4,

    /// <summary>Head page of a slab; every page of a slab has its descriptor filled in.</summary>
    SlabHead = 5,

    /// <summary>Another page of a slab.</summary>
    SlabTail = 6,

    /// <summary>Head of a block that a purge has in hand: free, on no list.</summary>
    Purging = 7,

    /// <summary>Head of a run whose pages are those of guarded objects.</summary>
    Guards = 8,
}

/// <summary>
/// Lifetime of what is in a block, so that what lives long does not pin what could be given back. The names are
/// the kernel's mobility types.
/// </summary>
internal enum Mobility : byte
{
    /// <summary>Lives long: slabs of caches without a hint.</summary>
    Unmovable = 0,

    /// <summary>Can be had back by asking: caches marked reclaimable.</summary>
    Reclaimable = 1,

    /// <summary>Short-lived or moved on request: large allocations and the user's own pages.</summary>
    Movable = 2,
}

/// <summary>
/// The descriptor of one 4 KiB page: 64 bytes, in an array of its own (the memmap), indexed by the page's number.
/// The descriptor of an object's page answers in one load which cache's it is, and so where its magazines are.
/// </summary>
/// <remarks>
/// <code>
///  0 SlabLow (4)              slab pages: low half of the address of the first object
///  4 ObjectUnits (4)          slab pages: objects × stride / 8: where the last object of the slab ends; else 0
///  8 StrideReciprocal (4)     slab pages: ceil(2^32 / (stride / 8))
/// 12 CacheIndex (2)           slab pages: which cache; else 0
/// 14 FrontEntry (2)           slab pages: the same where the cache has an entry in threads' fronts; else 0
/// 16 Next (4)  Prev (4)       links of the list that the head is on, as page numbers; 0 ends a list
/// 24 FreeObjects (2)          slab head: objects whose bit is set
/// 26 PageInSlab (2)           slab pages: distance from the head in pages
/// 28 Kind  Order  Mobility  Flags (1 each)
/// 32 FreeBits (4 × 8)         slab pages: object (256 × PageInSlab + i) is free in the slab when bit i is set
///    or Stamp, Pages, SizeBytes  free blocks and runs: see <see cref="Payload"/>
/// </code>
/// Who guards it: the zone's lock while the block is free; the CPU's page list while it is listed; the cache's slab
/// lock while it is a slab (the first 16 bytes do not change while any object is out, so the
/// free path reads them without a lock); its owner while it is a block or run.
/// </remarks>
[StructLayout(LayoutKind.Explicit, Size = SizeBytesOfDescriptor)]
internal unsafe struct Page
{
    public const int SizeBytesOfDescriptor = 64;
    public const int DescriptorShift = 6;

    /// <summary>Objects whose free bits one descriptor holds: 4096 bytes of the smallest object, 16 bytes.</summary>
    public const int FreeBitsPerPage = 256;

    public const int FreeWordsPerPage = FreeBitsPerPage / 64;

    [FieldOffset(0)]
    public uint SlabLow;

    [FieldOffset(4)]
    public uint ObjectUnits;

    [FieldOffset(8)]
    public uint StrideReciprocal;

    [FieldOffset(12)]
    public ushort CacheIndex;

    [FieldOffset(14)]
    public ushort FrontEntry;

    [FieldOffset(16)]
    public uint Next;

    [FieldOffset(20)]
    public uint Prev;

    [FieldOffset(24)]
    public ushort FreeObjects;

    [FieldOffset(26)]
    public ushort PageInSlab;

    [FieldOffset(28)]
    public PageKind Kind;

    [FieldOffset(29)]
    public byte Order;

    [FieldOffset(30)]
    public Mobility Mobility;

    [FieldOffset(31)]
    public PageFlags Flags;

    /// <summary>Slab heads only: which of its cache's lists the slab is on. Overlays the flags of free heads.</summary>
    [FieldOffset(31)]
    public byte SlabList;

    [FieldOffset(32)]
    public fixed ulong FreeBits[FreeWordsPerPage];

    [FieldOffset(32)]
    public PagePayload Payload;
}

/// <summary>What a head that is not a slab keeps where slabs keep their free bits.</summary>
internal struct PagePayload
{
    /// <summary>Free blocks: when the block became free, in milliseconds of the OS table's clock.</summary>
    public long FreedAtMilliseconds;

    /// <summary>Runs: length in pages.</summary>
    public ulong Pages;

    /// <summary>Runs: bytes that the caller asked for, where it said so; else 0.</summary>
    public ulong RequestedBytes;

    /// <summary>Blocks and runs: a word for the owner (the page allocator keeps nothing there).</summary>
    public ulong OwnerWord;
}

[System.Flags]
internal enum PageFlags : byte
{
    None = 0,

    /// <summary>
    /// Free heads: every page of the block was never touched or was purged: it costs no memory and reads as zero.
    /// Kept when the block is handed out, so that its taker may skip zeroing.
    /// </summary>
    Purged = 1,
}
