using System.Collections.Generic;
using Kmem.Engine.Pages;
using Xunit;

namespace Kmem.Tests.Unit.Pages;

public sealed unsafe class ZoneFailureTests
{
    private const nuint MiB = TestZone.MiB;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Whichever_single_call_fails_the_zone_stays_whole_and_a_retry_works(bool growable)
    {
        for (long call = 0; ; call++)
        {
            using FailingOs os = new();
            os.FailAt(call);
            if (SweepOnce(os, growable))
            {
                Assert.True(call > 8, $"the scenario makes more than {call} calls");
                return;
            }
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void From_whichever_call_on_everything_fails_the_zone_stays_whole_and_a_retry_works(bool growable)
    {
        for (long call = 0; ; call++)
        {
            using FailingOs os = new();
            os.FailAllFrom(call);
            if (SweepOnce(os, growable))
            {
                return;
            }
        }
    }

    /// <summary>Where addresses are few, metadata for a TiB of pages would be most of them.</summary>
    [Fact]
    public void A_capacity_bounds_the_addresses_of_the_metadata_and_what_all_ranges_hold_together()
    {
        using FailingOs os = new();
        using (TestZone zone = new(8 * MiB, growable: true, os: os.Table, capacityBytes: 40 * MiB))
        {
            Assert.True(zone.Initialized);
            Assert.InRange((nuint)os.ReservedBytes, 8 * MiB, 10 * MiB);
            List<nint> blocks = [];
            for (Page* head; (head = Zone.AllocateBlock(zone, Order.Max, Mobility.Movable, 0)) != null;)
            {
                blocks.Add((nint)head);
                *(byte*)Zone.AddressOf(zone, head) = 1;
            }

            Assert.Equal(40 * MiB, (nuint)blocks.Count << (Order.Max + 12));
            blocks.ForEach(each => Zone.FreeBlock(zone, (Page*)each, 0));
            zone.AssertAllMerged();
        }

        Assert.Equal(0, os.ReservedBytes);

        // One that the first range does not fit in counts as none.
        using TestZone without = new(8 * MiB, growable: true, os: os.Table, capacityBytes: 4 * MiB);
        Assert.True(without.Initialized);
        Assert.True((nuint)os.ReservedBytes > 1024 * MiB);
    }

    [Fact]
    public void A_system_that_refuses_everything_gives_no_zone_and_leaves_nothing_behind()
    {
        foreach (OsCalls calls in new[] { OsCalls.Reserve, OsCalls.Commit })
        {
            using FailingOs os = new();
            os.FailAllFrom(0, calls);
            using (TestZone zone = new(reserveBytes: 0, growable: true, os: os.Table))
            {
                Assert.False(zone.Initialized);
                Assert.True(zone.Pointer->Os == null);
            }

            Assert.Equal(0, os.ReservedBytes);
        }
    }

    [Fact]
    public void A_refused_reservation_is_tried_again_at_half_the_size()
    {
        using FailingOs os = new();
        os.FailAt(0, OsCalls.Reserve, 3);
        using (TestZone zone = new(reserveBytes: 64 * MiB, os: os.Table))
        {
            Assert.True(zone.Initialized);
            Assert.Equal(8 * MiB, zone.Statistics.ReservedBytes);
        }

        Assert.Equal(0, os.ReservedBytes);
    }

    [Fact]
    public void A_refused_growth_steals_what_there_is()
    {
        using FailingOs os = new();
        using TestZone zone = new(reserveBytes: 64 * MiB, os: os.Table);
        List<nint> heads = [];

        // Three of four blocks of 16 pages are in use: no pageblock is half free, so none may be claimed.
        for (int block = 0; block < 64; block++)
        {
            heads.Add((nint)Zone.AllocateBlock(zone, 4, Mobility.Movable, 0));
        }

        for (int block = 0; block < heads.Count; block += 4)
        {
            Zone.FreeBlock(zone, (Page*)heads[block], 0);
        }

        Assert.Equal(ZoneFault.None, Zone.Validate(zone));
        os.FailAllFrom(0, OsCalls.Commit);
        long allocated = zone.Statistics.AllocatedPages;
        Page* stolen;
        while ((stolen = Zone.AllocateBlock(zone, 4, Mobility.Unmovable, 0)) != null)
        {
            Assert.Equal(Mobility.Unmovable, stolen->Mobility);
            allocated += 16;
        }

        Assert.Equal(1024, allocated);
        Assert.Equal(1024, zone.Statistics.AllocatedPages);
        Assert.Equal(16, zone.Statistics.BlocksStolen);
        Assert.Equal(0, zone.Statistics.PageblocksClaimed);
        Assert.True(os.Failures > 0);
        Assert.Equal(ZoneFault.None, Zone.Validate(zone));
        os.FailNothing();
        Assert.True(Zone.AllocateBlock(zone, 4, Mobility.Unmovable, 0) != null);
        Assert.Equal(2048, zone.Statistics.TotalPages);
    }

    /// <summary>Runs the scenario with failures, then without. True when no call failed.</summary>
    private static bool SweepOnce(FailingOs os, bool growable)
    {
        bool untouched;
        using (TestZone zone = new(reserveBytes: 32 * MiB, growable: growable, os: os.Table))
        {
            if (zone.Initialized)
            {
                _ = Scenario(zone);
                zone.AssertAllMerged();
            }

            untouched = os.Failures == 0;
            os.FailNothing();
            if (zone.Initialized && zone.Statistics.ReservedBytes >= 32 * MiB)
            {
                Assert.True(Scenario(zone));
                zone.AssertAllMerged();
            }
        }

        Assert.Equal(0, os.ReservedBytes);
        return untouched;
    }

    /// <summary>A bit of everything that calls the OS; gives back all it got. True when every request was served.</summary>
    private static bool Scenario(TestZone zone)
    {
        List<nint> blocks = [];
        bool served = true;
        for (int order = 0; order <= Order.Max; order++)
        {
            Page* block = Zone.AllocateBlock(zone, order, (Mobility)(order % 3), order);
            served &= block != null;
            if (block != null)
            {
                *(byte*)Zone.AddressOf(zone, block) = 1;
                blocks.Add((nint)block);
            }

            Assert.Equal(ZoneFault.None, Zone.Validate(zone));
        }

        Page* run = Zone.AllocateRun(zone, 1025, 4096, Mobility.Movable);
        Assert.Equal(ZoneFault.None, Zone.Validate(zone));
        served &= run != null;
        if (run != null)
        {
            served &= Zone.ResizeRun(zone, run, 2);
            _ = Zone.ResizeRun(zone, run, 1800);
            Assert.Equal(ZoneFault.None, Zone.Validate(zone));
            Zone.FreeRun(zone, run);
        }

        blocks.ForEach(block => Zone.FreeBlock(zone, (Page*)block, 0));
        Zone.DrainPageLists(zone);
        _ = Zone.Purge(zone, long.MaxValue / 2, 0);
        Assert.Equal(ZoneFault.None, Zone.Validate(zone));
        if (zone.Pointer->Growable)
        {
            Page* large = Zone.AllocateRun(zone, 9000, 4096, Mobility.Movable);
            served &= large != null;
            Assert.Equal(ZoneFault.None, Zone.Validate(zone));
            if (large != null)
            {
                Zone.FreeRun(zone, large);
            }
        }

        return served;
    }
}
