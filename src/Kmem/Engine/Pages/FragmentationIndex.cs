using Kmem.Engine.Primitives;

namespace Kmem.Engine.Pages;

/// <summary>
/// The kernel's two measures of external fragmentation, in thousandths, as in <c>/sys/kernel/debug/extfrag</c>. Pure functions of the
/// number of free blocks of each order.
/// </summary>
internal static unsafe class FragmentationIndex
{
    public const int WouldSucceed = -1000;

    /// <summary>
    /// Why a block of this order could not be had: towards 0 for lack of memory, towards 1000 for fragmentation; -1000 when it
    /// could. <c>1000 - (1000 + 1000 × free / 2^order) / blocks</c>, rounded as the kernel does.
    /// </summary>
    /// <param name="freeBlocks">Free blocks of orders 0..10.</param>
    /// <param name="order">The order asked about.</param>
    public static int Of(long* freeBlocks, int order)
    {
        Invariant.Holds((uint)order <= Order.Max);
        long blocks = 0;
        long pages = 0;
        for (int k = 0; k < Order.Count; k++)
        {
            if (k >= order && freeBlocks[k] != 0)
            {
                return WouldSucceed;
            }

            blocks += freeBlocks[k];
            pages += freeBlocks[k] << k;
        }

        return blocks == 0 ? 0 : (int)(1000 - ((1000 + ((pages * 1000) >> order)) / blocks));
    }

    /// <summary>The share of free memory that is in blocks too small for this order: 0 when all of it could serve, 1000 when none or when nothing is free.</summary>
    /// <inheritdoc cref="Of"/>
    public static int UnusableOf(long* freeBlocks, int order)
    {
        Invariant.Holds((uint)order <= Order.Max);
        long usable = 0;
        long pages = 0;
        for (int k = 0; k < Order.Count; k++)
        {
            Invariant.Holds(freeBlocks[k] >= 0);
            pages += freeBlocks[k] << k;
            usable += k >= order ? freeBlocks[k] << k : 0;
        }

        return pages == 0 ? 1000 : (int)((pages - usable) * 1000 / pages);
    }
}
