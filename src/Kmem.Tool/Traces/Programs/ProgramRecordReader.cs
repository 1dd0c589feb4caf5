using System.Numerics;
using static Kmem.Tool.Traces.Programs.ProgramTraceFormat;

namespace Kmem.Tool.Traces.Programs;

/// <summary>
/// Reads the records of a chunk one by one. After <see cref="Read"/> the fields hold what the record says; those that it does not
/// tell are left as they were.
/// </summary>
internal struct ProgramRecordReader
{
    /// <summary>Largest power of two that an alignment can be.</summary>
    private const int AlignmentShiftMax = 63;

    private const ulong ThreadMax = int.MaxValue;

    private readonly ProgramChunk _chunk;
    private ulong _lastAddress;

    /// <param name="chunk">The chunk.</param>
    /// <param name="position">Of a record's tag.</param>
    /// <param name="sequence">The number that the next distance is counted from.</param>
    public ProgramRecordReader(ProgramChunk chunk, int position, ulong sequence)
    {
        _chunk = chunk;
        Position = position;
        Sequence = sequence;
    }

    /// <summary>Of the next record; after a problem, of the record that has it.</summary>
    public int Position { get; private set; }

    public ProgramRecord Kind { get; private set; }

    /// <summary>Number of the event, for a realloc of its half that allocates.</summary>
    public ulong Sequence { get; private set; }

    /// <summary>For a realloc: number of its half that frees.</summary>
    public ulong SequenceBefore { get; private set; }

    public ulong Address { get; private set; }

    /// <summary>For a realloc: what it was given.</summary>
    public ulong OldAddress { get; private set; }

    public ulong SizeBytes { get; private set; }

    /// <summary>For <see cref="ProgramRecord.Failed"/>: what failed.</summary>
    public ProgramRecord FailedKind { get; private set; }

    public int AlignmentShift { get; private set; }

    public bool IsZeroed { get; private set; }

    /// <summary>For a thread: its number in the file, from 0.</summary>
    public int Thread { get; private set; }

    /// <summary>For a thread's beginning and end: microseconds since the start.</summary>
    public ulong Microseconds { get; private set; }

    public ProgramRecordProblem Problem { get; private set; }

    /// <summary>Reads the next record; false at the end of what was written, or where <see cref="Problem"/> is set.</summary>
    public bool Read()
    {
        int start = Position;
        byte tag = ReadByte();
        Kind = (ProgramRecord)(tag & 0xF);
        if (tag == 0 || Problem != ProgramRecordProblem.None)
        {
            Position = start;
            return false;
        }

        ReadRest(tag >> TagDistanceShift);
        if (Problem != ProgramRecordProblem.None)
        {
            Position = start;
        }

        return Problem == ProgramRecordProblem.None;
    }

    private void ReadRest(int distance)
    {
        switch (Kind)
        {
            case ProgramRecord.Allocated or ProgramRecord.AllocatedZeroed or ProgramRecord.AllocatedAligned:
                Advance(distance);
                ReadTraits(Kind);
                Address = ReadAddress();
                SizeBytes = ReadNumber();
                break;
            case ProgramRecord.Freed:
                Advance(distance);
                Address = ReadAddress();
                break;
            case ProgramRecord.Reallocated:
                Advance(distance);
                AdvanceRealloc();
                OldAddress = ReadAddress();
                Address = ReadAddress();
                SizeBytes = ReadNumber();
                break;
            case ProgramRecord.Failed:
                Advance(distance);
                ReadFailure();
                break;
            case ProgramRecord.ThreadHere when distance == 0:
                ReadThread();
                break;
            case ProgramRecord.ThreadEnd when distance == 0:
                Microseconds = ReadNumber();
                break;
            case ProgramRecord.ChunkEnd when distance == 0:
                break;
            default:
                Fail(ProgramRecordProblem.UnknownKind);
                break;
        }
    }

    private void ReadFailure()
    {
        FailedKind = (ProgramRecord)ReadByte();
        switch (FailedKind)
        {
            case ProgramRecord.Allocated or ProgramRecord.AllocatedZeroed or ProgramRecord.AllocatedAligned:
                ReadTraits(FailedKind);
                break;
            case ProgramRecord.Reallocated:
                ReadTraits(FailedKind);
                AdvanceRealloc();
                OldAddress = ReadAddress();
                break;
            default:
                Fail(ProgramRecordProblem.UnknownKind);
                break;
        }

        SizeBytes = ReadNumber();
    }

    private void ReadThread()
    {
        ulong number = ReadNumber();
        _ = ReadNumber();
        Microseconds = ReadNumber();
        Sequence = ReadNumber();
        _lastAddress = 0;
        if (number is 0 or > ThreadMax)
        {
            Fail(ProgramRecordProblem.BadThread);
        }

        Thread = (int)(number - 1);
    }

    private void ReadTraits(ProgramRecord kind)
    {
        IsZeroed = kind == ProgramRecord.AllocatedZeroed;
        AlignmentShift = 0;
        if (kind == ProgramRecord.AllocatedAligned)
        {
            byte alignment = ReadByte();
            IsZeroed = (alignment & ZeroedBit) != 0;
            AlignmentShift = alignment & ~ZeroedBit;
            if (AlignmentShift > AlignmentShiftMax)
            {
                Fail(ProgramRecordProblem.BadAlignment);
            }
        }
    }

    /// <summary>The distance to the next number: in the tag, or behind it where that says 0.</summary>
    private void Advance(int distance)
    {
        ulong way = distance != 0 ? (ulong)distance : ReadNumber();
        if (way == 0)
        {
            Fail(ProgramRecordProblem.NoDistance);
        }

        AdvanceBy(way);
    }

    private void AdvanceRealloc()
    {
        SequenceBefore = Sequence;
        ulong way = ReadNumber();
        if (way == 0)
        {
            Fail(ProgramRecordProblem.NoDistance);
        }

        AdvanceBy(way);
    }

    private void AdvanceBy(ulong way)
    {
        // Numbers are counted from 1, one at a time: none comes near the end.
        if (way > long.MaxValue || Sequence > long.MaxValue - way)
        {
            Fail(ProgramRecordProblem.SequenceOverflow);
            return;
        }

        Sequence += way;
    }

    private ulong ReadAddress()
    {
        ulong coded = ReadNumber();
        _lastAddress += (coded >> 1) ^ (~(coded & 1) + 1);
        return BitOperations.RotateLeft(_lastAddress, AddressRotation);
    }

    private ulong ReadNumber()
    {
        ulong value = 0;
        for (int shift = 0; shift < 64; shift += 7)
        {
            byte next = ReadByte();
            if (shift == 63 && next > 1)
            {
                break;
            }

            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80)
            {
                return value;
            }
        }

        Fail(ProgramRecordProblem.NumberTooLong);
        return 0;
    }

    private byte ReadByte()
    {
        int position = Position++;
        if (position < _chunk.Content.Length)
        {
            return _chunk.Content[position];
        }

        if (position >= _chunk.Length)
        {
            Fail(_chunk.IsCut ? ProgramRecordProblem.Cut : ProgramRecordProblem.BeyondChunk);
        }

        return 0;
    }

    /// <summary>The first problem is the one that counts.</summary>
    private void Fail(ProgramRecordProblem problem)
    {
        if (Problem == ProgramRecordProblem.None)
        {
            Problem = problem;
        }
    }
}
