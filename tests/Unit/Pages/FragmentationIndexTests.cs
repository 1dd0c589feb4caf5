using System;
using Kmem.Engine.Pages;
using Xunit;

namespace Kmem.Tests.Unit.Pages;

/// <summary>Figures worked out by hand from the kernel's formulas.</summary>
public sealed unsafe class FragmentationIndexTests
{
    [Fact]
    public void Nothing_free_is_lack_of_memory_and_wholly_unusable()
    {
        Assert.Equal(0, Index([], 0));
        Assert.Equal(1000, Unusable([], 0));
    }

    [Fact]
    public void A_sufficient_block_means_success()
    {
        Assert.Equal(-1000, Index([1, 0, 0, 1], 3));
        Assert.Equal(-1000, Index([0, 0, 0, 0, 1], 2));
        Assert.Equal(111, Unusable([1, 0, 0, 1], 3)); // 1 of 9 pages, cut off
        Assert.Equal(0, Unusable([0, 0, 0, 0, 1], 2));
    }

    [Fact]
    public void Many_small_blocks_are_fragmentation()
    {
        // 1024 single pages, order 10 wanted: 1000 - (1000 + 1000 * 1024 / 1024) / 1024 = 1000 - 1
        Assert.Equal(999, Index([1024], 10));
        Assert.Equal(1000, Unusable([1024], 10));

        // 100 single pages and 50 pairs, order 3 wanted: 1000 - (1000 + 200000 / 8) / 150 = 1000 - 173
        Assert.Equal(827, Index([100, 50], 3));
    }

    [Fact]
    public void Few_pages_are_lack_of_memory()
    {
        // One page, order 4 wanted: 1000 - (1000 + 1000 / 16) / 1 = -62
        Assert.Equal(-62, Index([1], 4));

        // Two pages, order 10 wanted: 1000 - (1000 + 2000 / 1024) / 2 = 1000 - 500
        Assert.Equal(500, Index([2], 10));
    }

    [Fact]
    public void Half_of_the_memory_in_large_blocks_is_half_usable()
    {
        Assert.Equal(500, Unusable([8, 0, 0, 1], 3));
        Assert.Equal(1000, Unusable([8, 0, 0, 1], 4));
    }

    private static int Index(ReadOnlySpan<long> blocks, int order)
    {
        long* all = stackalloc long[Order.Count];
        blocks.CopyTo(new Span<long>(all, Order.Count));
        return FragmentationIndex.Of(all, order);
    }

    private static int Unusable(ReadOnlySpan<long> blocks, int order)
    {
        long* all = stackalloc long[Order.Count];
        blocks.CopyTo(new Span<long>(all, Order.Count));
        return FragmentationIndex.UnusableOf(all, order);
    }
}
