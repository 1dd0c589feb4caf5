using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using Xunit;

namespace Kmem.Tests.Stress;

/// <summary>Caches of every kind under signals, migrations, drains and each other; objects travel between threads; every hand-out is checked by address.</summary>
public sealed unsafe class CacheStormTests(ITestOutputHelper output)
{
    private const int Threads = 10;
    private const int HeldOfThread = 120;
    private const int MailboxCount = 256;
    private const nuint RangeBytes = 128 << 20;

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Every_object_has_one_holder_and_the_figures_are_exact_at_the_end(KmemFrontEnd frontEnd)
    {
        Assert.SkipUnless(Disturbance.IsPossible, "sends signals as x64 Linux does");
        using ObjectLife life = new();
        using KmemHeap heap = Create(frontEnd);
        Claims claims = new(heap, RangeBytes);
        KmemCache[] caches =
        [
            new("tiny-magazines", 64, new KmemCacheOptions { Heap = heap, MagazineCapacity = 2 }),
            new("adaptive", 48, new KmemCacheOptions { Heap = heap, AlignmentBytes = 16 }),
            new("constructed", 96, life.Options(heap)),
            new("large", 9000, new KmemCacheOptions { Heap = heap, AlignmentBytes = 16 }),
            new("direct", 64, new KmemCacheOptions { Heap = heap, Flags = KmemCacheFlags.NoMagazines }),
        ];
        nint[][] mailboxes = [.. caches.Select(_ => new nint[MailboxCount])];
        long operations = 0;
        long rounds = 0;
        using (Disturbance disturbance = new())
        {
            TimedCrew crew = new(seconds: 3, () => disturbance.Delivered > 200 && Volatile.Read(ref rounds) > 50);
            for (int thread = 0; thread < Threads; thread++)
            {
                crew.Start(random =>
                {
                    disturbance.Enter();
                    Interlocked.Add(ref operations, Work(crew, random, caches, mailboxes, claims));
                    disturbance.Leave();
                });
            }

            crew.Start(random =>
            {
                for (; !crew.IsOver; rounds++)
                {
                    Maintain(heap, caches, random);
                }
            });
            crew.Start(random =>
            {
                while (!crew.IsOver)
                {
                    ComeAndGo(heap, random);
                }
            });
            crew.Join();
            output.WriteLine($"{operations} operations, {disturbance.Delivered} signals, {rounds} rounds of maintenance, seed {Budget.Seed}");
            Assert.True(disturbance.Delivered > 200 && rounds > 50, "the storm did not blow");
        }

        // What is left in the mailboxes is what is live, to the object.
        KmemStatistics statistics = Ledger.AssertWhole(heap);
        for (int index = 0; index < caches.Length; index++)
        {
            nint[] left = [.. mailboxes[index].Where(each => each != 0)];
            Assert.Equal(left.Length, caches[index].GetStatistics().LiveObjects);
            Array.ForEach(left, each => Free(caches[index], claims, (void*)each));
        }

        Assert.Equal(0, claims.Held);
        KmemCacheStatistics constructed = caches[2].GetStatistics();
        life.AssertBalanced(live: constructed.MagazineObjects + constructed.DepotObjects);
        Array.ForEach(caches, cache => cache.Dispose());
        life.AssertBalanced();
        Ledger.AssertEmptyAfterTrim(heap);
    }

