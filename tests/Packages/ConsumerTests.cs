using System;
using System.IO;
using System.Linq;
using Xunit;

namespace Kmem.Tests.Packages;

/// <summary>Programs of users, on the packages, in each of the forms that .NET publishes.</summary>
public sealed class ConsumerTests
{
    private const int Skipped = 77;

    [Fact]
    public void Programs_run_under_the_JIT() => RunPacked("--quick");

    [Fact]
    public void Programs_print_the_same_trimmed_and_ahead_of_time()
    {
        Assert.SkipWhen(Environment.GetEnvironmentVariable("KMEM_LONG") is null or "" or "0", "Takes minutes: KMEM_LONG=1 runs it, and so does tests/Consumer/packed.sh.");
        RunPacked();
    }

    private static void RunPacked(params string[] arguments)
    {
        (int exitCode, string output) = Shell.Run(Shell.Root, "bash", [Path.Combine("tests", "Consumer", "packed.sh"), .. arguments, Feed.Folder]);
        Assert.SkipWhen(exitCode == Skipped, output.TrimEnd().Split('\n').Last());
        Assert.True(exitCode == 0, output);
    }
}
