using System.Collections.Generic;
using System.Linq;
using System.Threading;
using Kmem.Engine;
using Kmem.Engine.Caches;
using Xunit;

namespace Kmem.Tests.Unit.Caches;

/// <summary>How many threads a heap has fronts for.</summary>
public sealed unsafe class FrontCountTests
{
    [Fact]
    public void A_heap_made_for_fewer_threads_reserves_less_and_a_thread_more_than_that_works_without_a_front()
    {
        const int CountMax = 3;
        using TestFronts fronts = new(countMax: CountMax);
        using TestFronts many = new();
        Assert.Equal((ThreadFronts.CountMax - CountMax) * (nuint)ThreadFront.SizeBytes, ThreadFronts.ReservedBytes(many.Registry) - ThreadFronts.ReservedBytes(fronts.Registry));
        for (int index = 0; index < CountMax; index++)
        {
            Assert.True(ThreadFronts.Take(fronts.Registry) == ThreadFronts.At(fronts.Registry, index));
        }

        // Its window would be behind the last front, if the windows did not begin there.
        ThreadFront* last = ThreadFronts.At(fronts.Registry, CountMax - 1);
        Assert.True((byte*)(last + 1) <= (byte*)fronts.Registry->Fronts.Windows);
        fronts.FreeMany(last, fronts.AllocateMany(last, 10));
        List<nint> objects = [];
        Thread without = new(() =>
        {
            Assert.True(ThreadFronts.Take(fronts.Registry) == null);
            for (int index = 0; index < 1000; index++)
            {
                objects.Add((nint)Cache.Allocate(fronts.Cache));
            }

            objects.ForEach(each => Assert.True(Cache.Free(fronts.Cache, (void*)each)));
            Assert.True(Face.CurrentFront() == null);
        });
        without.Start();
        without.Join();
        Assert.Equal(1000, objects.Distinct().Count());
        Assert.Equal(CountMax, ThreadFronts.Count(fronts.Registry));
        fronts.AssertEmptyAfterDrain();
    }
}
