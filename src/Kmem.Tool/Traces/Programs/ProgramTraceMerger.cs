using System;
using System.Collections.Generic;

namespace Kmem.Tool.Traces.Programs;

/// <summary>
/// Brings the events of all threads into the order of their numbers, and hands them on. The two halves of a realloc have a number
/// each; what other threads did in between comes in between.
/// </summary>
internal static class ProgramTraceMerger
{
    /// <summary>A plan counts sizes in 31 bits.</summary>
    private const ulong SizeBytesMax = int.MaxValue;

    /// <summary>Hands on all events of segments that were found to be sound. Returns the last number; <paramref name="fail"/> makes the exception for one that is there twice.</summary>
    public static ulong Merge(List<ProgramSegment> segments, TraceEventSink sink, Func<ProgramSegment, int, Exception> fail)
    {
        PriorityQueue<Cursor, ulong> waiting = new(segments.Count);
        foreach (ProgramSegment segment in segments)
        {
            Cursor cursor = new(segment);
            if (cursor.Read())
            {
                waiting.Enqueue(cursor, cursor.Sequence);
            }
        }

        ulong last = 0;
        while (waiting.TryDequeue(out Cursor? cursor, out _))
        {
            ulong others = waiting.TryPeek(out _, out ulong next) ? next : ulong.MaxValue;

            // A thread's events often follow each other.
            bool hasMore;
            do
            {
                if (cursor.Sequence == last || cursor.Sequence == others)
                {
                    throw fail(cursor.Segment, cursor.Position);
                }

                last = cursor.Sequence;
                cursor.HandTo(sink);
                hasMore = cursor.Read();
            }
            while (hasMore && cursor.Sequence < others);

            if (hasMore)
            {
                waiting.Enqueue(cursor, cursor.Sequence);
            }
        }

        return last;
    }

    /// <summary>Where the merge is in a segment: at an event, or between the halves of a realloc.</summary>
    private sealed class Cursor
    {
        private ProgramRecordReader _reader;
        private bool _isBetween;

        public Cursor(ProgramSegment segment)
        {
            Segment = segment;
            _reader = new ProgramRecordReader(segment.Chunk, segment.Start, segment.Before);
        }

        public ProgramSegment Segment { get; }

        /// <summary>Of the event in the chunk.</summary>
        public int Position { get; private set; }

        /// <summary>Of the event, or of the half of it that comes next.</summary>
        public ulong Sequence => IsFirstHalf ? _reader.SequenceBefore : _reader.Sequence;

        private bool IsFirstHalf => _reader.Kind == ProgramRecord.Reallocated && !_isBetween;

        /// <summary>Goes to the next event or half; false behind the last one.</summary>
        public bool Read()
        {
            if (_reader.Kind == ProgramRecord.Reallocated && !_isBetween)
            {
                _isBetween = true;
                return true;
            }

            _isBetween = false;
            Position = _reader.Position;
            return Position < Segment.End && _reader.Read();
        }

        public void HandTo(TraceEventSink sink)
        {
            TraceEvent added = new() { Cpu = Segment.Thread };
            switch (_reader.Kind)
            {
                case ProgramRecord.Freed:
                    added.Kind = TraceEventKind.SizedFree;
                    added.Pointer = _reader.Address;
                    break;
                case ProgramRecord.Reallocated when !_isBetween:
                    added.Kind = TraceEventKind.ReallocBegin;
                    added.Pointer = _reader.OldAddress;
                    break;
                default:
                    added.Kind = _reader.Kind == ProgramRecord.Reallocated ? TraceEventKind.ReallocEnd : TraceEventKind.SizedAlloc;
                    added.Pointer = _reader.Address;
                    added.IsNull = _reader.Kind == ProgramRecord.Failed;
                    added.IsTooLarge = _reader.SizeBytes > SizeBytesMax;
                    added.SizeBytes = (int)Math.Min(_reader.SizeBytes, SizeBytesMax);
                    if (_reader.Kind != ProgramRecord.Reallocated)
                    {
                        added.IsZeroed = _reader.IsZeroed;
                        added.AlignmentShift = (byte)_reader.AlignmentShift;
                    }

                    break;
            }

            sink(added);
        }
    }
}
