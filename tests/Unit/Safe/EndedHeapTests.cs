using System;
using System.Buffers;
using System.Collections.Generic;
using Kmem.Tests.Unit.Surface;
using Xunit;

namespace Kmem.Tests.Unit.Safe;

/// <summary>A heap that is disposed takes its memory along. Owners find that before they touch it, and their own end is quiet.</summary>
public sealed class EndedHeapTests
{
    [Fact]
    public void An_owner_of_a_value()
    {
        KmemHeap heap = Make();
        KmemCache<long> cache = new("longs", new KmemCacheOptions { Heap = heap });
        KmemOwned<long> ofCache = cache.Rent();
        KmemOwned<long> ofHeap = heap.AllocOwned<long>();
        heap.Dispose();
        AssertNamesHeap(() => ofCache.Value++);
        AssertNamesHeap(() => ofHeap.Value++);
        Assert.Throws<ObjectDisposedException>(cache.Rent);
        Assert.Throws<ObjectDisposedException>(() => heap.AllocOwned<long>());
        ofCache.Dispose();
        ofHeap.Dispose();
        Assert.True(ofCache.IsDisposed && ofHeap.IsDisposed);
    }

    [Fact]
    public void Memory_and_its_pins()
    {
        KmemHeap heap = Make();
        KmemMemory<int> owner = heap.AllocMemory<int>(10);
        Memory<int> memory = owner.Memory;
        MemoryHandle handle = memory.Pin();
        heap.Dispose();
        AssertNamesHeap(() => memory.Span.Clear());
        AssertNamesHeap(() => memory.Pin());
        AssertNamesHeap(() => owner.GetSpan());
        owner.Dispose();
        handle.Dispose();
        Assert.Contains("of 10 elements", Assert.Throws<ObjectDisposedException>(() => memory.Span.Clear()).ObjectName, StringComparison.Ordinal);
    }

    [Fact]
    public void A_writer()
    {
        KmemHeap heap = Make();
        NativeBufferWriter writer = new(heap: heap);
        writer.Write("abc"u8);
        ReadOnlyMemory<byte> window = writer.WrittenMemory;
        heap.Dispose();
        AssertNamesHeap(() => writer.Write("x"u8));
        AssertNamesHeap(() => writer.GetSpan());
        AssertNamesHeap(() => writer.Advance(0));
        AssertNamesHeap(() => _ = writer.WrittenSpan.Length);
        AssertNamesHeap(() => _ = window.Span.Length);
        writer.Dispose();
    }

    [Fact]
    public void A_list()
    {
        KmemHeap heap = Make();
        NativeList<int> list = new(heap: heap);
        list.AddRange([1, 2, 3]);
        NativeList<int>.Enumerator enumerator = list.GetEnumerator();
        heap.Dispose();
        AssertNamesHeap(() => list[0]++);
        AssertNamesHeap(() => list.Add(4));
        AssertNamesHeap(() => list.Insert(0, 4));
        AssertNamesHeap(() => list.RemoveAt(0));
        AssertNamesHeap(() => list.RemoveAtSwapBack(0));
        AssertNamesHeap(() => list.AsSpan().Clear());
        AssertNamesHeap(list.TrimExcess);
        AssertNamesHeap(() => enumerator.MoveNext());
        list.Dispose();
        Assert.Throws<ObjectDisposedException>(() => list[0]);
        Assert.Throws<ObjectDisposedException>(() => new NativeList<int>(10, heap));
    }

    [Fact]
    public void A_dictionary()
    {
        KmemHeap heap = Make();
        NativeDictionary<int, int> dictionary = new(heap: heap);
        dictionary.Add(1, 1);
        NativeDictionary<int, int>.Enumerator enumerator = dictionary.GetEnumerator();
        heap.Dispose();
        AssertNamesHeap(() => dictionary[1]++);
        AssertNamesHeap(() => dictionary.TryGetValue(1, out _));
        AssertNamesHeap(() => dictionary.GetValueRefOrNullRef(1)++);
        AssertNamesHeap(() => dictionary.Remove(1));
        AssertNamesHeap(dictionary.Clear);
        AssertNamesHeap(dictionary.TrimExcess);
        AssertNamesHeap(() => enumerator.MoveNext());
        dictionary.Dispose();
        Assert.Throws<ObjectDisposedException>(() => dictionary[1]);
    }

    private static void AssertNamesHeap(Action use) => Assert.Contains("The heap 'ended'", Assert.Throws<ObjectDisposedException>(use).Message, StringComparison.Ordinal);

    private static KmemHeap Make() => SurfaceHeap.Make(KmemFrontEnd.Auto, static options => options.Name = "ended");
}
