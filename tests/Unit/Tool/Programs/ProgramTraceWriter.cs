using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.IO.Compression;
using System.Linq;
using System.Text;
using Kmem.Tool.Hosting;
using Kmem.Tool.Traces;
using Kmem.Tool.Traces.Programs;

namespace Kmem.Tests.Unit.Tool;

/// <summary>
/// Writes the trace of a program as docs/TRACES.md tells the format, with numbers of its own and not those of the reader: each
/// would not notice its own mistake.
/// </summary>
internal sealed class ProgramTraceWriter
{
    private const int Chunk = 65536;

    private readonly List<byte[]> _chunks = [];
    private readonly Dictionary<int, Place> _threads = [];
    private readonly Stack<Place> _left = [];
    private ulong _sequence;

    public byte[] Header { get; } = MakeHeader("program\0--option\0two words\0");

    /// <summary>Numbers given out.</summary>
    public ulong Sequence => _sequence;

    public ulong Next() => ++_sequence;

    public void Alloc(int thread, ulong address, ulong size) => Put(thread, 1, Next(), at => at.Address(address).Number(size));

    public void Zeroed(int thread, ulong address, ulong size) => Put(thread, 2, Next(), at => at.Address(address).Number(size));

    public void Aligned(int thread, ulong address, ulong size, int shift, bool zeroed = false) =>
        Put(thread, 3, Next(), at => at.Byte((byte)(shift | (zeroed ? 0x80 : 0))).Address(address).Number(size));

    public void Free(int thread, ulong address) => Put(thread, 4, Next(), at => at.Address(address));

    public void Realloc(int thread, ulong old, ulong address, ulong size) => Realloc(thread, Next(), old, address, size);

    /// <summary>The second half gets its number now, the first half had got <paramref name="before"/>.</summary>
    public void Realloc(int thread, ulong before, ulong old, ulong address, ulong size)
    {
        ulong after = Next();
        Put(thread, 5, before, at => at.Number(after - before).Address(old).Address(address).Number(size), after);
    }

    public void Failed(int thread, ulong size) => Put(thread, 6, Next(), at => at.Byte(2).Number(size));

    public void FailedAligned(int thread, ulong size, int shift) => Put(thread, 6, Next(), at => at.Byte(3).Byte((byte)shift).Number(size));

    public void FailedRealloc(int thread, ulong old, ulong size)
    {
        ulong before = Next();
        ulong after = Next();
        Put(thread, 6, before, at => at.Byte(5).Number(after - before).Address(old).Number(size), after);
    }

    /// <summary>The thread leaves its chunk to the next that needs one.</summary>
    public void End(int thread)
    {
        Place place = _threads[thread];
        _threads.Remove(thread);
        place.Byte(8).Number(1000);
        _left.Push(place);
    }

    public byte[] ToArray() => [.. Header, .. _chunks.SelectMany(static chunk => chunk)];

    public static byte[] Gzip(byte[] content)
    {
        using MemoryStream compressed = new();
        using (GZipStream gzip = new(compressed, CompressionLevel.Fastest, leaveOpen: true))
        {
            gzip.Write(content);
        }

        return compressed.ToArray();
    }

    private static byte[] MakeHeader(string command)
    {
        byte[] header = new byte[4096];
        byte[] magic = [0x89, 0x4B, 0x4D, 0x54, 0x52, 0x0D, 0x0A, 0x1A];
        magic.CopyTo(header, 0);
        void Put32(int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(at), value);
        Put32(8, 1);
        Put32(12, 4096);
        Put32(16, Chunk);
        Put32(20, 4096);
        Put32(24, 4711);
        Put32(28, 815);
        BinaryPrimitives.WriteUInt64LittleEndian(header.AsSpan(32), 1_700_000_000_000_000_000);
        BinaryPrimitives.WriteUInt64LittleEndian(header.AsSpan(40), 2_500_000_000);
        Put32(60, (uint)command.Length);
        Encoding.ASCII.GetBytes(command).CopyTo(header, 64);
        return header;
    }

