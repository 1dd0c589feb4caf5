using System;
using System.Runtime.InteropServices;
using Kmem.Engine;
using Kmem.Engine.Os;
using Kmem.Engine.Pages;
using Xunit;

namespace Kmem.Tests.Unit;

/// <summary>A zone in native memory for the length of a test, on the real system or on a failing one.</summary>
internal sealed unsafe class TestZone : IDisposable
{
    public const nuint MiB = 1 << 20;

    private readonly OsTable* _ownTable;

    public TestZone(nuint reserveBytes = 64 * MiB, bool growable = false, int cpuCount = 2, OsTable* os = null, nuint capacityBytes = 0)
    {
        if (os == null)
        {
            _ownTable = (OsTable*)NativeMemory.AllocZeroed((nuint)sizeof(OsTable));
            Face.SelectOs(_ownTable);
            os = _ownTable;
        }

        Pointer = (Zone*)NativeMemory.AllocZeroed((nuint)sizeof(Zone));
        ZoneOptions options = new() { ReserveBytes = reserveBytes, Growable = growable, CpuCount = cpuCount, CapacityBytes = capacityBytes };
        Initialized = Zone.Initialize(Pointer, os, &options);
    }

    public Zone* Pointer { get; }

    public bool Initialized { get; }

    public ZoneStatistics Statistics
    {
        get
        {
            ZoneStatistics statistics;
            Zone.ReadStatistics(Pointer, &statistics);
            return statistics;
        }
    }

    public static implicit operator Zone*(TestZone zone) => zone.Pointer;

    /// <summary>Nothing is allocated, and all of it merged to blocks of the largest order.</summary>
    public void AssertAllMerged()
    {
        Zone.DrainPageLists(Pointer);
        Assert.Equal(ZoneFault.None, Zone.Validate(Pointer));
        ZoneStatistics statistics = Statistics;
        Assert.Equal(0, statistics.AllocatedPages);
        Assert.Equal(0, statistics.ListedPages);
        Assert.Equal(statistics.TotalPages, statistics.FreePages);
        Assert.Equal(statistics.TotalPages, statistics.FreeBlocks[Order.Max] << Order.Max);
    }

    public void Dispose()
    {
        if (Initialized)
        {
            Zone.Destroy(Pointer);
        }

        NativeMemory.Free(Pointer);
        NativeMemory.Free(_ownTable);
    }
}