    /// <summary>The same workers with a bug planted in one of them: an object is freed twice with others in between, and so handed out twice.</summary>
    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void A_planted_double_free_is_caught(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Create(frontEnd);
        Claims claims = new(heap, RangeBytes);
        KmemCache cache = new("planted", 64, new KmemCacheOptions { Heap = heap });
        InvalidOperationException? caught = null;
        OneCpu.Run(() =>
        {
            caught = null;
            void* twice = Alloc(cache, claims);
            void* other = Alloc(cache, claims);
            claims.Release(twice, 64);
            claims.Release(other, 64);
            cache.Free(twice);
            cache.Free(other);
            cache.Free(twice);
            try
            {
                for (int round = 0; round < 3; round++)
                {
                    _ = Alloc(cache, claims);
                }
            }
            catch (InvalidOperationException exception)
            {
                caught = exception;
            }
        });
        Assert.NotNull(caught);
        Assert.Contains("handed out twice", caught.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_write_into_anothers_object_is_caught()
    {
        using KmemHeap heap = Create(FrontEnds.All[0]);
        Claims claims = new(heap, RangeBytes);
        byte* pointer = (byte*)heap.Alloc(64);
        claims.Claim(pointer, 64);
        pointer[63] ^= 1;
        Assert.Contains("overwritten", Assert.Throws<InvalidOperationException>(() => claims.Release(pointer, 64)).Message, StringComparison.Ordinal);
        pointer[63] ^= 1;
        claims.Release(pointer, 64);
        Assert.Contains("nobody holds", Assert.Throws<InvalidOperationException>(() => claims.Release(pointer, 64)).Message, StringComparison.Ordinal);
    }

    private static KmemHeap Create(KmemFrontEnd frontEnd)
    {
        KmemHeapOptions options = Heaps.Options(frontEnd);
        (options.ReserveBytes, options.Growable) = (RangeBytes, false);
        return new KmemHeap(options);
    }

    private static long Work(TimedCrew crew, Random random, KmemCache[] caches, nint[][] mailboxes, Claims claims)
    {
        List<nint>[] held = [.. caches.Select(_ => new List<nint>())];
        nint[] bulk = new nint[40];
        long operations = 0;
        while (!crew.IsOver)
        {
            for (int step = 0; step < 300; step++, operations++)
            {
                int number = random.Next(8) is int choice && choice < caches.Length ? choice : random.Next(2);
                KmemCache cache = caches[number];
                List<nint> mine = held[number];
                switch (random.Next(16))
                {
                    case 0:
                        Span<nint> batch = bulk.AsSpan(0, random.Next(bulk.Length));
                        if (cache.AllocBulk(batch))
                        {
                            foreach (nint each in batch)
                            {
                                claims.Claim((void*)each, (int)cache.ObjectSizeBytes, From(cache));
                                mine.Add(each);
                            }
                        }

                        break;
                    case 1:
                        int count = Math.Min(mine.Count, random.Next(bulk.Length));
                        mine.CopyTo(mine.Count - count, bulk, 0, count);
                        mine.RemoveRange(mine.Count - count, count);
                        for (int index = 0; index < count; index++)
                        {
                            claims.Release((void*)bulk[index], (int)cache.ObjectSizeBytes, From(cache));
                        }

                        cache.FreeBulk(bulk.AsSpan(0, count));
                        break;
                    case 2 when mine.Count != 0:
                        // Somebody else frees it one day.
                        nint sent = mine[^1];
                        mine.RemoveAt(mine.Count - 1);
                        nint received = Interlocked.Exchange(ref mailboxes[number][random.Next(MailboxCount)], sent);
                        if (received != 0)
                        {
                            Free(cache, claims, (void*)received);
                        }

                        break;
                    case < 9 when mine.Count < HeldOfThread:
                        mine.Add((nint)Alloc(cache, claims));
                        break;
                    case var _ when mine.Count != 0:
                        int at = random.Next(mine.Count);
                        Free(cache, claims, (void*)mine[at]);
                        mine[at] = mine[^1];
                        mine.RemoveAt(mine.Count - 1);
                        break;
                }
            }

            if (random.Next(4) == 0)
            {
                Disturbance.Migrate(random);
            }
        }

        for (int number = 0; number < caches.Length; number++)
        {
            held[number].ForEach(each => Free(caches[number], claims, (void*)each));
        }

        return operations;
    }

    private static void Maintain(KmemHeap heap, KmemCache[] caches, Random random)
    {
        switch (random.Next(6))
        {
            case 0:
                _ = heap.Trim();
                break;
            case 1:
                heap.Maintain();
                break;
            case 2:
                heap.Validate();
                break;
            case 3:
                _ = heap.GetStatistics();
                break;
            default:
                _ = caches[random.Next(caches.Length)].Shrink();
                break;
        }
    }

    /// <summary>Caches that live for a moment beside the others, and allocations of all sizes.</summary>
    private static void ComeAndGo(KmemHeap heap, Random random)
    {
        using KmemCache cache = new("visitor", (nuint)random.Next(16, 3000), new KmemCacheOptions { Heap = heap });
        nint[] objects = new nint[random.Next(1, 100)];
        Assert.True(cache.AllocBulk(objects));
        void* large = heap.Alloc((nuint)random.Next(40_000, 200_000));
        cache.FreeBulk(objects);
        heap.Free(large);
    }

    private static void* Alloc(KmemCache cache, Claims claims)
    {
        void* pointer = cache.Alloc();
        claims.Claim(pointer, (int)cache.ObjectSizeBytes, From(cache));
        return pointer;
    }

    private static void Free(KmemCache cache, Claims claims, void* pointer)
    {
        claims.Release(pointer, (int)cache.ObjectSizeBytes, From(cache));
        cache.Free(pointer);
    }

    /// <summary>The first 16 bytes of a constructed object are its constructed state.</summary>
    private static int From(KmemCache cache) => cache.Name == "constructed" ? 16 : 0;
}
