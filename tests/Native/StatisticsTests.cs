using System;
using System.IO;
using System.Linq;
using Xunit;

namespace Kmem.Tests.Native;

/// <summary><c>KMEM_STATS</c>: the caches when a program ends.</summary>
public sealed class StatisticsTests
{
    private const string Head = "slabinfo - version: 2.1";

    [Fact]
    public void Slabinfo_comes_at_the_end_of_a_program()
    {
        using Scene scene = new();
        Outcome outcome = scene.Preloaded("/bin/ls", "missing").With("KMEM_STATS", "1").Run();
        Assert.Equal(2, outcome.ExitCode);
        string[] lines = outcome.Error.Split('\n');
        Assert.Contains(lines, line => line.StartsWith(Head, StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("kmalloc-", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("")]
    [InlineData("0")]
    public void Nothing_is_printed_without_being_asked_for(string value)
    {
        using Scene scene = new();
        Outcome outcome = scene.Preloaded("/bin/true").With("KMEM_STATS", value).Run().AssertGood();
        Assert.Equal("", outcome.Error);
        scene.AssertLoadedIn("true");
    }

    [Fact]
    public void Statistics_of_all_processes_can_go_to_a_file()
    {
        using Scene scene = new();
        Outcome outcome = scene.Preloaded("/bin/sh", "-c", "/bin/true; /bin/true; /bin/true").With("KMEM_STATS", scene.At("statistics")).Run().AssertGood();
        Assert.Equal("", outcome.Error);
        Assert.True(File.ReadLines(scene.At("statistics")).Count(line => line.StartsWith(Head, StringComparison.Ordinal)) >= 3);
    }
}
