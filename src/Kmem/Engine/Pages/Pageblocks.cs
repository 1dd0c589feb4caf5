using Kmem.Engine.Primitives;

namespace Kmem.Engine.Pages;

/// <summary>
/// One byte for each 2 MiB of page numbers: which mobility its free blocks are kept for, and whether a free block of the largest
/// order starts there.
/// </summary>
/// <remarks>
/// <para>The mobility of a pageblock decides on which list a free block goes, whoever had it before; so a stray page
/// leads nobody else into the pageblock once it is back.</para>
/// <para>The other bit repeats what the descriptor says (Kind is Free, Order is 10) at a hundredth of the memory:
/// looking for a long run reads two bytes per 4 MiB, not a cache line.</para>
/// <para>Written under the zone's lock. The mobility is also read without it, as a hint, when a block is freed to a CPU's list.</para>
/// </remarks>
internal static unsafe class Pageblocks
{
    /// <summary>2 MiB: the size of a huge page, as in the kernel.</summary>
    public const int BlockOrder = 9;

    public const uint BlockPages = 1u << BlockOrder;

    private const byte MobilityMask = 0x03;
    private const byte LargestFree = 0x80;

    public static Mobility MobilityOf(Zone* zone, PageIndex page) =>
        (Mobility)(zone->PageblockBytes[page.Number >> BlockOrder] & MobilityMask);

    /// <summary>Gives all pageblocks that a block of order 9 or 10 covers, or the one that a smaller block is in, to a mobility.</summary>
    public static void SetMobility(Zone* zone, PageIndex page, int order, Mobility mobility)
    {
        Invariant.Holds(RankedLock.IsHeld(&zone->Lock));
        Invariant.Holds(mobility <= Mobility.Movable);
        uint first = page.Number >> BlockOrder;
        uint count = order > BlockOrder ? 1u << (order - BlockOrder) : 1u;
        for (uint index = first; index < first + count; index++)
        {
            byte* entry = zone->PageblockBytes + index;
            *entry = (byte)((*entry & LargestFree) | (byte)mobility);
        }
    }

    public static bool IsLargestFree(Zone* zone, PageIndex page) => (zone->PageblockBytes[page.Number >> BlockOrder] & LargestFree) != 0;

    public static void SetLargestFree(Zone* zone, PageIndex page, bool free)
    {
        Invariant.Holds(RankedLock.IsHeld(&zone->Lock));
        Invariant.Holds(page.IsAlignedTo(Order.Max));
        byte* entry = zone->PageblockBytes + (page.Number >> BlockOrder);
        *entry = (byte)(free ? *entry | LargestFree : *entry & MobilityMask);
    }
}
