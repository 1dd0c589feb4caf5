using System;
using System.Collections.Concurrent;
using System.Linq;
using System.Threading;
using Xunit;

namespace Kmem.Tests.Stress;

/// <summary>Objects that outlive their thread: generations of threads that take over what their predecessors left, and die.</summary>
public sealed unsafe class GenerationsTests(ITestOutputHelper output)
{
    private const int Lines = 4;
    private const int Generations = 40;
    private const int LiveOfLine = 500;
    private const int StepsOfLife = 3000;

    public static TheoryData<KmemFrontEnd> FrontEnds => StormTests.FrontEnds;

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void Threads_hand_their_objects_on_and_die(KmemFrontEnd frontEnd)
    {
        int seed = Environment.TickCount;
        output.WriteLine($"seed {seed}");
        using KmemHeap heap = new(new KmemHeapOptions { FrontEnd = frontEnd, MaintenanceIntervalMilliseconds = 0 });
        Crew crew = new();
        for (int line = 0; line < Lines; line++)
        {
            int number = line;
            crew.Add(() => RunLine(heap, number, seed));
        }

        crew.Join();
        heap.Validate();
        Assert.Equal(0, heap.GetStatistics().Caches.Where(cache => !cache.IsInternal).Sum(cache => cache.LiveObjects));
        Assert.Equal(0, heap.GetStatistics().LargeAllocations);
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void Producers_allocate_and_consumers_free_while_caches_come_and_go(KmemFrontEnd frontEnd)
    {
        const int Items = 200_000;
        using KmemHeap heap = new(new KmemHeapOptions { FrontEnd = frontEnd, MaintenanceIntervalMilliseconds = 0 });
        using KmemCache cache = new("parcel", 64, new KmemCacheOptions { Heap = heap });
        using BlockingCollection<Parcel> belt = new(1000);
        Crew crew = new();
        int producersLeft = 2;
        for (int producer = 0; producer < 2; producer++)
        {
            int number = producer;
            crew.Add(() =>
            {
                for (int item = 0; item < Items; item++)
                {
                    Parcel parcel = new((nint)cache.Alloc(), 64, ((long)number << 40) | (uint)(item + 1));
                    Ownership.Mark(parcel.Address, parcel.SizeBytes, parcel.Tag);
                    belt.Add(parcel);
                }

                if (Interlocked.Decrement(ref producersLeft) == 0)
                {
                    belt.CompleteAdding();
                }
            });
            crew.Add(() =>
            {
                foreach (Parcel parcel in belt.GetConsumingEnumerable())
                {
                    Ownership.CheckAndWipe(parcel.Address, parcel.SizeBytes, parcel.Tag);
                    cache.Free((void*)parcel.Address);
                }
            });
        }

        crew.Add(() =>
        {
            for (int round = 0; !belt.IsCompleted; round++)
            {
                using KmemCache visitor = new($"visitor-{round % 7}", (nuint)(24 + (round % 5 * 100)), new KmemCacheOptions { Heap = heap });
                Span<nint> objects = new nint[300];
                Assert.True(visitor.AllocBulk(objects));
                visitor.FreeBulk(objects);
                cache.Shrink();
            }
        });
        crew.Join();
        heap.Validate();
        Assert.Equal(0, cache.GetStatistics().LiveObjects);
    }

    private static void RunLine(KmemHeap heap, int line, int seed)
    {
        Parcel[] estate = new Parcel[LiveOfLine];
        for (int generation = 0; generation < Generations; generation++)
        {
            int number = generation;
            Exception? failure = null;
            Thread heir = new(() =>
            {
                try
                {
                    Live(heap, estate, new Random(seed + (line * 1000) + number), ((long)line << 56) | ((long)number << 40));
                }
#pragma warning disable CA1031 // It is thrown in the line's own thread.
                catch (Exception exception)
#pragma warning restore CA1031
                {
                    failure = exception;
                }
            });
            heir.Start();
            heir.Join();
            if (failure != null)
            {
                throw new InvalidOperationException($"generation {generation} of line {line}", failure);
            }
        }

        foreach (Parcel parcel in estate.Where(each => each.Address != 0))
        {
            Ownership.CheckAndWipe(parcel.Address, parcel.SizeBytes, parcel.Tag);
            heap.Free((void*)parcel.Address);
        }
    }

    private static void Live(KmemHeap heap, Parcel[] estate, Random random, long tag)
    {
        for (int step = 1; step <= StepsOfLife; step++)
        {
            ref Parcel slot = ref estate[random.Next(estate.Length)];
            if (slot.Address != 0)
            {
                Ownership.CheckAndWipe(slot.Address, slot.SizeBytes, slot.Tag);
                heap.Free((void*)slot.Address);
            }

            int size = random.Next(200) == 0 ? 40_000 + random.Next(100_000) : 16 + random.Next(2000);
            slot = new Parcel((nint)heap.Alloc((nuint)size), size, tag | (uint)step);
            Ownership.Mark(slot.Address, size, slot.Tag);
        }
    }
}
