using System;
using System.Collections.Generic;
using Kmem.Engine;
using Kmem.Engine.Caches;
using Kmem.Engine.Os;
using Kmem.Engine.Primitives;
using Kmem.Engine.Sized;
using Kmem.Engine.Slabs;
using Xunit;

namespace Kmem.Tests.Unit.Caches;

/// <summary>
/// A heap whose threads have fronts, and a cache in it. Tests say which front they mean, and call the front's rungs themselves: the face keeps the fronts
/// of the shared heap only, so that nothing here may ask it for one.
/// </summary>
internal sealed unsafe class TestFronts : IDisposable
{
    public const int ObjectBytes = 64;

    public TestFronts(FailingOs? os = null, int capacity = 0, uint countMax = ThreadFronts.CountMax)
    {
        Assert.SkipUnless(FaceStubs.Available, "This machine has no restartable sequences.");
        HeapDefinition definition = new()
        {
            Os = os != null ? *os.Table : Face.SelectOs(),
            ReserveBytes = 256 << 20,
            CpuCount = Face.CpuCountMax(),
            Restartable = true,
            FrontCountMax = countMax,
        };
        Heap = SizedHeap.Create(&definition);
        if (Heap == null)
        {
            return;
        }

        CacheDefinition cache = new()
        {
            Layout = SlabLayout.Compute(ObjectBytes, 0, SlabRule.Default, definition.CpuCount, false),
            HasMagazines = true,
        };
        Cache = CacheRegistry.Create(Registry, &cache);
        Assert.True(Cache != null && Cache->FrontOffset != 0);
        if (capacity != 0)
        {
            (Cache->Capacity, Cache->CapacityLeast, Cache->CapacityMost) = (capacity, capacity, capacity);
        }
    }

    /// <summary>Null when the operating system refused.</summary>
    public SizedHeap* Heap { get; }

    public CacheRegistry* Registry => &Heap->Registry;

    public Cache* Cache { get; }

    /// <summary>Objects that are neither in slabs nor in fronts, CPUs or the depot.</summary>
    public long Live => (Cache->Slabs.Slabs * Cache->Slabs.Layout.Objects) - Cache->Slabs.FreeObjects
        - ThreadFronts.CountRounds(Cache) - Engine.Caches.Cache.CountInMagazines(Cache) - Engine.Caches.Cache.CountInDepot(Cache);

    public ThreadFront* Create()
    {
        ThreadFront* front = ThreadFronts.Create(Registry);
        Assert.True(front != null);
        return front;
    }

    public nuint* EntryOf(ThreadFront* front) => ThreadFront.EntryOf(front, Cache);

    /// <summary>Rung 0, inlined part and slow one; null when neither has any.</summary>
    public void* Allocate(ThreadFront* front) =>
        ThreadFront.TryPop(front, EntryOf(front), out void* round) ? round : (void*)ThreadFront.AllocateSlow(front, Cache);

    public bool Free(ThreadFront* front, void* round) => Free(front, round, out _);

    public bool Free(ThreadFront* front, void* round, out bool isTwice)
    {
        isTwice = false;
        return ThreadFront.TryPush(front, EntryOf(front), round) || ThreadFront.FreeSlow(front, Cache, round, out isTwice);
    }

    public List<nint> AllocateMany(ThreadFront* front, int count)
    {
        List<nint> objects = [];
        for (int index = 0; index < count; index++)
        {
            void* round = Allocate(front);
            Assert.True(round != null);
            objects.Add((nint)round);
        }

        return objects;
    }

    public void FreeMany(ThreadFront* front, IEnumerable<nint> objects)
    {
        foreach (nint each in objects)
        {
            Assert.True(Free(front, (void*)each));
        }
    }

    /// <summary>The cache is whole, and when everything is emptied not one slab is left.</summary>
    public void AssertEmptyAfterDrain()
    {
        AssertValid();
        Assert.Equal(0, Live);
        _ = Engine.Caches.Cache.Shrink(Cache);
        AssertValid();
        Assert.Equal(0, Cache->Slabs.Slabs);
        Assert.Equal(0, Registry->DoubleFrees);
    }

    public void AssertValid()
    {
        Assert.Equal(SlabListsFault.None, Engine.Caches.Cache.Validate(Cache, out bool magazinesAreValid));
        Assert.True(magazinesAreValid);
    }

    public void Dispose()
    {
        if (Heap != null)
        {
            SizedHeap.Destroy(Heap);
        }
    }
}
