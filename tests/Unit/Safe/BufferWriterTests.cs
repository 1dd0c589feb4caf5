using System;
using System.Buffers;
using System.Text;
using System.Text.Json;
using Kmem.Tests.Unit.Surface;
using Xunit;

namespace Kmem.Tests.Unit.Safe;

/// <summary>Writing bytes one after the other.</summary>
public sealed class BufferWriterTests
{
    [Fact]
    public void What_is_written_is_there_in_order()
    {
        using KmemHeap heap = Make();
        using NativeBufferWriter writer = new(heap: heap);
        StringBuilder expected = new();
        for (int index = 0; index < 3000; index++)
        {
            string text = $"{index};";
            _ = expected.Append(text);
            if (index % 3 == 0)
            {
                writer.Write(Encoding.ASCII.GetBytes(text));
            }
            else if (index % 3 == 1)
            {
                writer.Advance(Encoding.ASCII.GetBytes(text, writer.GetSpan(text.Length)));
            }
            else
            {
                writer.Advance(Encoding.ASCII.GetBytes(text, writer.GetMemory(text.Length).Span));
            }
        }

        Assert.Equal(expected.ToString(), Encoding.ASCII.GetString(writer.WrittenSpan));
        Assert.Equal(expected.ToString(), Encoding.ASCII.GetString(writer.WrittenMemory.Span));
        Assert.Equal(expected.Length, writer.WrittenCount);
        int capacity = writer.Capacity;
        writer.Clear();
        Assert.Equal((0, capacity), (writer.WrittenCount, writer.Capacity));
    }

    [Fact]
    public void A_serialiser_writes_to_it()
    {
        using NativeBufferWriter writer = new();
        using (Utf8JsonWriter json = new(writer))
        {
            json.WriteStartArray();
            for (int index = 0; index < 1000; index++)
            {
                json.WriteStringValue($"number {index}");
            }

            json.WriteEndArray();
        }

        using JsonDocument document = JsonDocument.Parse(writer.WrittenMemory);
        Assert.Equal(1000, document.RootElement.GetArrayLength());
    }

    [Fact]
    public void A_window_follows_its_bytes_when_they_move()
    {
        using KmemHeap heap = Make();
        using NativeBufferWriter writer = new(16, heap);
        writer.Write("abc"u8);
        ReadOnlyMemory<byte> window = writer.WrittenMemory;
        writer.Write(new byte[100_000]);
        Assert.Equal("abc"u8, window.Span);
        MemoryHandle pin = window.Pin();
        Assert.Throws<InvalidOperationException>(() => writer.GetSpan(writer.Capacity));
        Assert.Throws<InvalidOperationException>(writer.Dispose);
        pin.Dispose();
        writer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => window.Span.Length);
        Assert.Throws<ObjectDisposedException>(() => writer.WrittenSpan.Length);
        Assert.Throws<ObjectDisposedException>(() => writer.GetMemory());
        Assert.Throws<ObjectDisposedException>(() => writer.Write("x"u8));
        Assert.Throws<ObjectDisposedException>(writer.Clear);
        StatisticsAssert.NothingIsOut(heap.GetStatistics());
    }

    [Fact]
    public void It_takes_its_own_bytes_though_they_move()
    {
        using KmemHeap heap = SurfaceHeap.Make(KmemFrontEnd.Auto, static options => options.Debug = "FZP");
        using NativeBufferWriter writer = new(heap: heap);
        writer.Write("abcdefg"u8);
        for (int times = 0; times < 12; times++)
        {
            writer.Write(writer.WrittenSpan);
        }

        Assert.Equal(7 << 12, writer.WrittenCount);
        for (int start = 0; start < writer.WrittenCount; start += 7)
        {
            Assert.True(writer.WrittenSpan.Slice(start, 7).SequenceEqual("abcdefg"u8), $"at {start}");
        }
    }

    [Fact]
    public void A_pin_that_ends_twice_is_found()
    {
        using NativeBufferWriter writer = new(100);
        MemoryHandle handle = writer.GetMemory().Pin();
        MemoryHandle copy = handle;
        handle.Dispose();
        Assert.Throws<InvalidOperationException>(copy.Dispose);
        _ = writer.GetSpan(writer.Capacity + 1);
    }

    [Fact]
    public void Writing_allocates_no_managed_memory()
    {
        using NativeBufferWriter writer = new();
        _ = writer.GetMemory();
        for (int round = 0; round < 3; round++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int index = 0; index < 20_000; index++)
            {
                writer.Write("0123456789"u8);
                writer.GetSpan(4).Clear();
                writer.Advance(4);
                writer.GetMemory(4).Span.Clear();
                writer.Advance(4);
            }

            Assert.True(round == 0 || GC.GetAllocatedBytesForCurrentThread() == before, "managed memory was allocated");
        }
    }

    [Fact]
    public void Wrong_counts_are_refused()
    {
        using NativeBufferWriter writer = new(100);
        Assert.Throws<ArgumentOutOfRangeException>(() => writer.Advance(-1));
        Assert.Throws<ArgumentOutOfRangeException>(() => writer.Advance(writer.Capacity + 1));
        Assert.Throws<ArgumentOutOfRangeException>("sizeHint", () => { _ = writer.GetSpan(-1); });
        Assert.Throws<ArgumentOutOfRangeException>("sizeHint", () => writer.GetMemory(-1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new NativeBufferWriter(-1));
        Assert.NotEqual(0, writer.GetSpan().Length);
    }

    private static KmemHeap Make() => SurfaceHeap.Make(KmemFrontEnd.Auto);
}
