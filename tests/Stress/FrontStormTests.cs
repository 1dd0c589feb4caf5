using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using Kmem.Engine;
using Kmem.Engine.Caches;
using Xunit;

namespace Kmem.Tests.Stress;

/// <summary>
/// The fronts of the shared heap under everything at once: threads that hand objects to each other, threads that start and end all the time, others that
/// empty, count and validate, signals, collections. Every hand-out is checked by address. In a process of its own, whose figures are exact at the end.
/// </summary>
public sealed class FrontStormTests(ITestOutputHelper output)
{
    [Fact]
    public void Every_object_of_the_shared_heap_has_one_holder_whoever_empties_whose_front()
    {
        Assert.SkipUnless(Disturbance.IsPossible, "sends signals as x64 Linux does");
        Assert.SkipUnless(KmemHeap.Shared.HasFronts, "The shared heap has no fronts here.");
        (int exitCode, string text) = ChildTest.RunClass(nameof(FrontStormChildTests), ("KMEM_STRESS_SEED", $"{Budget.Seed}"));
        output.WriteLine($"seed {Budget.Seed}");
        Assert.True(exitCode == 0, text);
    }
}

/// <summary>What the child runs.</summary>
public sealed unsafe class FrontStormChildTests : IDisposable
{
    private const int Threads = 5;
    private const int HeldOfThread = 200;
    private const int MailboxCount = 256;
    private const nuint RangeBytes = 256 << 20;

    private static readonly int[] s_sizes = [16, 48, 64, 160, 512, 2048];

    private readonly Claims _claims = new(KmemHeap.Shared, RangeBytes);
    private readonly nint[] _mail = new nint[MailboxCount];
    private readonly KmemCache _cache = new("parcels", 96, new KmemCacheOptions());
    private long _operations;
    private long _lives;
    private long _rounds;
    private long _collections;

    public void Dispose() => _cache.Dispose();

    [Fact(Explicit = true)]
    public void Storm()
    {
        using (Disturbance disturbance = new())
        {
            TimedCrew crew = new(
                seconds: 3,
                () => disturbance.Delivered > 200 && Volatile.Read(ref _rounds) > 20 && Volatile.Read(ref _lives) > 50 && Volatile.Read(ref _operations) > 500_000);
            for (int thread = 0; thread < Threads; thread++)
            {
                crew.Start(random =>
                {
                    disturbance.Enter();
                    Work(random, () => crew.IsOver);
                    disturbance.Leave();
                });
            }

            // Generations: two lines of threads that live for a moment and leave their fronts behind.
            for (int line = 0; line < 2; line++)
            {
                crew.Start(random =>
                {
                    for (; !crew.IsOver; Interlocked.Increment(ref _lives))
                    {
                        LiveAMoment(disturbance, random.Next(), random.Next(2) == 0 ? 128 * 1024 : 0);
                    }
                });
            }

            crew.Start(random =>
            {
                for (; !crew.IsOver; _rounds++)
                {
                    Maintain(random);
                }
            });
            crew.Start(random =>
            {
                for (; !crew.IsOver; _collections++)
                {
                    GC.Collect(random.Next(2), GCCollectionMode.Forced, blocking: true);
                    Thread.Sleep(random.Next(3));
                }
            });
            crew.Start(random =>
            {
                while (!crew.IsOver)
                {
                    ComeAndGo(random);
                }
            });
            crew.Join();
            TestContext.Current.TestOutputHelper?.WriteLine(
                $"{_operations} operations, {_lives} short lives, {_rounds} rounds of maintenance, {_collections} collections, {disturbance.Delivered} signals, {ThreadFronts.Count(&KmemHeap.Shared.Core->Registry)} fronts, seed {Budget.Seed}");
        }

        // What is left in the mailboxes is what is live, to the object.
        nint[] left = [.. _mail.Where(each => each != 0)];
        Assert.Equal(left.Length, _claims.Held);
        Ledger.AssertWhole(KmemHeap.Shared);
        Assert.Equal(left.Length, KmemHeap.Shared.GetStatistics().Caches.Where(each => !each.IsInternal).Sum(each => each.LiveObjects));
        Array.ForEach(left, each => Free((void*)each));
        Assert.Equal(0, _claims.Held);
        _cache.Dispose();
        KmemHeap.Shared.Trim();
        KmemHeap.Shared.Validate();
        Assert.Equal(0, KmemHeap.Shared.GetStatistics().Caches.Sum(each => each.Slabs));
    }

