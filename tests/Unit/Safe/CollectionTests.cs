using System;
using System.Collections.Generic;
using System.Linq;
using Kmem.Tests.Unit.Surface;
using Xunit;

namespace Kmem.Tests.Unit.Safe;

/// <summary>What the models do not say of collections: changes while one goes through, ends, memory that is out, and the garbage collector.</summary>
public sealed class CollectionTests
{
    /// <summary>A key that some numbers make refuse its hash.</summary>
    private readonly record struct MoodyKey(int Value)
    {
        public override int GetHashCode() => Value >= 0 ? Value : throw new NotSupportedException("no hash today");
    }

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
    public void What_a_key_throws_changes_nothing()
    {
        using NativeDictionary<MoodyKey, int> dictionary = new();
        Assert.Throws<NotSupportedException>(() => dictionary.Add(new MoodyKey(-1), 1));
        Assert.Empty(dictionary);
        dictionary.Add(new MoodyKey(1), 1);
        Assert.Throws<NotSupportedException>(() => dictionary[new MoodyKey(-1)] = 1);
        Assert.Throws<NotSupportedException>(() => dictionary.Remove(new MoodyKey(-1)));
        Assert.Equal([new KeyValuePair<MoodyKey, int>(new MoodyKey(1), 1)], dictionary);
    }

    [Fact]
    public void What_entries_do_not_need_is_given_back()
    {
        using KmemHeap heap = SurfaceHeap.Make(KmemFrontEnd.Auto, static options =>
        {
            options.ReserveBytes = 8 * SurfaceHeap.MiB;
            options.Growable = false;
        });
        using NativeDictionary<int, long> dictionary = new(heap: heap);
        for (int key = 0; key < 10_000; key++)
        {
            dictionary.Add(key, -key);
        }

        for (int key = 0; key < 10_000; key++)
        {
            Assert.True(key % 100 == 7 || dictionary.Remove(key));
        }

        // Also where there is no memory to be had.
        List<KmemMemory<byte>> rest = [];
        for (int bytes = 1 << 20; bytes >= 16; bytes /= 2)
        {
            try
            {
                while (true)
                {
                    rest.Add(heap.AllocMemory<byte>(bytes));
                }
            }
            catch (OutOfMemoryException)
            {
                // Full for this size.
            }
        }

        dictionary.TrimExcess();
        Assert.Equal((100, 128), (dictionary.Count, dictionary.Capacity));
        Assert.All(Enumerable.Range(0, 100), index => Assert.Equal(-((index * 100) + 7), dictionary[(index * 100) + 7]));
        rest.ForEach(static each => each.Dispose());
        dictionary.Clear();
        dictionary.TrimExcess();
        Assert.Equal(0, dictionary.Capacity);
        StatisticsAssert.NothingIsOut(heap.GetStatistics());
        dictionary.Add(1, 1);
        Assert.Equal(1, dictionary[1]);
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
