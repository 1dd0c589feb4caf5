using Kmem.Engine.Primitives;

namespace Kmem.Engine.Pages;

/// <summary>A block of order k has 2^k pages and starts at a multiple of its size.</summary>
internal static class Order
{
    /// <summary>The largest order that the buddy allocator keeps: 4 MiB blocks.</summary>
    public const int Max = 10;

    public const int Count = Max + 1;

    /// <summary>Pages of a block of the largest order; pageblocks, the unit of grouping by mobility, are as large as half of one: 2 MiB.</summary>
    public const uint MaxPages = 1u << Max;

    /// <summary>Orders 0..3 have per-CPU lists.</summary>
    public const int ListedMax = 3;

    public static nuint Pages(int order) => (nuint)1 << order;

    public static nuint Bytes(int order) => Address.PageSizeBytes << order;

    /// <summary>The smallest order whose block holds <paramref name="pages"/> pages; at least one page.</summary>
    public static int ForPages(nuint pages) => Bits.Log2Ceiling(pages);
}
