using System;
using System.Buffers;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Kmem.Tool.Hosting;
using Kmem.Tool.Traces.Programs;

namespace Kmem.Tool.Recording;

/// <summary>The files that a recording left: the program's, and those of processes that it started, which have its name with a number behind it.</summary>
internal static class RecordedFiles
{
    private static readonly SearchValues<char> s_digits = SearchValues.Create("0123456789.");

    /// <summary>Clocks of the header and of the file system are not the same.</summary>
    private static readonly TimeSpan s_tolerance = TimeSpan.FromSeconds(1);

    /// <summary>Makes room for a recording: a trace of that name is gone afterwards.</summary>
    public static void Clear(string path)
    {
        if (path.StartsWith("/dev/", StringComparison.Ordinal))
        {
            throw new ToolException($"{path}: is a device; a trace is a file");
        }

        OutputFile.RequireWritable(path);
        File.Delete(path);
    }

    /// <summary>Traces of other processes that began after <paramref name="start"/>, sorted by name.</summary>
    public static IReadOnlyList<string> OthersSince(string path, DateTimeOffset start)
    {
        string folder = Path.GetDirectoryName(path)!;
        string prefix = Path.GetFileName(path) + ".";
        return
        [
            .. new DirectoryInfo(folder).EnumerateFiles()
                .Where(file => file.Name.StartsWith(prefix, StringComparison.Ordinal) && IsNumber(file.Name.AsSpan(prefix.Length)))
                .Select(static file => file.FullName)
                .Where(file => ReadStart(file) >= start - s_tolerance)
                .Order(StringComparer.Ordinal),
        ];
    }

    /// <summary>Numbers, and dots between them.</summary>
    private static bool IsNumber(ReadOnlySpan<char> text) => text.Length > 0 && !text.ContainsAnyExcept(s_digits);

    /// <summary>When a trace began; null for other files.</summary>
    private static DateTimeOffset? ReadStart(string path)
    {
        try
        {
            using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            byte[] header = new byte[ProgramTraceFormat.HeaderBytes];
            return file.ReadAtLeast(header, header.Length, throwOnEndOfStream: false) == header.Length && header.AsSpan().StartsWith(ProgramTraceFormat.Magic)
                ? ProgramTrace.TryReadHeader(header, out _)?.Started
                : null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
