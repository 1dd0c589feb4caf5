using System;
using System.IO;
using System.Threading;
using Xunit;

namespace Kmem.Tests.Packages;

/// <summary>The packages, packed once, in a folder that other projects restore them from. They are cached in a folder of their own, not in the user's.</summary>
internal static class Feed
{
    private static readonly Lazy<string> s_folder = new(Pack, LazyThreadSafetyMode.ExecutionAndPublication);

    /// <summary>Skips where the tests themselves are a Debug build: what is packed is Release, and one run of it will do.</summary>
    public static string Folder
    {
        get
        {
#if DEBUG
            Assert.Skip("Packages are Release builds: the Release build of the tests looks at them.");
#endif
            return s_folder.Value;
        }
    }

    /// <summary>A new folder that knows of the feed, and of NuGet's own where <paramref name="withNuget"/>.</summary>
    public static string NewFolder(bool withNuget)
    {
        string folder = Directory.CreateTempSubdirectory("kmem-user-").FullName;
        File.WriteAllText(
            Path.Combine(folder, "nuget.config"),
            $"""
            <configuration>
              <config><add key="globalPackagesFolder" value="{Path.Combine(Folder, "cache")}" /></config>
              <packageSources>
                {(withNuget ? "" : "<clear />")}
                <add key="packed" value="{Folder}" />
              </packageSources>
            </configuration>
            """);
        return folder;
    }

    private static string Pack()
    {
        string folder = Directory.CreateTempSubdirectory("kmem-feed-").FullName;
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(folder, recursive: true);
        foreach (string project in new[] { "Kmem", "Kmem.Extensions", "Kmem.AspNetCore", "Kmem.Tool" })
        {
            (int exitCode, string output) = Shell.RunDotnet(Shell.Root, "pack", Path.Combine("src", project), "-c", "Release", "-o", folder, "--nologo");
            Assert.True(exitCode == 0, output);
        }

        return folder;
    }
}
