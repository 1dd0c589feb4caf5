using System;
using System.Collections.Generic;
using System.Linq;
using Kmem.Tests.Unit.Surface;
using Xunit;

namespace Kmem.Tests.Unit.Safe;

/// <summary>What the models do not say of collections: changes while one goes through, ends, memory that is out, and the garbage collector.</summary>
public sealed class CollectionTests
{
    [Fact]
    public void A_change_while_one_goes_through_is_found()
    {
        using NativeList<int> list = new();
        list.AddRange([1, 2, 3]);
        Assert.Throws<InvalidOperationException>(() =>
        {
            foreach (int each in list)
            {
                list.Add(each);
            }
        });
        using NativeDictionary<int, int> dictionary = new();
        dictionary.Add(1, 1);
        dictionary.Add(2, 2);
        Assert.Throws<InvalidOperationException>(() =>
        {
            foreach ((int key, int _) in dictionary)
            {
                _ = dictionary.Remove(key);
            }
        });
    }

    [Fact]
    public void After_the_end_all_throws()
    {
        using KmemHeap heap = SurfaceHeap.Make(KmemFrontEnd.Auto);
        NativeList<int> list = new(10, heap);
        NativeDictionary<int, int> dictionary = new(10, heap);
        dictionary.Add(1, 1);
        list.Dispose();
        list.Dispose();
        dictionary.Dispose();
        dictionary.Dispose();
        Assert.Throws<ObjectDisposedException>(() => list.Add(1));
        Assert.Throws<ObjectDisposedException>(() => list[0]);
        Assert.Throws<ObjectDisposedException>(() => list.AsSpan().Length);
        Assert.Throws<ObjectDisposedException>(() => list.GetEnumerator());
        Assert.Throws<ObjectDisposedException>(list.TrimExcess);
        Assert.Throws<ObjectDisposedException>(() => dictionary.TryGetValue(1, out _));
        Assert.Throws<ObjectDisposedException>(() => dictionary[1] = 2);
        Assert.Throws<ObjectDisposedException>(() => dictionary.Remove(1));
        Assert.Throws<ObjectDisposedException>(dictionary.Clear);
        StatisticsAssert.NothingIsOut(heap.GetStatistics());
    }

    [Fact]
    public void Without_memory_nothing_changes()
    {
        using KmemHeap heap = SurfaceHeap.Make(KmemFrontEnd.Auto, static options =>
        {
            options.ReserveBytes = 8 * SurfaceHeap.MiB;
            options.Growable = false;
        });
        using NativeDictionary<long, long> dictionary = new(heap: heap);
        long added = 0;
        Action fill = () =>
        {
            for (; ; added++)
            {
                dictionary.Add(added, -added);
            }
        };
        Assert.Throws<OutOfMemoryException>(fill);
        Assert.Equal(added, dictionary.Count);
        Assert.All(Enumerable.Range(0, (int)added), key => Assert.Equal(-key, dictionary[key]));
        using NativeList<long> list = new(heap: heap);
        fill = () =>
        {
            while (true)
            {
                list.Add(list.Count);
            }
        };
        Assert.Throws<OutOfMemoryException>(fill);
        Assert.Equal(Enumerable.Range(0, list.Count).Select(static each => (long)each), list);
    }

    [Fact]
    public void Use_allocates_no_managed_memory()
    {
        using NativeList<long> list = new();
        using NativeDictionary<int, long> dictionary = new();
        long sum = 0;
        for (int round = 0; round < 3; round++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int index = 0; index < 10_000; index++)
            {
                list.Add(index);
                dictionary[index] = index;
            }

            foreach (long each in list)
            {
                sum += each;
            }

            foreach (KeyValuePair<int, long> each in dictionary)
            {
                sum += each.Value;
            }

            list.Clear();
            dictionary.Clear();
            Assert.True(round == 0 || GC.GetAllocatedBytesForCurrentThread() == before, "managed memory was allocated");
        }

        Assert.NotEqual(0, sum);
    }
}
