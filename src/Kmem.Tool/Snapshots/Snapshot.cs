using System;
using System.IO;
using System.Text.Json;
using Kmem.Tool.Hosting;

namespace Kmem.Tool.Snapshots;

/// <summary>
/// The state of a heap in a file: JSON that says what it is and in which version, so that a later tool can read it or say
/// that it cannot.
/// </summary>
internal sealed record Snapshot
{
    public const string FormatName = "kmem-snapshot";

    public const int CurrentVersion = 1;

    public required string Format { get; init; }

    public required int Version { get; init; }

    /// <summary>When it was taken.</summary>
    public required DateTimeOffset Taken { get; init; }

    /// <summary>What it was taken of, in words.</summary>
    public required string Source { get; init; }

    public required KmemStatistics Statistics { get; init; }

    /// <summary>Writes a snapshot of the present version.</summary>
    public static void Save(string path, string source, KmemStatistics statistics)
    {
        Snapshot snapshot = new()
        {
            Format = FormatName,
            Version = CurrentVersion,
            Taken = DateTimeOffset.UtcNow,
            Source = source,
            Statistics = statistics,
        };
        JsonFile.Save(path, snapshot, ToolJsonContext.Default.Snapshot);
    }

    /// <summary>Reads a snapshot; throws a <see cref="ToolException"/> that says why a file is none.</summary>
    public static Snapshot Load(string path)
    {
        byte[] content = ReadFile(path);
        try
        {
            // What it says of itself comes first: a snapshot of another version may lack what this one must have.
            SnapshotHeader? header = JsonSerializer.Deserialize(content, ToolJsonContext.Default.SnapshotHeader);
            if (header?.Format != FormatName)
            {
                throw NotASnapshot(path);
            }

            if (header.Version != CurrentVersion)
            {
                throw new ToolException($"{path}: is a snapshot of version {header.Version}; this kmem reads version {CurrentVersion}");
            }

            Snapshot? snapshot = JsonSerializer.Deserialize(content, ToolJsonContext.Default.Snapshot);
            return snapshot ?? throw NotASnapshot(path);
        }
        catch (JsonException exception) when (exception.Path is { Length: > 1 } && exception.LineNumber == null)
        {
            throw new ToolException($"{path}: is an incomplete snapshot: {FirstSentence(exception.Message)}", exception);
        }
        catch (JsonException exception)
        {
            throw new ToolException($"{path}: is not a kmem snapshot, or a damaged one: {FirstSentence(exception.Message)}", exception);
        }
    }

    private static ToolException NotASnapshot(string path)
    {
        return new ToolException($"{path}: is not a kmem snapshot; 'kmem replay --snapshot' makes one");
    }

    private static string FirstSentence(string message)
    {
        int end = message.IndexOf(". ", StringComparison.Ordinal);
        return (end < 0 ? message : message[..end]).ReplaceLineEndings(" ");
    }

    private static byte[] ReadFile(string path)
    {
        if (Directory.Exists(path))
        {
            throw new ToolException($"{path}: is a directory; a snapshot file is expected");
        }

        try
        {
            byte[] content = File.ReadAllBytes(path);
            return content.Length > 0 ? content : throw new ToolException($"{path}: the file is empty");
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new ToolException($"{path}: no such file", exception);
        }
        catch (UnauthorizedAccessException exception)
        {
            throw new ToolException($"{path}: permission denied", exception);
        }
        catch (Exception exception) when (exception is IOException or ArgumentException)
        {
            throw new ToolException($"{path}: cannot be read: {exception.Message}", exception);
        }
    }
}

/// <summary>The part of a snapshot that every version has.</summary>
internal sealed record SnapshotHeader
{
    public string? Format { get; init; }

    public int Version { get; init; }
}
