using System.Collections.Generic;
using Kmem.Engine.Pages;
using Xunit;

namespace Kmem.Tests.Unit.Pages;

public sealed unsafe class ZoneRunTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(600)]
    [InlineData(1024)]
    [InlineData(1025)]
    [InlineData(5000)]
    public void A_run_costs_exactly_its_pages(int pages)
    {
        using TestZone zone = new(reserveBytes: 64 * TestZone.MiB);
        Page* head = Zone.AllocateRun(zone, (nuint)pages, 4096, Mobility.Movable);
        Assert.True(head != null);
        Assert.Equal(PageKind.Run, head->Kind);
        Assert.Equal((ulong)pages, head->Payload.Pages);
        Assert.Equal(PageFlags.Purged, head->Flags);
        Assert.Equal(pages, zone.Statistics.AllocatedPages);
        Assert.Equal(ZoneFault.None, Zone.Validate(zone));
        byte* start = (byte*)Zone.AddressOf(zone, head);
        for (int page = 0; page < pages; page++)
        {
            Assert.Equal(0, start[page << 12]);
            start[page << 12] = 1;
            Assert.True(Zone.HeadOf(zone, Zone.PageOf(zone, start + (page << 12))) == head);
        }

        Zone.FreeRun(zone, head);
        zone.AssertAllMerged();
    }

    [Theory]
    [InlineData(1, 1 << 14)]
    [InlineData(5, 1 << 20)]
    [InlineData(700, 4 << 20)]
    [InlineData(3, 8 << 20)]
    [InlineData(2000, 16 << 20)]
    public void A_run_has_the_alignment_asked_for(int pages, int alignment)
    {
        using TestZone zone = new(reserveBytes: 128 * TestZone.MiB);
        List<nint> heads = [];
        for (int run = 0; run < 3; run++)
        {
            Page* head = Zone.AllocateRun(zone, (nuint)pages, (nuint)alignment, Mobility.Movable);
            Assert.True(head != null);
            Assert.Equal((nuint)0, (nuint)Zone.AddressOf(zone, head) % (nuint)alignment);
            heads.Add((nint)head);
            Assert.Equal(ZoneFault.None, Zone.Validate(zone));
        }

        heads.ForEach(head => Zone.FreeRun(zone, (Page*)head));
        zone.AssertAllMerged();
    }

    [Fact]
    public void What_no_zone_can_hold_is_refused()
    {
        using TestZone zone = new(reserveBytes: 16 * TestZone.MiB);
        Assert.True(Zone.AllocateRun(zone, 4097, 4096, Mobility.Movable) == null);
        Assert.True(Zone.AllocateRun(zone, nuint.MaxValue >> 12, 4096, Mobility.Movable) == null);
        Assert.True(Zone.AllocateRun(zone, nuint.MaxValue, 4096, Mobility.Movable) == null);
        Assert.True(Zone.AllocateRun(zone, 1, (nuint)1 << 63, Mobility.Movable) == null);
        Assert.True(Zone.AllocateRun(zone, 4096, 4096, Mobility.Movable) != null);
        Assert.Equal(ZoneFault.None, Zone.Validate(zone));
    }

    [Fact]
    public void A_run_shrinks_and_grows_back_in_place()
    {
        using TestZone zone = new(reserveBytes: 64 * TestZone.MiB);
        Page* head = Zone.AllocateRun(zone, 5000, 4096, Mobility.Movable);
        foreach (int pages in new[] { 4999, 1, 2, 1023, 1500, 9000, 9000, 3, 16384 })
        {
            Assert.True(Zone.ResizeRun(zone, head, (nuint)pages));
            Assert.Equal((ulong)pages, head->Payload.Pages);
            Assert.Equal(pages, zone.Statistics.AllocatedPages);
            Assert.Equal(ZoneFault.None, Zone.Validate(zone));
        }

        Assert.False(Zone.ResizeRun(zone, head, 16385));
        Zone.FreeRun(zone, head);
        zone.AssertAllMerged();
    }

    [Fact]
    public void A_run_does_not_grow_over_its_neighbour()
    {
        using TestZone zone = new(reserveBytes: 16 * TestZone.MiB);
        Page* first = Zone.AllocateRun(zone, 4, 4096, Mobility.Movable);
        Page* second = Zone.AllocateRun(zone, 4, 4096, Mobility.Movable);
        Assert.True(second == first + 4);
        Assert.False(Zone.ResizeRun(zone, first, 5));
        Assert.True(Zone.ResizeRun(zone, second, 13));
        Assert.True(Zone.HeadOf(zone, second + 12) == second);
        Assert.True(Zone.HeadOf(zone, second + 8) == second);
        Assert.Equal(ZoneFault.None, Zone.Validate(zone));
        Zone.FreeRun(zone, first);
        Zone.FreeRun(zone, second);
        zone.AssertAllMerged();
    }

    [Fact]
    public void Long_runs_reuse_what_long_runs_left()
    {
        using TestZone zone = new(reserveBytes: 64 * TestZone.MiB);
        Page* first = Zone.AllocateRun(zone, 4000, 4096, Mobility.Movable);
        Page* second = Zone.AllocateRun(zone, 4000, 4096, Mobility.Movable);
        Zone.FreeRun(zone, first);
        Page* third = Zone.AllocateRun(zone, 3000, 4096, Mobility.Movable);
        Assert.True(third == first);
        Assert.Equal(PageFlags.None, third->Flags);
        Assert.Equal(8192, zone.Statistics.TotalPages);
        Zone.FreeRun(zone, second);
        Zone.FreeRun(zone, third);
        zone.AssertAllMerged();
    }

    [Fact]
    public void A_growable_zone_adds_ranges_and_finds_their_pages()
    {
        using TestZone zone = new(reserveBytes: 4 * TestZone.MiB, growable: true);
        List<nint> heads = [];
        for (int run = 1; run <= 8; run++)
        {
            Page* head = Zone.AllocateRun(zone, (nuint)(run * 1024), 4096, Mobility.Movable);
            Assert.True(head != null);
            byte* start = (byte*)Zone.AddressOf(zone, head);
            start[0] = (byte)run;
            start[(run * 1024 * 4096) - 1] = (byte)run;
            Page* last = Zone.PageOf(zone, start + (run * 1024 * 4096) - 1);
            Assert.True(last == head + (run * 1024) - 1);
            Assert.True(Zone.HeadOf(zone, last) == head);
            heads.Add((nint)head);
        }

        Assert.InRange(zone.Statistics.Ranges, 2, Arena.CountMax);
        Assert.True(Zone.PageOf(zone, null) == null);
        int onTheStack;
        Assert.True(Zone.PageOf(zone, &onTheStack) == null);
        Assert.Equal(ZoneFault.None, Zone.Validate(zone));
        heads.ForEach(head => Zone.FreeRun(zone, (Page*)head));
        zone.AssertAllMerged();
    }
}
