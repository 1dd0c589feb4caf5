using System;
using System.IO;
using Kmem;

namespace Parser.Tree;

/// <summary>The bytes of the document, in one piece off the heap.</summary>
internal sealed class SourceText : IDisposable
{
    private const int FirstBytes = 64 << 10;

    private readonly KmemMemory<byte> _memory;
    private readonly int _start;
    private readonly int _end;

    private SourceText(KmemMemory<byte> memory, int end)
    {
        _memory = memory;
        _end = end;
        _start = memory.Memory.Span[..end].StartsWith("\uFEFF"u8) ? "\uFEFF"u8.Length : 0;
    }

    public ReadOnlySpan<byte> Span => _memory.Memory.Span[_start.._end];

    public long Bytes => _memory.Length;

    /// <summary>Reads a stream to its end. Of a file the size is known; else the memory doubles.</summary>
    public static SourceText Read(Stream input, KmemHeap heap)
    {
        // A byte more than there is, so that the end shows without a larger piece.
        KmemMemory<byte> memory = heap.AllocMemory<byte>(input.CanSeek ? LengthFor(input.Length - input.Position + 1) : FirstBytes);
        try
        {
            int filled = 0;
            for (int read = -1; read != 0; filled += read)
            {
                memory = filled < memory.Length ? memory : Enlarge(memory, heap);
                read = input.Read(memory.Memory.Span[filled..]);
            }

            return new SourceText(memory, filled);
        }
        catch
        {
            memory.Dispose();
            throw;
        }
    }

    public void Dispose() => _memory.Dispose();

    private static KmemMemory<byte> Enlarge(KmemMemory<byte> memory, KmemHeap heap)
    {
        KmemMemory<byte> larger = heap.AllocMemory<byte>(LengthFor(Math.Min(memory.Length * 2L, Math.Max(memory.Length + 1L, int.MaxValue))));
        memory.Memory.Span.CopyTo(larger.Memory.Span);
        memory.Dispose();
        return larger;
    }

    private static int LengthFor(long bytes) => bytes <= int.MaxValue ? (int)bytes : throw new BadInputException("The document is larger than 2 GiB.");
}
