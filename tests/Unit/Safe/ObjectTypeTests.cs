using System;
using Kmem.Tests.Unit.Surface;
using Xunit;

namespace Kmem.Tests.Unit.Safe;

/// <summary>Types whose objects construct and destroy themselves.</summary>
public sealed class ObjectTypeTests
{
    private struct Counter : IKmemObject<Counter>
    {
        public static int Constructed;
        public static int Destroyed;
        public static bool Refuses;

        public int Mark;
        public int Uses;

        public static void Construct(ref Counter self)
        {
            if (Refuses)
            {
                throw new InvalidOperationException("no counters today");
            }

            Constructed++;
            self = new Counter { Mark = 77 };
        }

        public static void Destroy(ref Counter self)
        {
            Assert.Equal(77, self.Mark);
            Destroyed++;
        }
    }

    [Fact]
    public void Objects_come_constructed_and_end_destroyed()
    {
        Counter.Constructed = Counter.Destroyed = 0;
        using KmemHeap heap = SurfaceHeap.Make(KmemFrontEnd.Auto);
        using (KmemCache<Counter> counters = KmemCache.OfObjects<Counter>(options: new KmemCacheOptions { Heap = heap }))
        {
            Assert.Equal("Counter", counters.Name);
            for (int times = 1; times <= 10; times++)
            {
                using KmemOwned<Counter> counter = counters.Rent();
                Assert.Equal(77, counter.Value.Mark);
                counter.Value.Uses++;
            }

            Assert.InRange(Counter.Constructed, 1, 9);
        }

        Assert.Equal(Counter.Constructed, Counter.Destroyed);
    }

    [Fact]
    public void What_a_constructor_throws_reaches_the_caller()
    {
        using KmemHeap heap = SurfaceHeap.Make(KmemFrontEnd.Auto);
        using KmemCache<Counter> counters = KmemCache.OfObjects<Counter>("refusing", new KmemCacheOptions { Heap = heap });
        Counter.Refuses = true;
        try
        {
            Assert.Equal("no counters today", Assert.Throws<InvalidOperationException>(counters.Rent).Message);
        }
        finally
        {
            Counter.Refuses = false;
        }

        counters.Rent().Dispose();
    }

    [Fact]
    public unsafe void A_second_constructor_is_refused()
    {
        KmemCacheOptions options = new() { Context = (void*)8 };
        Assert.Throws<ArgumentException>(() => KmemCache.OfObjects<Counter>("twice", options));
    }
}