    /// <summary>Allocates, frees and hands over at random depths of the stack until it is over; frees what it holds.</summary>
    private void Work(Random random, Func<bool> isOver)
    {
        List<nint> held = [];
        while (!isOver())
        {
            DoSome(random, held, random.Next(6));
            Interlocked.Add(ref _operations, 512);
            if (random.Next(8) == 0)
            {
                Disturbance.Migrate(random);
            }
        }

        held.ForEach(each => Free((void*)each));
    }

    private void DoSome(Random random, List<nint> held, int depth)
    {
        byte* frame = stackalloc byte[1500];
        if (depth > 0)
        {
            frame[0] = 1;
            DoSome(random, held, depth - 1);
            return;
        }

        for (int step = 0; step < 512; step++)
        {
            int choice = random.Next(10);
            if (held.Count == 0 || (choice < 5 && held.Count < HeldOfThread))
            {
                held.Add((nint)Allocate(random));
            }
            else if (choice < 9)
            {
                int index = random.Next(held.Count);
                Free((void*)held[index]);
                held[index] = held[^1];
                held.RemoveAt(held.Count - 1);
            }
            else
            {
                ref nint box = ref _mail[random.Next(MailboxCount)];
                nint other = Interlocked.Exchange(ref box, held[^1]);
                held.RemoveAt(held.Count - 1);
                if (other != 0)
                {
                    held.Add(other);
                }
            }
        }
    }

    private void LiveAMoment(Disturbance disturbance, int seed, int stackBytes)
    {
        Exception? failure = null;
        Thread thread = new(
            () =>
            {
                disturbance.Enter();
                try
                {
                    Random random = new(seed);
                    int turns = random.Next(1, 6);
                    Work(random, () => turns-- == 0);
                }
#pragma warning disable CA1031 // It is thrown where the thread was started.
                catch (Exception exception)
#pragma warning restore CA1031
                {
                    failure = exception;
                }
                finally
                {
                    disturbance.Leave();
                }
            },
            stackBytes);
        thread.Start();
        thread.Join();
        if (failure != null)
        {
            throw new InvalidOperationException("a short life", failure);
        }
    }

    private void Maintain(Random random)
    {
        switch (random.Next(8))
        {
            case 0:
            case 1:
                KmemHeap.Shared.Trim();
                break;
            case 2:
            case 3:
                KmemHeap.Shared.Maintain();
                break;
            case 4:
            case 5:
                KmemStatistics statistics = KmemHeap.Shared.GetStatistics();
                Assert.All(statistics.Caches, each => Assert.True(each.LiveObjects >= 0 && each.LiveObjects <= each.TotalObjects, each.ToString()));
                break;
            case 6:
                KmemHeap.Shared.Validate();
                _cache.Shrink();
                break;
            default:
                void* pointer = Kmalloc.Alloc(64);
                Assert.EndsWith("in use", KmemHeap.Shared.Describe(pointer), StringComparison.Ordinal);
                Kmalloc.Free(pointer);
                break;
        }
    }

    /// <summary>Caches whose rounds get into other threads' fronts and whose numbers are used again.</summary>
    private static void ComeAndGo(Random random)
    {
        using KmemCache visitor = new("visitor", (nuint)random.Next(8, 400), new KmemCacheOptions { MagazineCapacity = random.Next(3) == 0 ? 8 : 0 });
        nint[] objects = new nint[random.Next(1, 200)];
        for (int index = 0; index < objects.Length; index++)
        {
            objects[index] = (nint)visitor.Alloc();
        }

        Assert.Equal(objects.Length, objects.Distinct().Count());
        Thread other = new(() => Array.ForEach(objects, each => Kmalloc.Free((void*)each)));
        other.Start();
        other.Join();
    }

    /// <summary>The first word holds the size; the rest is the claim's.</summary>
    private void* Allocate(Random random)
    {
        int which = random.Next(s_sizes.Length + 1);
        int size = which == s_sizes.Length ? 96 : s_sizes[which];
        void* pointer = which == s_sizes.Length ? _cache.Alloc() : Kmalloc.Alloc((nuint)size);
        _claims.Claim(pointer, size, from: 8);
        *(long*)pointer = size;
        return pointer;
    }

    private void Free(void* pointer)
    {
        int size = (int)*(long*)pointer;
        _claims.Release(pointer, size, from: 8);
        Kmalloc.Free(pointer);
    }
}
