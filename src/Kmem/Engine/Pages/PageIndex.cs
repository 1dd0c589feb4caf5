using Kmem.Engine.Primitives;

namespace Kmem.Engine.Pages;

/// <summary>
/// The number of a page, unique in its heap. Numbers start at <see cref="First"/>; 0 is no page, and ends a list.
/// </summary>
/// <remarks>
/// The bases of all ranges are 4 MiB aligned and their first numbers are multiples of 1024, so a number is aligned to an
/// order exactly when the page's address is, and the buddy of a block differs from it in one bit.
/// </remarks>
internal readonly struct PageIndex
{
    /// <summary>The number of the first range's first page: one block of the largest order, so that no block holds page 0.</summary>
    public const uint First = Pages.Order.MaxPages;

    public readonly uint Number;

    public PageIndex(uint number) => Number = number;

    public static PageIndex None => default;

    public bool IsNone => Number == 0;

    public static PageIndex operator +(PageIndex page, uint pages) => new(page.Number + pages);

    public bool IsAlignedTo(int order) => (Number & ((1u << order) - 1)) == 0;

    /// <summary>The first page of the block of this order that holds the page.</summary>
    public PageIndex BlockOf(int order) => new(Number & ~((1u << order) - 1));

    /// <summary>The other half of the block of the next order.</summary>
    public PageIndex BuddyOf(int order)
    {
        Invariant.Holds(IsAlignedTo(order) && order < Pages.Order.Max);
        return new(Number ^ (1u << order));
    }
}
