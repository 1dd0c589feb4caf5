using System.Collections.Generic;
using Kmem.Engine.Pages;
using Xunit;

namespace Kmem.Tests.Unit.Pages;

public sealed unsafe class ZoneBlockTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(10)]
    public void A_block_is_aligned_to_its_size_zero_when_fresh_and_found_by_any_of_its_addresses(int order)
    {
        using TestZone zone = new();
        Page* head = Zone.AllocateBlock(zone, order, Mobility.Unmovable, cpu: 0);
        Assert.True(head != null);
        byte* start = (byte*)Zone.AddressOf(zone, head);
        nuint bytes = Order.Bytes(order);
        Assert.Equal((nuint)0, (nuint)start & (bytes - 1));
        Assert.Equal(PageKind.Block, head->Kind);
        Assert.Equal(order, head->Order);
        Assert.Equal(Mobility.Unmovable, head->Mobility);
        Assert.Equal(PageFlags.Purged, head->Flags);
        for (nuint offset = 0; offset < bytes; offset++)
        {
            Assert.Equal(0, start[offset]);
            start[offset] = 0xA5;
        }

        for (nuint offset = 0; offset < bytes; offset += 4096)
        {
            Page* page = Zone.PageOf(zone, start + offset + 17);
            Assert.True(page == head + (offset >> 12));
            Assert.True(Zone.HeadOf(zone, page) == head);
            Assert.True(Zone.AddressOf(zone, page) == start + offset);
        }

        Zone.FreeBlock(zone, head, cpu: 0);
    }

    [Fact]
    public void A_full_zone_answers_null_and_serves_again_after_a_free()
    {
        using TestZone zone = new(reserveBytes: 8 * TestZone.MiB);
        List<nint> heads = [];
        for (Page* head; (head = Zone.AllocateBlock(zone, 0, Mobility.Movable, cpu: heads.Count)) != null;)
        {
            heads.Add((nint)head);
        }

        Assert.Equal(2048, heads.Count);
        Zone.FreeBlock(zone, (Page*)heads[1000], cpu: 0);
        Page* again = Zone.AllocateBlock(zone, 0, Mobility.Unmovable, cpu: 1);
        Assert.True(again == (Page*)heads[1000]);
        foreach (nint head in heads)
        {
            Zone.FreeBlock(zone, (Page*)head, cpu: 0);
        }

        Zone.DrainPageLists(zone);
        Assert.True(Zone.AllocateBlock(zone, Order.Max, Mobility.Movable, 0) != null);
        Assert.True(Zone.AllocateBlock(zone, Order.Max, Mobility.Unmovable, 0) != null);
        Assert.True(Zone.AllocateBlock(zone, 0, Mobility.Unmovable, 0) == null);
    }
}
