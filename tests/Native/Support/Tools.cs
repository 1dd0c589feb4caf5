using System;
using System.IO;
using System.Linq;

namespace Kmem.Tests.Native;

/// <summary>Programs of the machine that tests need.</summary>
internal static class Tools
{
    /// <summary>The path of a program. Where it is not installed the test is skipped, with the name of its Debian package.</summary>
    public static string Find(string program, string package)
    {
        string[] folders = [.. (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':'), "/usr/sbin", "/sbin"];
        string? found = folders.Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);
        if (found == null)
        {
            Settings.Missing(program, "apt-get install " + package);
        }

        return found!;
    }
}
