using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Runtime.InteropServices;
using Kmem.Engine.Pages;
using Xunit;

namespace Kmem.Tests.Unit.Pages;

/// <summary>Runs alone: it reads the resident size of the process.</summary>
[CollectionDefinition(nameof(ResidentSize), DisableParallelization = true)]
public sealed class ResidentSize;

[Collection(nameof(ResidentSize))]
public sealed unsafe class PurgeTests
{
    private const nuint MiB = TestZone.MiB;

    [Fact]
    public void Purged_memory_leaves_the_resident_size()
    {
        Assert.SkipUnless(RuntimeInformation.IsOSPlatform(OSPlatform.Linux), "reads /proc/self/statm");
        using TestZone zone = new(reserveBytes: 256 * MiB);
        Page* run = Zone.AllocateRun(zone, (48 * MiB) >> 12, 4096, Mobility.Movable);
        Touch(zone, run, (48 * MiB) >> 12);
        List<nint> blocks = [];
        for (nuint page = 0; page < (16 * MiB) >> 12; page++)
        {
            Page* block = Zone.AllocateBlock(zone, 0, Mobility.Unmovable, 0);
            Touch(zone, block, 1);
            blocks.Add((nint)block);
        }

        Zone.FreeRun(zone, run);
        blocks.ForEach(block => Zone.FreeBlock(zone, (Page*)block, 0));
        Zone.DrainPageLists(zone);
        long before = ResidentBytes();
        nuint purged = Zone.Purge(zone, long.MaxValue / 2, 0);
        long fallen = before - ResidentBytes();
        TestContext.Current.TestOutputHelper?.WriteLine($"purged {purged >> 20} MiB, resident size fell by {fallen >> 20} MiB of 64");
        Assert.True(purged >= 64 * MiB);
        Assert.True(fallen >= (long)(64 * MiB) * 95 / 100, $"fell by {fallen} bytes");
        Assert.Equal(zone.Statistics.FreePages, zone.Statistics.PurgedPages);
        zone.AssertAllMerged();
    }

    [Fact]
    public void Only_what_has_been_free_long_enough_is_purged()
    {
        using FailingOs os = new();
        os.Now = 1000;
        using TestZone zone = new(reserveBytes: 64 * MiB, os: os.Table);
        Page* old = Zone.AllocateBlock(zone, Order.Max, Mobility.Movable, 0);
        Page* young = Zone.AllocateBlock(zone, Order.Max, Mobility.Movable, 0);
        Zone.FreeBlock(zone, old, 0);
        os.Now = 1900;
        Zone.FreeBlock(zone, young, 0);
        Assert.Equal(0, zone.Statistics.PurgedPages);
        Assert.Equal((nuint)0, Zone.Purge(zone, 1999, 1000));
        Assert.Equal(4 * MiB, Zone.Purge(zone, 2000, 1000));
        Assert.Equal(PageFlags.Purged, old->Flags);
        Assert.Equal(PageFlags.None, young->Flags);
        Assert.Equal(1024, zone.Statistics.PurgedPages);
        Assert.Equal((nuint)0, Zone.Purge(zone, 2000, 1000));
        Assert.Equal(4 * MiB, Zone.Purge(zone, 2000, 0));
        zone.AssertAllMerged();
    }

    [Fact]
    public void What_the_system_refuses_to_take_stays_dirty()
    {
        using FailingOs os = new();
        using TestZone zone = new(reserveBytes: 64 * MiB, os: os.Table);
        Page* block = Zone.AllocateBlock(zone, Order.Max, Mobility.Movable, 0);
        *(byte*)Zone.AddressOf(zone, block) = 1;
        Zone.FreeBlock(zone, block, 0);
        os.FailAllFrom(0, OsCalls.Purge);
        Assert.Equal((nuint)0, Zone.Purge(zone, long.MaxValue / 2, 0));
        Assert.Equal(0, zone.Statistics.PurgedPages);
        zone.AssertAllMerged();
        os.FailNothing();
        Assert.Equal(4 * MiB, Zone.Purge(zone, long.MaxValue / 2, 0));
        Assert.Equal(1024, zone.Statistics.PurgedPages);
    }

    [Fact]
    public void Purged_blocks_are_handed_out_last_and_read_as_zero()
    {
        using TestZone zone = new(reserveBytes: 64 * MiB);
        Page* first = Zone.AllocateBlock(zone, Order.Max, Mobility.Movable, 0);
        Page* second = Zone.AllocateBlock(zone, Order.Max, Mobility.Movable, 0);
        Touch(zone, first, 1024);
        Touch(zone, second, 1024);
        Zone.FreeBlock(zone, first, 0);
        Zone.Purge(zone, long.MaxValue / 2, 0);
        Zone.FreeBlock(zone, second, 0);
        Page* dirty = Zone.AllocateBlock(zone, Order.Max, Mobility.Movable, 0);
        Page* purged = Zone.AllocateBlock(zone, Order.Max, Mobility.Movable, 0);
        Assert.True(dirty == second && dirty->Flags == PageFlags.None);
        Assert.True(purged == first && purged->Flags == PageFlags.Purged);
        ReadOnlySpan<byte> contents = new(Zone.AddressOf(zone, purged), 4 << 20);
        Assert.Equal(-1, contents.IndexOfAnyExcept((byte)0));
    }

    [Fact]
    public void Neighbours_go_back_in_one_call()
    {
        using FailingOs os = new();
        using TestZone zone = new(reserveBytes: 64 * MiB, os: os.Table);
        Page* run = Zone.AllocateRun(zone, 8 * 1024, 4096, Mobility.Movable);
        Zone.FreeRun(zone, run);
        long before = os.Purges;
        Assert.Equal(32 * MiB, Zone.Purge(zone, long.MaxValue / 2, 0));
        Assert.Equal(2, os.Purges - before);
    }

    private static void Touch(Zone* zone, Page* head, nuint pages)
    {
        byte* start = (byte*)Zone.AddressOf(zone, head);
        for (nuint page = 0; page < pages; page++)
        {
            start[page << 12] = 1;
        }
    }

    private static long ResidentBytes()
    {
        string[] fields = File.ReadAllText("/proc/self/statm").Split(' ');
        return long.Parse(fields[1], CultureInfo.InvariantCulture) * Environment.SystemPageSize;
    }
}
