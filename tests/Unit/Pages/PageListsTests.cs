using System.Collections.Generic;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Xunit;

namespace Kmem.Tests.Unit.Pages;

public sealed unsafe class PageListsTests
{
    [Fact]
    public void A_freed_block_is_the_next_one_handed_out()
    {
        using TestZone zone = new();
        Page* first = Zone.AllocateBlock(zone, 2, Mobility.Unmovable, 1);
        Zone.FreeBlock(zone, first, 1);
        Assert.Equal(PageKind.Listed, first->Kind);
        Assert.True(Zone.AllocateBlock(zone, 2, Mobility.Unmovable, 1) == first);
    }

    [Fact]
    public void A_list_holds_no_more_than_its_bound()
    {
        using TestZone zone = new(cpuCount: 1);
        List<nint> heads = [];
        for (int count = 0; count < 1000; count++)
        {
            heads.Add((nint)Zone.AllocateBlock(zone, count % 4, (Mobility)(count % 3), count));
            Assert.InRange(zone.Statistics.ListedPages, 0, PageLists.HighPages);
        }

        foreach (nint head in heads)
        {
            Zone.FreeBlock(zone, (Page*)head, 0);
            Assert.InRange(zone.Statistics.ListedPages, 1, PageLists.HighPages);
        }

        Assert.Equal(ZoneFault.None, Zone.Validate(zone));
        zone.AssertAllMerged();
    }

    [Fact]
    public void Who_finds_the_list_taken_goes_to_the_zone()
    {
        using TestZone zone = new(cpuCount: 1);
        CpuPageLists* lists = zone.Pointer->CpuLists;
        RankedLock.Enter(&lists->Lock, LockRank.PageLists);
        Page* head = Zone.AllocateBlock(zone, 0, Mobility.Movable, 0);
        Assert.True(head != null && head->Kind == PageKind.Block);
        Zone.FreeBlock(zone, head, 0);
        Assert.Equal(0, lists->Pages);
        RankedLock.Exit(&lists->Lock, LockRank.PageLists);
        zone.AssertAllMerged();
    }

    [Fact]
    public void Any_number_serves_as_a_cpu()
    {
        using TestZone zone = new(cpuCount: 3);
        foreach (int cpu in new[] { -1, int.MinValue, int.MaxValue, 3, 1000 })
        {
            Page* head = Zone.AllocateBlock(zone, 1, Mobility.Movable, cpu);
            Zone.FreeBlock(zone, head, cpu);
        }

        zone.AssertAllMerged();
    }

    [Fact]
    public void Large_blocks_pass_the_lists_by()
    {
        using TestZone zone = new();
        Page* head = Zone.AllocateBlock(zone, Order.ListedMax + 1, Mobility.Movable, 0);
        Zone.FreeBlock(zone, head, 0);
        Assert.Equal(0, zone.Statistics.ListedPages);
        zone.AssertAllMerged();
    }
}
