using System.Threading;
using Kmem.Engine.Caches;
using Kmem.Engine.Primitives;
using Kmem.Engine.Sized;
using Kmem.Engine.Slabs;
using Kmem.Tests.Unit.Sized;
using Xunit;

namespace Kmem.Tests.Unit.Caches;

/// <summary>Maintenance that whoever comes by does, if nobody else is at it.</summary>
public sealed unsafe class MaintenanceTests
{
    private static SizedHeap* s_heap;
    private static int s_destroyed;

    [Fact]
    public void Who_finds_maintenance_under_way_goes_on()
    {
        using TestHeap heap = new(KmemFrontEnd.TryLock);
        RankedLock.Enter(&heap.Registry->ReaperLock, LockRank.Reaper);
        bool done = true;
        Thread other = new(() => done = Reaper.TryMaintain(heap.Registry));
        other.Start();
        other.Join();
        RankedLock.Exit(&heap.Registry->ReaperLock, LockRank.Reaper);
        Assert.False(done);
        Assert.True(Reaper.TryMaintain(heap.Registry));
        Assert.False(RankedLock.IsHeld(&heap.Registry->ReaperLock));
    }

    /// <summary>A destructor that frees comes to slow rungs, and those to maintenance.</summary>
    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void A_destructor_may_come_to_maintenance_while_its_cache_is_trimmed_and_ended(KmemFrontEnd frontEnd)
    {
        using TestHeap heap = new(frontEnd);
        s_heap = heap;
        s_destroyed = 0;
        CacheDefinition definition = new()
        {
            Layout = SlabLayout.Compute(64, 0, SlabRule.Default, heap.Registry->CpuCount, false),
            HasMagazines = true,
            Destructor = &FreeAndMaintain,
        };
        Cache* cache = CacheRegistry.Create(heap.Registry, &definition);
        for (int round = 1; round <= 2; round++)
        {
            void** item = (void**)Cache.Allocate(cache);
            *item = SizedHeap.Allocate(heap, 100);
            Assert.True(Cache.Free(cache, item));
            _ = round == 1 ? SizedHeap.Trim(heap) : 0;
        }

        Assert.True(Cache.TryDestroy(cache));
        Assert.Equal(2, s_destroyed);
        heap.AssertEmptyAfterTrim();
    }

    private static void FreeAndMaintain(void* item, void* context)
    {
        s_destroyed += SizedHeap.Free(s_heap, *(void**)item) == Misuse.None ? 1 : 0;
        _ = SizedHeap.TryMaintain(s_heap, 0);
    }
}
