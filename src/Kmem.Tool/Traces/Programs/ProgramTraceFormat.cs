using System;

namespace Kmem.Tool.Traces.Programs;

/// <summary>What a record of a program's trace is: the low four bits of its tag. The twins of these are in <c>src/Kmem.Native/Tracing</c>.</summary>
internal enum ProgramRecord : byte
{
    /// <summary>No record: the end of what was written.</summary>
    None = 0,

    Allocated = 1,
    AllocatedZeroed = 2,
    AllocatedAligned = 3,
    Freed = 4,
    Reallocated = 5,
    Failed = 6,
    ThreadHere = 7,
    ThreadEnd = 8,
    ChunkEnd = 9,
}

/// <summary>Numbers of the format, which <c>docs/TRACES.md</c> has byte by byte.</summary>
internal static class ProgramTraceFormat
{
    public const uint Version = 1;
    public const int HeaderBytes = 4096;
    public const int ChunkBytes = 64 << 10;
    public const int ChunkHeaderBytes = 8;
    public const uint ChunkMagic = 0x43544D4B;

    /// <summary>Longer than any record.</summary>
    public const int RecordBytesMax = 64;

    public const int OffsetVersion = 8;
    public const int OffsetHeaderBytes = 12;
    public const int OffsetChunkBytes = 16;
    public const int OffsetPageBytes = 20;
    public const int OffsetProcess = 24;
    public const int OffsetParent = 28;
    public const int OffsetWallClock = 32;
    public const int OffsetEnd = 40;
    public const int OffsetLost = 48;
    public const int OffsetFlags = 56;
    public const int OffsetCommandBytes = 60;
    public const int OffsetCommand = 64;

    public const uint FlagFork = 1;
    public const uint FlagStopped = 2;

    public const byte ZeroedBit = 0x80;
    public const int TagDistanceShift = 4;
    public const int AddressRotation = 3;

    /// <summary>First bytes of every such file.</summary>
    public static ReadOnlySpan<byte> Magic => [0x89, (byte)'K', (byte)'M', (byte)'T', (byte)'R', (byte)'\r', (byte)'\n', 0x1A];
}
