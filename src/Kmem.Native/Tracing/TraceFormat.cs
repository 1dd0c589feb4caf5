namespace Kmem.Native;

/// <summary>
/// Numbers of the trace format, version 1. <c>docs/TRACES.md</c> has it byte by byte; the reader in <c>src/Kmem.Tool/Traces</c> has the
/// twins of these.
/// </summary>
internal static class TraceFormat
{
    public const uint Version = 1;
    public const int HeaderBytes = 4096;
    public const int ChunkBytes = 64 << 10;
    public const int ChunkHeaderBytes = 8;

    /// <summary>Longer than any record: the longest, a realloc, has a tag and five numbers of ten bytes.</summary>
    public const int RecordBytesMax = 64;

    /// <summary>"KMTC" in the order of bytes.</summary>
    public const uint ChunkMagic = 0x43544D4B;

    /// <summary>Bytes 0x89 "KMTR" CR LF 0x1A: neither text, nor whole after a transfer as text.</summary>
    public const ulong Magic = 0x1A0A0D52544D4B89;

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

    public const byte Allocated = 1;
    public const byte AllocatedZeroed = 2;
    public const byte AllocatedAligned = 3;
    public const byte Freed = 4;
    public const byte Reallocated = 5;
    public const byte Failed = 6;
    public const byte ThreadHere = 7;
    public const byte ThreadEnd = 8;
    public const byte ChunkEnd = 9;

    /// <summary>In the byte of an alignment.</summary>
    public const byte ZeroedBit = 0x80;

    /// <summary>Distances of sequence numbers up to it stand in the tag.</summary>
    public const ulong TagDistanceMax = 15;

    public const int TagDistanceShift = 4;

    /// <summary>Addresses are rotated by it: the three lowest bits, mostly 0, become the highest, which short numbers do without.</summary>
    public const int AddressRotation = 3;
}
