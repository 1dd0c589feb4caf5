using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using Xunit;

namespace Kmem.Tests.Unit.Safe;

/// <summary>Managed objects that are used again.</summary>
public sealed class ObjectCacheTests
{
    private sealed class Thing : IDisposable
    {
        public int Owner;
        public bool IsDirty;
        public bool IsDisposed;

        public void Dispose() => IsDisposed = true;
    }

    private sealed class Policy : IKmemObjectPolicy<Thing>
    {
        private int _created;

        public int Created => _created;

        public int Asked;

        public Thing Create()
        {
            _ = Interlocked.Increment(ref _created);
            return new Thing();
        }

        public bool Return(Thing item)
        {
            _ = Interlocked.Increment(ref Asked);
            return !item.IsDirty;
        }
    }

    [Fact]
    public void What_is_returned_is_handed_out_again()
    {
        Policy policy = new();
        using KmemObjectCache<Thing> cache = new(policy, 10);
        HashSet<Thing> first = [.. Enumerable.Range(0, 10).Select(_ => cache.Get())];
        Assert.Equal((10, 10), (first.Count, policy.Created));
        foreach (Thing each in first)
        {
            cache.Return(each);
        }

        HashSet<Thing> second = [.. Enumerable.Range(0, 10).Select(_ => cache.Get())];
        Assert.True(first.SetEquals(second));
        Assert.Equal(10, policy.Created);
        Assert.DoesNotContain(cache.Get(), first);
    }

    [Fact]
    public void What_is_too_much_or_refused_is_disposed()
    {
        using KmemObjectCache<Thing> cache = new(new Policy(), 3);
        List<Thing> things = [.. Enumerable.Range(0, 8).Select(_ => cache.Get())];
        things.ForEach(cache.Return);
        Assert.Equal(5, things.Count(static each => each.IsDisposed));
        Thing dirty = cache.Get();
        dirty.IsDirty = true;
        cache.Return(dirty);
        Assert.True(dirty.IsDisposed);
    }

    [Fact]
    public void After_the_end_nothing_is_kept()
    {
        Policy policy = new();
        KmemObjectCache<Thing> cache = new(policy, 5);
        List<Thing> things = [.. Enumerable.Range(0, 4).Select(_ => cache.Get())];
        cache.Return(things[0]);
        cache.Return(things[1]);
        cache.Dispose();
        cache.Dispose();
        Assert.True(things[0].IsDisposed && things[1].IsDisposed && !things[2].IsDisposed);
        cache.Return(things[2]);
        Assert.True(things[2].IsDisposed);
        Assert.Equal(2, policy.Asked);
        Assert.Throws<ObjectDisposedException>(cache.Get);
    }

    [Fact]
    public void No_object_is_with_two_threads()
    {
        Policy policy = new();
        using KmemObjectCache<Thing> cache = new(policy, 16);
        string? failure = null;
        Thread[] threads = [.. Enumerable.Range(1, 4).Select(number => new Thread(() =>
        {
            for (int times = 0; times < 100_000 && failure == null; times++)
            {
                Thing thing = cache.Get();
                if (Interlocked.Exchange(ref thing.Owner, number) != 0 || thing.IsDisposed)
                {
                    failure = "an object was handed out twice, or after its end";
                }

                thing.Owner = 0;
                cache.Return(thing);
            }
        }))];
        Array.ForEach(threads, static thread => thread.Start());
        Array.ForEach(threads, static thread => thread.Join());
        Assert.Null(failure);
        Assert.InRange(policy.Created, 1, 100);
    }

    [Fact]
    public void Use_allocates_no_managed_memory()
    {
        using KmemObjectCache<Thing> cache = new(new Policy(), 64);
        Thing[] things = new Thing[8];
        for (int round = 0; round < 3; round++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int times = 0; times < 10_000; times++)
            {
                for (int index = 0; index < things.Length; index++)
                {
                    things[index] = cache.Get();
                }

                foreach (Thing each in things)
                {
                    cache.Return(each);
                }
            }

            Assert.True(round == 0 || GC.GetAllocatedBytesForCurrentThread() == before, "managed memory was allocated");
        }
    }

    [Fact]
    public void The_policy_says_what_becomes_of_what_is_not_kept()
    {
        KeepingPolicy policy = new();
        KmemObjectCache<Thing> cache = new(policy, 2);
        Thing[] things = [cache.Get(), cache.Get(), cache.Get(), cache.Get(), cache.Get()];
        things[0].IsDirty = true;
        foreach (Thing each in things.AsSpan(0, 4))
        {
            cache.Return(each);
        }

        // One refused, one too many; then what was kept, and what comes after the end, of which the policy is not asked.
        Assert.Equal([things[0], things[3]], policy.Dropped);
        cache.Dispose();
        things[4].IsDirty = true;
        cache.Return(things[4]);
        Assert.Equal(things.Length, policy.Dropped.Distinct().Count());
        Assert.Equal(things.Length, policy.Dropped.Count);
        Assert.Equal(4, policy.Asked);
        Assert.All(things, static thing => Assert.False(thing.IsDisposed));
    }

    private sealed class KeepingPolicy : IKmemObjectPolicy<Thing>
    {
        public List<Thing> Dropped { get; } = [];

        public int Asked { get; private set; }

        public Thing Create() => new();

        public bool Return(Thing item)
        {
            Asked++;
            return !item.IsDirty;
        }

        public void Drop(Thing item) => Dropped.Add(item);
    }

    [Fact]
    public void Wrong_arguments_are_refused()
    {
        Assert.Throws<ArgumentNullException>(() => new KmemObjectCache<Thing>(null!));
        Assert.Throws<ArgumentOutOfRangeException>(() => new KmemObjectCache<Thing>(new Policy(), -1));
        using KmemObjectCache<Thing> cache = new(new Policy());
        Assert.Throws<ArgumentNullException>(() => cache.Return(null!));
        Assert.InRange(cache.MaximumRetained, 16, int.MaxValue);
    }
}
