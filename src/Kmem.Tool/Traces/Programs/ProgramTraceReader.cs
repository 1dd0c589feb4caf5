using System;
using System.Collections.Generic;
using Kmem.Tool.Hosting;
using static Kmem.Tool.Traces.Programs.ProgramTraceFormat;

namespace Kmem.Tool.Traces.Programs;

/// <summary>
/// Reads the trace of a program, which <c>libkmem.so</c> recorded. Everything is looked at once before anything is handed on, so
/// that a damaged file is refused as a whole: with the byte where it is wrong, and why. A program may end at any moment, and a file may be
/// cut off: then what is whole counts, and a note says what is not.
/// </summary>
internal sealed class ProgramTraceReader
{
    private readonly string _path;
    private readonly ProgramTrace _trace;
    private readonly List<ProgramSegment> _segments = [];
    private long _events;
    private ulong _numbers;
    private ulong _microseconds;

    private ProgramTraceReader(string path, ProgramTrace trace)
    {
        _path = path;
        _trace = trace;
    }

    /// <summary>Reads all of <paramref name="source"/>, of which <paramref name="start"/> was read already, and hands its events to <paramref name="sink"/>; null to only look.</summary>
    public static TraceSummary Read(TraceSource source, string path, ReadOnlySpan<byte> start, TraceEventSink? sink)
    {
        byte[] buffer = new byte[ChunkBytes];
        start.CopyTo(buffer);
        int filled = Fill(source, buffer.AsSpan(0, HeaderBytes), start.Length);
        if (filled < HeaderBytes)
        {
            throw new ToolException($"{path}: the trace is cut off in its header, after {filled:N0} bytes");
        }

        ProgramTrace trace = ProgramTrace.TryReadHeader(buffer.AsSpan(0, HeaderBytes), out string problem) ?? throw new ToolException($"{path}: {problem}");
        ProgramTraceReader reader = new(path, trace);
        long offset = HeaderBytes;
        for (uint number = 0; (filled = Fill(source, buffer, 0)) > 0; number++)
        {
            reader.AddChunk(ProgramChunk.Of(offset, buffer.AsSpan(0, filled)), number);
            offset += filled;
            if (filled < buffer.Length)
            {
                break;
            }
        }

        return reader.Finish(sink);
    }

    private static int Fill(TraceSource source, Span<byte> buffer, int filled)
    {
        while (filled < buffer.Length)
        {
            int read = source.Read(buffer[filled..]);
            if (read == 0)
            {
                break;
            }

            filled += read;
        }

        return filled;
    }

    private void AddChunk(ProgramChunk chunk, uint number)
    {
        if (chunk.IsCut)
        {
            _trace.Notes.Add($"the file is cut off in chunk {number}, after {chunk.Offset + chunk.Length:N0} bytes; events behind that are missing");
        }

        // Room for a chunk that no thread came to write into.
        if (chunk.Content.Length == 0)
        {
            return;
        }

        Span<byte> start = stackalloc byte[ChunkHeaderBytes];
        chunk.Content.AsSpan(0, Math.Min(ChunkHeaderBytes, chunk.Content.Length)).CopyTo(start);
        if (chunk.Length < ChunkHeaderBytes)
        {
            return;
        }

        if (BitConverter.ToUInt32(start) != ChunkMagic)
        {
            throw Damaged(chunk, 0, $"chunk {number} does not begin with KMTC");
        }

        if (BitConverter.ToUInt32(start[4..]) is var found && found != number)
        {
            throw Damaged(chunk, 4, $"chunk {number} says that it is number {found}");
        }

        Scan(chunk);
    }

    /// <summary>Finds the chunk's segments, and everything that is wrong with its records.</summary>
    private void Scan(ProgramChunk chunk)
    {
        ProgramRecordReader reader = new(chunk, ChunkHeaderBytes, 0);
        ProgramSegment? open = null;
        while (true)
        {
            int at = reader.Position;
            if (!reader.Read())
            {
                ReportEnd(chunk, reader);
                Close(ref open, at);
                return;
            }

            switch (reader.Kind)
            {
                case ProgramRecord.ThreadHere when open != null:
                    throw Damaged(chunk, at, "a thread begins before the one before it has ended");
                case ProgramRecord.ThreadHere:
                    open = new ProgramSegment(chunk, reader.Position, reader.Position, reader.Thread, reader.Sequence, reader.Sequence);
                    _microseconds = Math.Max(_microseconds, reader.Microseconds);
                    break;
                case ProgramRecord.ThreadEnd when open != null:
                    _microseconds = Math.Max(_microseconds, reader.Microseconds);
                    Close(ref open, at);
                    break;
                case ProgramRecord.ChunkEnd:
                    if (chunk.Content.Length > reader.Position)
                    {
                        throw Damaged(chunk, reader.Position, "there is something behind the end of the chunk");
                    }

                    Close(ref open, at);
                    return;
                case var kind:
                    if (open == null)
                    {
                        throw Damaged(chunk, at, "an event, and no thread that it is of");
                    }

                    open = open with { Last = reader.Sequence };
                    _events++;
                    _numbers += kind == ProgramRecord.Reallocated || (kind == ProgramRecord.Failed && reader.FailedKind == ProgramRecord.Reallocated) ? 2u : 1u;
                    break;
            }
        }
    }

