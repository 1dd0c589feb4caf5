using System;

namespace Kmem.Tool.Traces.Programs;

/// <summary>One chunk in memory. Zeros at its end are not kept.</summary>
/// <param name="Offset">Of its first byte in the file.</param>
/// <param name="Content">Its bytes; behind them are zeros.</param>
/// <param name="Length">Its length in the file.</param>
internal sealed record ProgramChunk(long Offset, byte[] Content, int Length)
{
    /// <summary>The file ends in it.</summary>
    public bool IsCut => Length < ProgramTraceFormat.ChunkBytes;

    public static ProgramChunk Of(long offset, ReadOnlySpan<byte> bytes)
    {
        return new ProgramChunk(offset, bytes[..(bytes.LastIndexOfAnyExcept((byte)0) + 1)].ToArray(), bytes.Length);
    }
}

/// <summary>
/// A thread's records in a chunk, in their order: from the record that says whose they are up to the last that is whole.
/// </summary>
/// <param name="Chunk">Where they are.</param>
/// <param name="Start">Of the first event in the chunk.</param>
/// <param name="End">Behind the last event.</param>
/// <param name="Thread">Number of the thread, from 0.</param>
/// <param name="Before">The number that the first distance is counted from.</param>
/// <param name="Last">Number of the last event.</param>
internal sealed record ProgramSegment(ProgramChunk Chunk, int Start, int End, int Thread, ulong Before, ulong Last);

/// <summary>What is wrong with a record.</summary>
internal enum ProgramRecordProblem
{
    None,

    /// <summary>The bytes of the file end in it.</summary>
    Cut,

    /// <summary>It reaches beyond its chunk.</summary>
    BeyondChunk,

    NumberTooLong,
    UnknownKind,
    NoDistance,
    SequenceOverflow,
    BadAlignment,
    BadThread,
}
