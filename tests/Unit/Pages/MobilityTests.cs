using System.Collections.Generic;
using Kmem.Engine.Pages;
using Xunit;

namespace Kmem.Tests.Unit.Pages;

public sealed unsafe class MobilityTests
{
    [Fact]
    public void Pages_of_different_mobilities_do_not_share_a_pageblock()
    {
        using TestZone zone = new(reserveBytes: 64 * TestZone.MiB);
        Dictionary<uint, Mobility> owners = [];
        for (int count = 0; count < 6000; count++)
        {
            Mobility mobility = (Mobility)(count % 3);
            Page* head = Zone.AllocateBlock(zone, 0, mobility, count);
            Assert.True(head != null);
            uint pageblock = HeadLookup.IndexOf(zone, head).Number >> Pageblocks.BlockOrder;
            Assert.True(!owners.TryGetValue(pageblock, out Mobility owner) || owner == mobility);
            owners[pageblock] = mobility;
        }

        Assert.Equal(0, zone.Statistics.BlocksStolen);
        Assert.Equal(ZoneFault.None, Zone.Validate(zone));
    }

    [Fact]
    public void What_lives_long_does_not_pin_what_does_not()
    {
        using TestZone zone = new(reserveBytes: 128 * TestZone.MiB);
        List<nint> movable = [];
        for (int count = 0; count < 16_000; count++)
        {
            // One page in sixteen stays.
            Page* head = Zone.AllocateBlock(zone, 0, count % 16 == 0 ? Mobility.Unmovable : Mobility.Movable, 0);
            if (count % 16 != 0)
            {
                movable.Add((nint)head);
            }
        }

        movable.ForEach(head => Zone.FreeBlock(zone, (Page*)head, 0));
        Zone.DrainPageLists(zone);
        ZoneStatistics statistics = zone.Statistics;
        Assert.Equal(1000, statistics.AllocatedPages);

        // 1000 pages fill two pageblocks of 512; every other one is whole again.
        long wholeAgain = statistics.FreeBlocks[Pageblocks.BlockOrder] + (2 * statistics.FreeBlocks[Order.Max]);
        Assert.Equal((statistics.TotalPages / Pageblocks.BlockPages) - 2, wholeAgain);
    }

    [Fact]
    public void A_pageblock_that_is_half_free_changes_sides_as_a_whole()
    {
        using TestZone zone = new(reserveBytes: 4 * TestZone.MiB);
        Page* first = Zone.AllocateBlock(zone, 9, Mobility.Movable, 0);
        Page* second = Zone.AllocateBlock(zone, 8, Mobility.Movable, 0);
        Page* unmovable = Zone.AllocateBlock(zone, 4, Mobility.Unmovable, 0);
        Assert.True(unmovable != null && first != null && second != null);
        Assert.Equal(1, zone.Statistics.PageblocksClaimed);
        Assert.Equal(0, zone.Statistics.BlocksStolen);
        Assert.Equal(Mobility.Unmovable, Pageblocks.MobilityOf(zone, HeadLookup.IndexOf(zone, second)));
        Assert.Equal(Mobility.Movable, Pageblocks.MobilityOf(zone, HeadLookup.IndexOf(zone, first)));
        Assert.Equal(ZoneFault.None, Zone.Validate(zone));
        Zone.FreeBlock(zone, first, 0);
        Zone.FreeBlock(zone, second, 0);
        Zone.FreeBlock(zone, unmovable, 0);
        zone.AssertAllMerged();
    }

    [Fact]
    public void A_stolen_block_goes_back_to_its_pageblock()
    {
        using TestZone zone = new(reserveBytes: 4 * TestZone.MiB);
        Page* most = Zone.AllocateRun(zone, 1024 - 16, 4096, Mobility.Movable);
        Page* stolen = Zone.AllocateBlock(zone, 4, Mobility.Reclaimable, 0);
        Assert.True(most != null && stolen->Mobility == Mobility.Reclaimable);
        Assert.Equal(1, zone.Statistics.BlocksStolen);
        Zone.FreeBlock(zone, stolen, 0);
        Assert.Equal(Mobility.Movable, stolen->Mobility);
        Zone.FreeRun(zone, most);
        zone.AssertAllMerged();
    }
}
