using System;
using Kmem.Engine;
using Kmem.Engine.Caches;
using Kmem.Engine.Pages;
using Kmem.Engine.Sized;
using Kmem.Engine.Slabs;
using Xunit;

namespace Kmem.Tests.Unit.Sized;

/// <summary>A heap of the engine, without fronts, for the length of a test: on the real system or on a failing one.</summary>
internal sealed unsafe class TestHeap : IDisposable
{
    public TestHeap(KmemFrontEnd frontEnd, FailingOs? os = null, nuint reserveBytes = 256 * TestZone.MiB)
    {
        HeapDefinition definition = new()
        {
            Os = os != null ? *os.Table : Face.SelectOs(),
            ReserveBytes = reserveBytes,
            CpuCount = Face.CpuCountMax(),
            Restartable = frontEnd == KmemFrontEnd.RestartableSequences,
        };
        Pointer = SizedHeap.Create(&definition);
        Assert.True(Pointer != null);
    }

    public SizedHeap* Pointer { get; }

    public CacheRegistry* Registry => &Pointer->Registry;

    public ZoneStatistics Pages
    {
        get
        {
            ZoneStatistics statistics;
            Zone.ReadStatistics(&Pointer->Zone, &statistics);
            return statistics;
        }
    }

    public static implicit operator SizedHeap*(TestHeap heap) => heap.Pointer;

    public Cache* CreateCache(uint sizeBytes, CacheFlags flags = CacheFlags.None, bool hasMagazines = true)
    {
        CacheDefinition definition = new()
        {
            Layout = SlabLayout.Compute(sizeBytes, 0, SlabRule.Default, Registry->CpuCount, false),
            Flags = flags,
            HasMagazines = hasMagazines,
        };
        Cache* cache = CacheRegistry.Create(Registry, &definition);
        Assert.True(cache != null);
        return cache;
    }

    /// <summary>Every cache and the zone hold together.</summary>
    public void AssertValid()
    {
        for (int index = 1; index < Registry->Count; index++)
        {
            Assert.Equal(SlabListsFault.None, Cache.Validate(CacheRegistry.At(Registry, index), out bool magazinesAreValid));
            Assert.True(magazinesAreValid);
        }

        Assert.Equal(ZoneFault.None, Zone.Validate(&Pointer->Zone));
        Assert.Equal(0, Registry->DoubleFrees);
    }

    /// <summary>Nobody holds anything: after a trim no page is in use.</summary>
    public void AssertEmptyAfterTrim()
    {
        _ = SizedHeap.Trim(Pointer);
        AssertValid();
        Assert.Equal(0, Pages.AllocatedPages);
    }

    public void Dispose() => SizedHeap.Destroy(Pointer);
}
