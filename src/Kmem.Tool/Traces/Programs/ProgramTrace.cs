using System;
using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Text;
using static Kmem.Tool.Traces.Programs.ProgramTraceFormat;

namespace Kmem.Tool.Traces.Programs;

/// <summary>What a trace says about the program that was recorded.</summary>
internal sealed class ProgramTrace
{
    private const long NanosecondsPerTick = 100;

    /// <summary>What a shell would not take as it stands.</summary>
    private static readonly SearchValues<char> s_quoted = SearchValues.Create(" \t\n\"'$`*?;&|<>()");

    /// <summary>The program and its arguments.</summary>
    public required string CommandLine { get; init; }

    public required uint ProcessId { get; init; }

    public required uint ParentId { get; init; }

    /// <summary>The process came from a fork, and began with objects that its parent had allocated.</summary>
    public required bool IsFork { get; init; }

    /// <summary>The recorder gave up before the program ended: the disk was full, or the like.</summary>
    public required bool HasStopped { get; init; }

    public required DateTimeOffset Started { get; init; }

    /// <summary>When the program came to its end, after <see cref="Started"/>; null where it ended without telling: killed, crashed, <c>_exit</c>, <c>exec</c>.</summary>
    public required TimeSpan? Ended { get; init; }

    /// <summary>Events of signal handlers that came in the middle of another event.</summary>
    public required long Lost { get; init; }

    /// <summary>The end, or the last time that a thread noted.</summary>
    public TimeSpan Duration { get; set; }

    public int Threads { get; set; }

    /// <summary>What the reader had to leave out, in words.</summary>
    public List<string> Notes { get; } = [];

    /// <summary>Reads the header; <paramref name="problem"/> says what is wrong with it, and at which byte.</summary>
    public static ProgramTrace? TryReadHeader(ReadOnlySpan<byte> header, out string problem)
    {
        problem = FindProblem(header);
        if (problem.Length > 0)
        {
            return null;
        }

        uint flags = ReadUInt32(header, OffsetFlags);
        ulong ended = ReadUInt64(header, OffsetEnd);
        return new ProgramTrace
        {
            CommandLine = DescribeCommand(header.Slice(OffsetCommand, (int)ReadUInt32(header, OffsetCommandBytes))),
            ProcessId = ReadUInt32(header, OffsetProcess),
            ParentId = ReadUInt32(header, OffsetParent),
            IsFork = (flags & FlagFork) != 0,
            HasStopped = (flags & FlagStopped) != 0,
            Started = DateTimeOffset.UnixEpoch.AddTicks((long)(ReadUInt64(header, OffsetWallClock) / (ulong)NanosecondsPerTick)),
            Ended = ended == 0 ? null : TimeSpan.FromTicks((long)(ended / (ulong)NanosecondsPerTick)),
            Lost = (long)ReadUInt64(header, OffsetLost),
        };
    }

    private static string FindProblem(ReadOnlySpan<byte> header)
    {
        if (ReadUInt32(header, OffsetVersion) is not ProgramTraceFormat.Version and var version)
        {
            return $"a trace of version {version}; this kmem reads version {ProgramTraceFormat.Version}";
        }

        (int Offset, string Name, bool IsSane)[] fields =
        [
            (OffsetHeaderBytes, "size of the header", ReadUInt32(header, OffsetHeaderBytes) == HeaderBytes),
            (OffsetChunkBytes, "size of chunks", ReadUInt32(header, OffsetChunkBytes) == ChunkBytes),
            (OffsetWallClock, "time of the start", ReadUInt64(header, OffsetWallClock) <= long.MaxValue),
            (OffsetEnd, "time of the end", ReadUInt64(header, OffsetEnd) <= long.MaxValue),
            (OffsetLost, "number of lost events", ReadUInt64(header, OffsetLost) <= long.MaxValue),
            (OffsetFlags, "flags", (ReadUInt32(header, OffsetFlags) & ~(FlagFork | FlagStopped)) == 0),
            (OffsetCommandBytes, "length of the command line", ReadUInt32(header, OffsetCommandBytes) <= HeaderBytes - OffsetCommand),
        ];
        foreach ((int offset, string name, bool isSane) in fields)
        {
            if (!isSane)
            {
                return $"damaged at byte {offset}: the {name} cannot be right";
            }
        }

        return "";
    }

    /// <summary>Arguments as one would type them, nearly: those with blanks in quotes, and control characters as question marks.</summary>
    private static string DescribeCommand(ReadOnlySpan<byte> arguments)
    {
        StringBuilder text = new();
        foreach (string argument in Encoding.UTF8.GetString(arguments).TrimEnd('\0').Split('\0'))
        {
            bool isQuoted = argument.Length == 0 || argument.AsSpan().ContainsAny(s_quoted);
            text.Append(text.Length > 0 ? " " : "").Append(isQuoted ? "'" : "");
            foreach (char character in argument)
            {
                text.Append(char.IsControl(character) ? '?' : character);
            }

            text.Append(isQuoted ? "'" : "");
        }

        return text.ToString();
    }

    private static uint ReadUInt32(ReadOnlySpan<byte> bytes, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[offset..]);

    private static ulong ReadUInt64(ReadOnlySpan<byte> bytes, int offset) => BinaryPrimitives.ReadUInt64LittleEndian(bytes[offset..]);
}
