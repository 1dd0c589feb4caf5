using System;
using System.Buffers.Binary;
using System.IO;
using System.Linq;
using Kmem.Tool.Hosting;

namespace Kmem.Tool.Recording;

/// <summary>What a program's file says about whether the library can be loaded into it.</summary>
internal static class ExecutableFile
{
    private const UnixFileMode AnyExecute = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
    private const UnixFileMode OthersRights = UnixFileMode.SetUser | UnixFileMode.SetGroup;
    private const int ElfHeaderBytes = 64;
    private const int ProgramHeaderBytes = 56;
    private const uint ProgramInterpreter = 3;

    /// <summary>Finds a program as a shell does: a name without a slash is looked for in PATH.</summary>
    public static string Find(string program)
    {
        if (program.Contains('/', StringComparison.Ordinal))
        {
            return IsExecutable(program) ? Path.GetFullPath(program)
                : throw new ToolException($"{program}: {(Directory.Exists(program) ? "is a directory" : File.Exists(program) ? "cannot be executed" : "no such program")}");
        }

        string[] folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':');
        return folders.Select(folder => Path.Join(folder.Length == 0 ? "." : folder, program)).FirstOrDefault(IsExecutable) is { } found
            ? Path.GetFullPath(found)
            : throw new ToolException($"{program}: no such program in PATH");
    }

    /// <summary>Why a program that ran has recorded nothing, as far as its file tells.</summary>
    public static string WhyNotRecorded(string path)
    {
        try
        {
            if (OperatingSystem.IsLinux() && (File.GetUnixFileMode(path) & OthersRights) != 0)
            {
                return "it runs with its owner's rights (setuid), and the loader ignores LD_PRELOAD then";
            }

            if (IsStatic(path))
            {
                return "it is linked statically, and no library can be loaded into it";
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // There is something to say without the file, too.
        }

        return "the library was not loaded into it, or could not make the file (then it said so)";
    }

    private static bool IsExecutable(string path)
    {
        return File.Exists(path) && (!OperatingSystem.IsLinux() || (File.GetUnixFileMode(path) & AnyExecute) != 0);
    }

    /// <summary>An ELF file of 64 bits without an interpreter, which is the loader.</summary>
    private static bool IsStatic(string path)
    {
        using FileStream file = File.OpenRead(path);
        byte[] header = new byte[ElfHeaderBytes];
        if (file.ReadAtLeast(header, header.Length, throwOnEndOfStream: false) < header.Length || !header.AsSpan().StartsWith("\u007FELF"u8))
        {
            return false;
        }

        file.Position = (long)(BinaryPrimitives.ReadUInt64LittleEndian(header.AsSpan(32)) & long.MaxValue);
        int count = BinaryPrimitives.ReadUInt16LittleEndian(header.AsSpan(56));
        byte[] entry = new byte[ProgramHeaderBytes];
        for (int index = 0; index < count && file.ReadAtLeast(entry, entry.Length, throwOnEndOfStream: false) == entry.Length; index++)
        {
            if (BinaryPrimitives.ReadUInt32LittleEndian(entry) == ProgramInterpreter)
            {
                return false;
            }
        }

        return true;
    }
}
