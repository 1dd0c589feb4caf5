using System;
using System.Buffers;
using System.IO;
using System.Linq;
using Apache.Arrow;
using Apache.Arrow.Ipc;
using Apache.Arrow.Memory;
using Xunit;

namespace Kmem.Tests.Hosting;

/// <summary>A library that knows nothing of Kmem runs on it by its own hook: Apache Arrow takes the memory of its columns from an allocator that a program gives it.</summary>
public sealed class ArrowTests
{
    private const int Rows = 50_000;

    /// <summary>All that there is to it.</summary>
    private sealed class KmemArrowAllocator(KmemHeap heap) : MemoryAllocator
    {
        protected override IMemoryOwner<byte> AllocateInternal(int length, out int bytesAllocated)
        {
            bytesAllocated = length;
            return heap.AllocMemory<byte>(length, isZeroed: true, alignmentBytes: (nuint)Alignment);
        }
    }

    [Fact]
    public void Columns_are_built_written_and_read_on_Kmem_with_the_same_bytes()
    {
        using KmemHeap heap = new(new KmemHeapOptions { Name = "arrow", Debug = "FZPU", MaintenanceIntervalMilliseconds = 0 });
        KmemArrowAllocator allocator = new(heap);
        byte[] own = WriteFile(allocator);
        Assert.Equal(WriteFile(MemoryAllocator.Default.Value), own);

        using (MemoryStream stream = new(own))
        using (ArrowStreamReader reader = new(stream, allocator))
        using (RecordBatch batch = reader.ReadNextRecordBatch())
        {
            Assert.Equal(Rows, batch.Length);
            Assert.InRange(heap.GetStatistics().RequestedBytes + heap.GetStatistics().SizeClassBytes, (ulong)Rows * 12, ulong.MaxValue);
            Int64Array numbers = (Int64Array)batch.Column("number");
            StringArray texts = (StringArray)batch.Column("text");
            Assert.All(Enumerable.Range(0, Rows / 100), row => Assert.Equal((row * 3L, row % 7 == 0 ? null : $"row {row}"), (numbers.GetValue(row), texts.GetString(row))));
        }

        // Nothing was written where it should not be, and all of it came back.
        heap.Validate();
        KmemLeakReport leaks = heap.FindLeaks();
        Assert.True(leaks.Objects == 0, leaks.ToString());
    }

    private static byte[] WriteFile(MemoryAllocator allocator)
    {
        using Int64Array numbers = new Int64Array.Builder().AppendRange(Enumerable.Range(0, Rows).Select(static row => row * 3L)).Build(allocator);
        StringArray.Builder texts = new();
        for (int row = 0; row < Rows; row++)
        {
            _ = row % 7 == 0 ? texts.AppendNull() : texts.Append($"row {row}");
        }

        using StringArray text = texts.Build(allocator);
        using RecordBatch batch = new RecordBatch.Builder(allocator)
            .Append("number", nullable: false, numbers)
            .Append("text", nullable: true, text)
            .Build();
        using MemoryStream stream = new();
        using (ArrowStreamWriter writer = new(stream, batch.Schema, leaveOpen: true))
        {
            writer.WriteRecordBatch(batch);
            writer.WriteEnd();
        }

        return stream.ToArray();
    }
}
