using System;
using System.Collections.Generic;
using System.Linq;
using CsCheck;
using Xunit;

namespace Kmem.Tests.Model.Collections;

/// <summary>Collections off the heap do what those of the framework do, step by step.</summary>
public sealed class CollectionModelTests
{
    private const int Steps = 400;

    /// <summary>A step: which one, and numbers for it.</summary>
    private static readonly Gen<(int Kind, int A, int B)[]> s_steps = Gen.Select(Gen.Int[0, 99], Gen.Int[0, 60], Gen.Int[-1000, 1000]).Array[0, Steps];

    /// <summary>A key whose hashes are all the same few: chains get long.</summary>
    private readonly record struct BadKey(int Value)
    {
        public override int GetHashCode() => Value % 3;
    }

    [Fact]
    public void A_list_does_what_a_list_does() => s_steps.Sample(
        static steps =>
        {
            using KmemHeap heap = Make();
            using (NativeList<int> list = new(heap: heap))
            {
                List<int> model = [];
                foreach ((int kind, int a, int b) in steps)
                {
                    Step(list, model, kind, a, b);
                    Assert.Equal(model.Count, list.Count);
                }

                Assert.Equal(model, list.AsSpan().ToArray());
                Assert.Equal(model, list.ToList());
            }

            AssertNothingIsOut(heap);
        },
        iter: 300);

    [Fact]
    public void A_dictionary_does_what_a_dictionary_does() => s_steps.Sample(static steps => RunDictionary(steps, static number => number), iter: 300);

    [Fact]
    public void So_it_does_with_bad_hashes() => s_steps.Sample(static steps => RunDictionary(steps, static number => new BadKey(number)), iter: 200);

    private static void Step(NativeList<int> list, List<int> model, int kind, int a, int b)
    {
        int count = model.Count;
        int at = count == 0 ? 0 : a % count;
        switch (kind)
        {
            case < 40:
                list.Add(b);
                model.Add(b);
                break;
            case < 50:
                list.Insert(a % (count + 1), b);
                model.Insert(a % (count + 1), b);
                break;
            case < 60 when count != 0:
                list.RemoveAt(at);
                model.RemoveAt(at);
                break;
            case < 65 when count != 0:
                list.RemoveAtSwapBack(at);
                model[at] = model[^1];
                model.RemoveAt(count - 1);
                break;
            case < 72:
                int[] more = [.. Enumerable.Range(b, a)];
                list.AddRange(more);
                model.AddRange(more);
                break;
            case < 76 when count != 0:
                // Its own elements, which may move meanwhile.
                list.AddRange(list.AsSpan()[at..]);
                model.AddRange(model.Skip(at).ToList());
                break;
            case < 82 when count != 0:
                list[at] = b;
                model[at] = b;
                Assert.Equal(b, list[at]);
                break;
            case < 87 when count != 0:
                list.RemoveRange(at, (count - at) / 2);
                model.RemoveRange(at, (count - at) / 2);
                break;
            case < 90:
                list.TrimExcess();
                break;
            case < 93:
                list.EnsureCapacity(a * 10);
                Assert.True(list.Capacity >= a * 10);
                break;
            case 93:
                list.Clear();
                model.Clear();
                break;
            case < 97:
                Assert.Throws<ArgumentOutOfRangeException>(() => list[count]);
                Assert.Throws<ArgumentOutOfRangeException>(() => list[-1]);
                Assert.Throws<ArgumentOutOfRangeException>(() => list.Insert(count + 1, 0));
                Assert.Throws<ArgumentOutOfRangeException>(() => list.RemoveRange(count, 1));
                break;
            default:
                Assert.Equal(model, list.AsSpan().ToArray());
                break;
        }
    }

    private static void RunDictionary<TKey>((int Kind, int A, int B)[] steps, Func<int, TKey> keyOf)
        where TKey : unmanaged, IEquatable<TKey>
    {
        using KmemHeap heap = Make();
        using (NativeDictionary<TKey, long> dictionary = new(heap: heap))
        {
            Dictionary<TKey, long> model = [];
            foreach ((int kind, int a, int b) in steps)
            {
                Step(dictionary, model, kind, keyOf(a), a, b);
                Assert.Equal(model.Count, dictionary.Count);
            }

            AssertSame(model, dictionary);
        }

        AssertNothingIsOut(heap);
    }

    private static void Step<TKey>(NativeDictionary<TKey, long> dictionary, Dictionary<TKey, long> model, int kind, TKey key, int a, long b)
        where TKey : unmanaged, IEquatable<TKey>
    {
        switch (kind)
        {
            case < 30:
                Assert.Equal(model.TryAdd(key, b), dictionary.TryAdd(key, b));
                break;
            case < 45:
                dictionary[key] = b;
                model[key] = b;
                break;
            case < 65:
                Assert.Equal(model.Remove(key, out long expected), dictionary.Remove(key, out long removed));
                Assert.Equal(expected, removed);
                break;
            case < 75:
                Assert.Equal(model.TryGetValue(key, out long value), dictionary.TryGetValue(key, out long got));
                Assert.Equal((value, model.ContainsKey(key)), (got, dictionary.ContainsKey(key)));
                break;
            case < 82:
                dictionary.GetValueRefOrAddDefault(key, out bool exists) += b;
                Assert.Equal(model.ContainsKey(key), exists);
                model[key] = model.GetValueOrDefault(key) + b;
                break;
            case < 86 when model.ContainsKey(key):
                Assert.Throws<ArgumentException>(() => dictionary.Add(key, b));
                Assert.Equal(model[key], dictionary[key]);
                break;
            case < 90 when !model.ContainsKey(key):
                Assert.Throws<KeyNotFoundException>(() => dictionary[key]);
                Assert.True(System.Runtime.CompilerServices.Unsafe.IsNullRef(ref dictionary.GetValueRefOrNullRef(key)));
                break;
            case < 93:
                dictionary.EnsureCapacity(a * 4);
                Assert.True(dictionary.Capacity >= a * 4);
                break;
            case 94:
                dictionary.TrimExcess();
                Assert.True(dictionary.Capacity >= model.Count && (dictionary.Capacity < 2 * model.Count || dictionary.Capacity <= 8));
                AssertSame(model, dictionary);
                break;
            case 93:
                dictionary.Clear();
                model.Clear();
                break;
            default:
                AssertSame(model, dictionary);
                break;
        }
    }

    private static void AssertSame<TKey>(Dictionary<TKey, long> model, NativeDictionary<TKey, long> dictionary)
        where TKey : unmanaged, IEquatable<TKey>
    {
        Dictionary<TKey, long> copy = [];
        foreach ((TKey key, long value) in dictionary)
        {
            copy.Add(key, value);
        }

        Assert.Equal(model.Count, copy.Count);
        Assert.All(model, each => Assert.Equal(each.Value, copy[each.Key]));
    }

    private static KmemHeap Make() => new(new KmemHeapOptions { Name = "collections", Debug = "FZP", MaintenanceIntervalMilliseconds = 0 });

    private static void AssertNothingIsOut(KmemHeap heap)
    {
        heap.Validate();
        Assert.Equal(0, heap.GetStatistics().Caches.Where(static cache => !cache.IsInternal).Sum(static cache => cache.LiveObjects));
    }
}
