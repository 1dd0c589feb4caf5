namespace Kmem.Engine.Pages;

/// <summary>What <see cref="ZoneValidation"/> found broken first.</summary>
internal enum ZoneFault
{
    None = 0,

    /// <summary>A list's links, ends or count do not agree.</summary>
    ListLinks,

    /// <summary>A head on a free list is not a free head of that list's order and mobility, or is not aligned.</summary>
    FreeHead,

    /// <summary>A head on a CPU's list is not a listed head of that list's order and mobility, or is not aligned.</summary>
    ListedHead,

    /// <summary>A purged head stands before a dirty one, or LastDirty is wrong.</summary>
    DirtyOrder,

    /// <summary>A free block is on a list of another mobility than its pageblock's.</summary>
    PageblockMobility,

    /// <summary>Two free buddies of one order did not merge.</summary>
    Unmerged,

    /// <summary>The bit mask of non-empty lists does not agree with the lists.</summary>
    NonEmptyMask,

    /// <summary>A CPU's page count does not agree with its lists, or exceeds its bound.</summary>
    ListedCount,

    /// <summary>The zone's counts of free or purged pages do not agree with the lists.</summary>
    FreeCount,

    /// <summary>Heads do not tile a range: a page is not spoken for, or a block reaches beyond the frontier.</summary>
    Tiling,

    /// <summary>A page inside a block claims to be a head.</summary>
    InnerHead,

    /// <summary>The bit for a free block of order 10 does not agree with the descriptor.</summary>
    LargestFreeBit,

    /// <summary>Heads in the ranges and heads on the lists are not the same number.</summary>
    HeadCount,

    /// <summary><c>free + listed + isolated + allocated != total</c>.</summary>
    Total,
}
