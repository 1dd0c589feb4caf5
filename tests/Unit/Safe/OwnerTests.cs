using System;
using System.Buffers;
using System.Threading.Tasks;
using Kmem.Tests.Unit.Surface;
using Xunit;

namespace Kmem.Tests.Unit.Safe;

/// <summary>Owners of single values and of memory, used rightly and wrongly.</summary>
public sealed class OwnerTests
{
    private struct Point
    {
        public int X;
        public int Y;
    }

    [Fact]
    public void A_value_lives_as_long_as_its_owner()
    {
        using KmemHeap heap = Make();
        using KmemCache<Point> points = new("points", new KmemCacheOptions { Heap = heap });
        KmemOwned<Point> owner = points.Rent();
        owner.Value = new Point { X = 1, Y = 2 };
        owner.Value.X++;
        ref Point same = ref owner.Value;
        same.Y = 7;
        Assert.Equal((2, 7), (owner.Value.X, owner.Value.Y));
        Assert.Equal(1, points.GetStatistics().LiveObjects);
        owner.Dispose();
        owner.Dispose();
        Assert.True(owner.IsDisposed);
        Assert.Equal(0, points.GetStatistics().LiveObjects);
        ObjectDisposedException over = Assert.Throws<ObjectDisposedException>(() => owner.Value);
        Assert.Contains("KmemOwned<Point> of the cache 'points'", over.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_value_needs_no_cache()
    {
        using KmemHeap heap = Make();
        KmemOwned<Point> owner = heap.AllocOwned<Point>(isZeroed: true);
        Assert.Equal((0, 0), (owner.Value.X, owner.Value.Y));
        owner.Value.Y = 3;
        Assert.Equal(3, owner.Value.Y);
        owner.Dispose();
        owner.Dispose();
        ObjectDisposedException over = Assert.Throws<ObjectDisposedException>(() => owner.Value);
        Assert.Contains("KmemOwned<Point> of the heap 'safe'", over.Message, StringComparison.Ordinal);
        StatisticsAssert.NothingIsOut(heap.GetStatistics());
    }

    [Fact]
    public void A_handle_that_ends_twice_frees_nothing_of_others()
    {
        using KmemHeap heap = Make();
        KmemMemory<byte> owner = heap.AllocMemory<byte>(100);
        MemoryHandle handle = owner.Memory.Pin();
        MemoryHandle copy = handle;
        handle.Dispose();
        Assert.Contains("of 100 elements", Assert.Throws<InvalidOperationException>(copy.Dispose).Message, StringComparison.Ordinal);
        owner.GetSpan().Fill(1);
        handle = owner.Memory.Pin();
        copy = handle;
        owner.Dispose();
        handle.Dispose();
        Assert.Throws<InvalidOperationException>(copy.Dispose);
        StatisticsAssert.NothingIsOut(heap.GetStatistics());
    }

    [Fact]
    public void Only_one_of_many_threads_frees()
    {
        using KmemHeap heap = Make();
        for (int times = 0; times < 500; times++)
        {
            using KmemOwned<Point> point = heap.AllocOwned<Point>();
            KmemMemory<byte> owner = heap.AllocMemory<byte>(100);
            MemoryHandle handle = owner.Memory.Pin();
            Parallel.Invoke(handle.Dispose, owner.Dispose, owner.Dispose, point.Dispose, point.Dispose);
        }

        StatisticsAssert.NothingIsOut(heap.GetStatistics());
    }

    [Fact]
    public void A_cache_with_owners_does_not_end()
    {
        using KmemHeap heap = Make();
        KmemCache<Point> points = new("points", new KmemCacheOptions { Heap = heap });
        KmemOwned<Point> owner = points.Rent();
        Assert.Equal(KmemMisuse.LiveObjects, Assert.Throws<KmemMisuseException>(points.Dispose).Misuse);
        owner.Value.X = 5;
        Assert.Equal(5, owner.Value.X);
        owner.Dispose();
        points.Dispose();
        Assert.Throws<ObjectDisposedException>(points.Rent);
    }

    [Fact]
    public void Memory_is_a_span_and_a_pin_that_costs_nothing()
    {
        using KmemHeap heap = Make();
        using KmemMemory<long> owner = heap.AllocMemory<long>(1000, isZeroed: true);
        Memory<long> memory = ((IMemoryOwner<long>)owner).Memory;
        Assert.Equal(1000, memory.Length);
        Assert.False(memory.Span.ContainsAnyExcept(0));
        memory.Span.Fill(3);
        Assert.Equal(3, memory[990..].Span[9]);
        Assert.Throws<ArgumentOutOfRangeException>(() => memory[1001..]);
        Assert.Throws<IndexOutOfRangeException>(() => memory.Span[1000]);
        using MemoryHandle handle = memory.Pin();
        unsafe
        {
            Assert.Equal(3, ((long*)handle.Pointer)[5]);
        }
    }

    [Fact]
    public void After_the_end_memory_throws_and_pins_keep_it()
    {
        using KmemHeap heap = Make();
        KmemMemory<byte> owner = heap.AllocMemory<byte>(100);
        Memory<byte> memory = owner.Memory;
        MemoryHandle handle = memory.Pin();
        owner.Dispose();
        owner.Dispose();
        unsafe
        {
            // Native code may be at it still.
            ((byte*)handle.Pointer)[99] = 1;
        }

        Assert.Contains("in use", Describe(heap, handle), StringComparison.Ordinal);
        ObjectDisposedException over = Assert.Throws<ObjectDisposedException>(() => memory.Span.Length);
        Assert.Contains("KmemMemory<Byte> of 100 elements of the heap 'safe'", over.Message, StringComparison.Ordinal);
        Assert.Throws<ObjectDisposedException>(() => memory.Pin());
        handle.Dispose();
        StatisticsAssert.NothingIsOut(heap.GetStatistics());
    }

    [Fact]
    public void Lengths_that_cannot_be_are_refused()
    {
        using KmemHeap heap = Make();
        Assert.Throws<ArgumentOutOfRangeException>(() => heap.AllocMemory<int>(-1));
        using KmemMemory<int> none = heap.AllocMemory<int>(0);
        Assert.Equal((0, true), (none.Length, none.Memory.IsEmpty));
        using KmemMemory<int> some = heap.AllocMemory<int>(4);
        Assert.Throws<ArgumentOutOfRangeException>(() => some.Pin(5));
        some.Pin(4).Dispose();
    }

    private static unsafe string Describe(KmemHeap heap, MemoryHandle handle) => heap.Describe(handle.Pointer);

    private static KmemHeap Make() => SurfaceHeap.Make(KmemFrontEnd.Auto, static options => options.Name = "safe");
}
