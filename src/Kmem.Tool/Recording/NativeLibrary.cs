using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;
using Kmem.Tool.Hosting;

namespace Kmem.Tool.Recording;

/// <summary>Finds <c>libkmem.so</c>, which does the recording.</summary>
internal static class NativeLibrary
{
    public const string FileName = "libkmem.so";

    /// <summary>The environment variable that names it.</summary>
    public const string Variable = "KMEM_LIBRARY";

    private static readonly string[] s_besideTool = ["", "runtimes/linux-x64/native"];

    private const string InCheckout = "artifacts/native/linux-x64";

    /// <summary>The full path: of what was <paramref name="given"/>, else of what the environment names, else beside the tool or in the checkout that it was built in.</summary>
    public static string Find(string? given)
    {
        RequireSystem();
        if (given != null)
        {
            return Require(given, "--library");
        }

        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } named)
        {
            return Require(named, Variable);
        }

        string[] places = [.. Places(AppContext.BaseDirectory)];
        return places.FirstOrDefault(File.Exists) is { } found
            ? RequireLoadable(found)
            : throw new ToolException($"{FileName} was not found in {string.Join(", ", places.Select(Path.GetDirectoryName))}; name it with --library or {Variable}. In a checkout 'dotnet build -c Release src/Kmem.Native' makes it");
    }

    private static IEnumerable<string> Places(string toolFolder)
    {
        foreach (string folder in s_besideTool)
        {
            yield return Path.Join(toolFolder, folder, FileName);
        }

        for (DirectoryInfo? folder = new(toolFolder); folder != null; folder = folder.Parent)
        {
            // Only a checkout has it, and there is one at most above the tool.
            if (Directory.Exists(Path.Join(folder.FullName, "artifacts")) || File.Exists(Path.Join(folder.FullName, "Kmem.slnx")))
            {
                yield return Path.Join(folder.FullName, InCheckout, FileName);
            }
        }
    }

    private static string Require(string path, string origin)
    {
        return File.Exists(path) ? RequireLoadable(Path.GetFullPath(path)) : throw new ToolException($"{path}: no such file ({origin} names it as the library)");
    }

    /// <summary>The loader takes blanks and colons for the ends of names.</summary>
    private static string RequireLoadable(string path)
    {
        return path.AsSpan().ContainsAny(" :\t\n")
            ? throw new ToolException($"{path}: LD_PRELOAD cannot name a library whose path has a blank or a colon in it")
            : path;
    }

    private static void RequireSystem()
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64)
        {
            throw new ToolException("programs can be recorded on Linux on x64 only");
        }
    }
}
