using System;
using System.Threading;
using Kmem.Engine.Pages;
using Xunit;

namespace Kmem.Tests.Unit.Pages;

/// <summary>Several threads on one zone, passing blocks to each other, while another drains, purges and validates.</summary>
public sealed unsafe class ZoneThreadTests
{
    private const int Slots = 512;

    [Theory]
    [InlineData(64, false)]
    [InlineData(8, false)]
    [InlineData(8, true)]
    public void Threads_keep_their_contents_and_the_zone_whole(int reserveMebibytes, bool growable)
    {
        using TestZone zone = new((nuint)reserveMebibytes * TestZone.MiB, growable, cpuCount: 2);
        nint[] slots = new nint[Slots];
        int seed = Random.Shared.Next();
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}");
        int running = 3;
        long operations = 0;
        Exception? failure = null;
        Thread[] threads = new Thread[4];
        for (int thread = 0; thread < 3; thread++)
        {
            int number = thread;
            threads[thread] = new Thread(() =>
            {
                try
                {
                    Work(zone, slots, new Random(seed + number), number, ref operations);
                }
                catch (Exception exception)
                {
                    Volatile.Write(ref failure, exception);
                }
                finally
                {
                    Interlocked.Decrement(ref running);
                }
            });
        }

        threads[3] = new Thread(() =>
        {
            try
            {
                while (Volatile.Read(ref running) != 0)
                {
                    // Every few hundred operations, so that the others are not kept from their work.
                    long next = Volatile.Read(ref operations) + 300;
                    Maintain(zone);
                    while (Volatile.Read(ref operations) < next && Volatile.Read(ref running) != 0)
                    {
                        Thread.Yield();
                    }
                }
            }
            catch (Exception exception)
            {
                Volatile.Write(ref failure, exception);
            }
        });
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        Assert.True(failure == null, $"seed {seed}: {failure}");
        for (int slot = 0; slot < Slots; slot++)
        {
            Give(zone, (Page*)slots[slot], 0);
        }

        zone.AssertAllMerged();
    }

    private static void Work(Zone* zone, nint[] slots, Random random, int cpu, ref long operations)
    {
        for (int operation = 0; operation < 15_000; operation++)
        {
            Interlocked.Increment(ref operations);
            // What was in the slot belongs to whoever takes it out, whichever thread put it there.
            Page* taken = Take(zone, random, cpu);
            Page* found = (Page*)Interlocked.Exchange(ref slots[random.Next(Slots)], (nint)taken);
            Give(zone, found, cpu);
        }
    }

    private static Page* Take(Zone* zone, Random random, int cpu)
    {
        int kind = random.Next(100);
        Page* head = kind < 30 ? null
            : kind < 85 ? Zone.AllocateBlock(zone, random.Next(4), (Mobility)random.Next(3), cpu)
            : kind < 90 ? Zone.AllocateBlock(zone, random.Next(4, 8), (Mobility)random.Next(3), cpu)
            : Zone.AllocateRun(zone, (nuint)random.Next(1, 100), 4096, Mobility.Movable);
        if (head == null)
        {
            return null;
        }

        bool purged = (head->Flags & PageFlags.Purged) != 0;
        byte* start = (byte*)Zone.AddressOf(zone, head);
        for (nuint page = 0; page < HeadLookup.PagesOf(head); page++)
        {
            nuint* word = (nuint*)(start + (page << 12));
            if (purged)
            {
                Assert.Equal((nuint)0, *word);
            }

            *word = (nuint)word;
        }

        if (head->Kind == PageKind.Run && head->Payload.Pages > 8 && random.Next(4) == 0)
        {
            Assert.True(Zone.ResizeRun(zone, head, 5));
        }

        return head;
    }

    private static void Give(Zone* zone, Page* head, int cpu)
    {
        if (head == null)
        {
            return;
        }

        byte* start = (byte*)Zone.AddressOf(zone, head);
        for (nuint page = 0; page < HeadLookup.PagesOf(head); page++)
        {
            nuint* word = (nuint*)(start + (page << 12));
            Assert.Equal((nuint)word, *word);
            *word = 1;
        }

        if (head->Kind == PageKind.Run)
        {
            Zone.FreeRun(zone, head);
        }
        else
        {
            Zone.FreeBlock(zone, head, cpu);
        }
    }

    private static void Maintain(Zone* zone)
    {
        Zone.DrainPageLists(zone);
        _ = Zone.Purge(zone, long.MaxValue / 2, 0);
        Assert.Equal(ZoneFault.None, Zone.Validate(zone));
        ZoneStatistics statistics;
        Zone.ReadStatistics(zone, &statistics);
        Assert.Equal(statistics.TotalPages, statistics.FreePages + statistics.ListedPages + statistics.AllocatedPages);
        Assert.True(statistics.AllocatedPages >= 0);
    }
}