    private void Put(int thread, byte kind, ulong sequence, Action<Place> rest, ulong last = 0)
    {
        if (!_threads.TryGetValue(thread, out Place? place) || place.Used > Chunk - 64)
        {
            place?.Byte(9);
            if (!_left.TryPop(out place) || place.Used > Chunk - 128)
            {
                byte[] chunk = new byte[Chunk];
                Encoding.ASCII.GetBytes("KMTC").CopyTo(chunk, 0);
                BinaryPrimitives.WriteInt32LittleEndian(chunk.AsSpan(4), _chunks.Count);
                _chunks.Add(chunk);
                place = new Place(chunk);
            }

            _threads[thread] = place;
            place.Byte(7).Number((ulong)thread + 1).Number(12345).Number(77).Number(sequence - 1);
            place.LastSequence = sequence - 1;
            place.LastAddress = 0;
        }

        ulong distance = sequence - place.LastSequence;
        if (distance < 16)
        {
            place.Byte((byte)(kind | (distance << 4)));
        }
        else
        {
            place.Byte(kind).Number(distance);
        }

        rest(place);
        place.LastSequence = last != 0 ? last : sequence;
    }

    private sealed class Place(byte[] chunk)
    {
        public int Used { get; private set; } = 8;

        public ulong LastSequence { get; set; }

        public ulong LastAddress { get; set; }

        public Place Byte(byte value)
        {
            chunk[Used++] = value;
            return this;
        }

        public Place Number(ulong value)
        {
            for (; value > 127; value /= 128)
            {
                Byte((byte)((value % 128) + 128));
            }

            return Byte((byte)value);
        }

        public Place Address(ulong address)
        {
            ulong rotated = (address / 8) + (address % 8 << 61);
            long distance = unchecked((long)(rotated - LastAddress));
            LastAddress = rotated;
            return Number(distance >= 0 ? (ulong)distance * 2 : unchecked((ulong)(-(distance + 1)) * 2) + 1);
        }
    }
}

/// <summary>The events of a program's trace as texts, in the order in which a plan gets them.</summary>
internal static class ProgramEvents
{
    public static (List<string> Events, TraceSummary Summary) Read(string path)
    {
        List<string> events = [];
        using TraceSource source = TraceSource.Open(path);
        byte[] start = new byte[8];
        for (int filled = 0, read; filled < 8 && (read = source.Read(start.AsSpan(filled))) > 0; filled += read)
        {
        }

        TraceSummary summary = ProgramTraceReader.Read(source, path, start, (in TraceEvent added) => events.Add(Describe(added)));
        return (events, summary);
    }

    /// <summary>Null, or the message that refuses the file.</summary>
    public static string? Refusal(string path)
    {
        try
        {
            _ = Read(path);
            return null;
        }
        catch (ToolException exception)
        {
            return exception.Message[(path.Length + 2)..];
        }
    }

    private static string Describe(in TraceEvent added)
    {
        string text = added.Kind switch
        {
            TraceEventKind.SizedFree => "free",
            TraceEventKind.ReallocBegin => "from",
            TraceEventKind.ReallocEnd => "to",
            _ => added.IsNull ? "fail" : "alloc",
        };
        string address = added.IsNull ? "" : string.Create(CultureInfo.InvariantCulture, $" {added.Pointer:x}");
        string size = added.Kind is TraceEventKind.SizedFree or TraceEventKind.ReallocBegin ? "" : $" {added.SizeBytes}";
        string traits = (added.IsZeroed ? " zeroed" : "") + (added.AlignmentShift > 0 ? $" aligned {1ul << added.AlignmentShift}" : "") + (added.IsTooLarge ? " too large" : "");
        return $"{added.Cpu} {text}{address}{size}{traits}";
    }
}
