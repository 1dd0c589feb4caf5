using System.Threading;
using Xunit;

namespace Kmem.Tests.Stress;

/// <summary>The head of a block speaks for it at every moment, also while the slab layer turns the block into a slab and back.</summary>
public sealed unsafe class HeadTests
{
    private const int Validations = 20_000;

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void A_heap_validates_while_slabs_of_many_pages_come_and_go(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache cache = new("large", 9000, new KmemCacheOptions { Heap = heap, Flags = KmemCacheFlags.NoMagazines });
        Crew crew = new();
        int cycles = 0;
        crew.Add(() =>
        {
            while (!crew.IsStopped)
            {
                cache.Free(cache.Alloc());
                cache.Shrink();
                Interlocked.Increment(ref cycles);
            }
        });
        crew.Add(() =>
        {
            try
            {
                for (int validation = 0; validation < Validations && !crew.IsStopped; validation++)
                {
                    heap.Validate();
                }
            }
            finally
            {
                crew.Stop();
            }
        });
        crew.Join();
        Assert.True(cycles > 1000, $"only {cycles} slabs came and went");
    }
}
