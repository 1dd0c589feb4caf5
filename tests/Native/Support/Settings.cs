using System;
using System.IO;
using Xunit;

namespace Kmem.Tests.Native;

/// <summary>What the environment says about these tests.</summary>
internal static class Settings
{
    /// <summary><c>KMEM_LONG=1</c>: the sizes for a thorough look instead of those for every change.</summary>
    public static bool IsLong { get; } = IsSet("KMEM_LONG");

    /// <summary><c>KMEM_REQUIRE_PROGRAMS=1</c>: what is not installed or not built is a failure instead of a skipped test.</summary>
    public static bool IsEverythingRequired { get; } = IsSet("KMEM_REQUIRE_PROGRAMS");

    /// <summary>How long one program may take.</summary>
    public static TimeSpan Limit { get; } = TimeSpan.FromSeconds(IsLong ? 900 : 100);

    /// <summary>The root of the checkout that the tests were built in.</summary>
    public static string Root { get; } = FindRoot();

    private static readonly string s_library = Path.GetFullPath(
        Environment.GetEnvironmentVariable("KMEM_LIBRARY") ?? Path.Combine(Root, "artifacts", "native", "linux-x64", "libkmem.so"));

    /// <summary>The library to preload: that of <c>KMEM_LIBRARY</c>, or the one that a Release build of src/Kmem.Native leaves.</summary>
    public static string Library
    {
        get
        {
            if (!File.Exists(s_library))
            {
                Missing(s_library, "dotnet build -c Release src/Kmem.Native");
            }

            return s_library;
        }
    }

    public static T Choose<T>(T usual, T thorough) => IsLong ? thorough : usual;

    /// <summary>Ends the test as skipped, or as failed where everything must be there.</summary>
    public static void Missing(string what, string remedy)
    {
        string message = $"{what} is missing: {remedy}";
        Assert.False(IsEverythingRequired, message);
        Assert.Skip(message);
    }

    private static bool IsSet(string name) => Environment.GetEnvironmentVariable(name) is not (null or "" or "0");

    private static string FindRoot()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder != null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Kmem.slnx")))
            {
                return folder.FullName;
            }
        }

        throw new InvalidOperationException("No Kmem.slnx above " + AppContext.BaseDirectory);
    }
}
