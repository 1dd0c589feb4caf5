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
    public void Wrong_counts_are_refused()
    {
        using NativeBufferWriter writer = new(100);
        Assert.Throws<ArgumentOutOfRangeException>(() => writer.Advance(-1));
        Assert.Throws<ArgumentOutOfRangeException>(() => writer.Advance(writer.Capacity + 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => writer.GetSpan(-1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new NativeBufferWriter(-1));
        Assert.NotEqual(0, writer.GetSpan().Length);
    }

    private static KmemHeap Make() => SurfaceHeap.Make(KmemFrontEnd.Auto);
}