    /// <summary>A chunk may end anywhere. What is behind its last record is a record that never got its tag, or damage.</summary>
    private void ReportEnd(ProgramChunk chunk, in ProgramRecordReader reader)
    {
        int at = reader.Position;
        switch (reader.Problem)
        {
            case ProgramRecordProblem.Cut:
                return;
            case ProgramRecordProblem.None when chunk.Content.Length > at + RecordBytesMax:
                throw Damaged(chunk, at, "there is something behind the last record");
            case ProgramRecordProblem.None when chunk.Content.Length > at:
                _trace.Notes.Add($"the program ended while an event was written, at byte {chunk.Offset + at:N0}; it is left out");
                return;
            case ProgramRecordProblem.None:
                return;
            default:
                throw Damaged(chunk, at, Explain(reader.Problem));
        }
    }

    private void Close(ref ProgramSegment? open, int end)
    {
        if (open != null)
        {
            _segments.Add(open with { End = end });
            open = null;
        }
    }

    private TraceSummary Finish(TraceEventSink? sink)
    {
        if (_events == 0)
        {
            throw new ToolException($"{_path}: no event in the trace of {_trace.CommandLine}");
        }

        CheckThreads();
        if (sink != null)
        {
            Merge(sink);
        }

        _trace.Duration = _trace.Ended ?? TimeSpan.FromMicroseconds(Math.Min(_microseconds, (ulong)TimeSpan.MaxValue.Ticks / 100));
        return new TraceSummary { Events = _events, LostEvents = _trace.Lost, Program = _trace };
    }

    private void Merge(TraceEventSink sink)
    {
        ulong last = ProgramTraceMerger.Merge(_segments, sink, (segment, position) => Damaged(segment.Chunk, position, "an event has the number of another one"));
        if (last > _numbers)
        {
            ulong missing = last - _numbers;
            _trace.Notes.Add($"{(missing == 1 ? "1 event is" : $"{missing:N0} events are")} missing: of threads that ended in the middle of one, or of parts of the file that are not there");
        }
    }

    /// <summary>Numbers of a thread rise from chunk to chunk.</summary>
    private void CheckThreads()
    {
        _segments.Sort(static (left, right) => left.Thread != right.Thread ? left.Thread.CompareTo(right.Thread)
            : left.Before != right.Before ? left.Before.CompareTo(right.Before)
            : left.Last.CompareTo(right.Last));
        int threads = 0;
        for (int index = 0; index < _segments.Count; index++)
        {
            ProgramSegment segment = _segments[index];
            if (index > 0 && _segments[index - 1] is var before && before.Thread == segment.Thread)
            {
                if (segment.Before < before.Last)
                {
                    throw Damaged(segment.Chunk, segment.Start, $"thread {segment.Thread} is at number {segment.Before:N0}, and elsewhere beyond it");
                }

                continue;
            }

            threads++;
        }

        _trace.Threads = threads;
    }

    private ToolException Damaged(ProgramChunk chunk, int position, string why) => new($"{_path}: damaged at byte {chunk.Offset + position}: {why}");

    private static string Explain(ProgramRecordProblem problem) => problem switch
    {
        ProgramRecordProblem.BeyondChunk => "a record reaches beyond its chunk",
        ProgramRecordProblem.NumberTooLong => "a number of more than 64 bits",
        ProgramRecordProblem.NoDistance => "two events with the same number",
        ProgramRecordProblem.SequenceOverflow => "the number of an event is too large",
        ProgramRecordProblem.BadAlignment => "an alignment of more than 64 bits",
        ProgramRecordProblem.BadThread => "a thread without a number",
        _ => "no record begins like that",
    };
}
