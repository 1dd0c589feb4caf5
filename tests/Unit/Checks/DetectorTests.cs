using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using Xunit;

namespace Kmem.Tests.Unit.Checks;

/// <summary>
/// Each mistake in a program of its own, with the shared heap and nothing but <c>KMEM_DEBUG=FZPU</c>: it dies with a report that names the culprit and who allocated and freed what
/// suffered, by the names of their methods.
/// </summary>
public sealed class DetectorTests
{
    private static readonly (string Name, string Value) s_all = ("KMEM_DEBUG", "FZPU");

    [Theory]
    [InlineData("overrun", "written past the end", "AllocateTheBuffer", "", "FreeTheBuffer", "0 bytes past the 18 that were asked for")]
    [InlineData("overrun-of-all", "written past the end", "AllocateTheFullBuffer", "", "FreeTheBuffer", "0 bytes past the 32 that were asked for")]
    [InlineData("underrun", "written before the start", "AllocateTheBuffer", "", "FreeTheBuffer", "1 bytes before the start")]
    [InlineData("write-after-free", "written after the free", "AllocateTheBuffer", "FreeTheBuffer", "Look", "5 bytes into 32")]
    [InlineData("constructed-write", "written after the free", "AllocateTheLock", "FreeTheLock", "Look", "8 bytes into 64")]
    public void Damage_is_reported_with_everybody_in_it(string name, string what, string allocatedBy, string freedBy, string foundBy, string where)
    {
        ReportReader report = ReportReader.OfDamage(RunToReport(name));
        Assert.Equal((what, "shared", where), (report.What, report.HeapName, report.Where));
        Assert.Equal(((byte)0x41, 1), (report.Found, report.BadBytes));
        AssertInnermost(allocatedBy, report.AllocatedBy);
        AssertInnermost(freedBy, report.FreedBy);
        AssertInnermost(foundBy, report.FoundBy);

        // The byte is shown as it was found, also where it was made whole before anybody could be told.
        (nuint address, byte value, bool _, string _) = Assert.Single(report.Bytes, static each => each.IsBad);
        Assert.Equal((report.BadAddress, report.Found), (address, value));
    }

    [Theory]
    [InlineData("double-free", "already free", "AllocateTheBuffer", "FreeTheBuffer", "FreeTheBufferAgain")]
    [InlineData("late-double-free", "already free", "AllocateTheBuffer", "FreeTheBuffer", "FreeTheBufferAgain")]
    [InlineData("wrong-cache", "the object belongs to another cache", "AllocateTheSession", "", "FreeTheSessionAsAnOrder")]
    [InlineData("interior-pointer", "interior pointer, not the start of what was allocated", "AllocateTheBuffer", "", "FreeInside")]
    public void A_bad_free_is_reported_with_everybody_in_it(string name, string what, string allocatedBy, string freedBy, string foundBy)
    {
        ReportReader report = ReportReader.OfMisuse(RunToReport(name));
        Assert.Equal(what, report.What);
        AssertInnermost(allocatedBy, report.AllocatedBy);
        AssertInnermost(freedBy, report.FreedBy);
        AssertInnermost(foundBy, report.FoundBy);
    }

    [Theory]
    [InlineData("stack-pointer", "FreeTheLocal")]
    [InlineData("managed-pointer", "FreeTheArray")]
    [InlineData("malloc-pointer", "FreeWhatMallocGave")]
    public void A_pointer_from_elsewhere_is_told_by_the_exception_alone(string name, string culprit)
    {
        string output = RunToDeath(name);
        Assert.Matches(@"Kmem: Free: foreign pointer\. 0x[0-9a-f]+: not an address of any Kmem heap\.", output);
        Assert.Contains(culprit, output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("read-past", "read past the end", "AllocateTheFullBuffer", "")]
    [InlineData("read-after-free", "read after the free", "AllocateTheBuffer", "FreeTheBuffer")]
    [InlineData("write-after-free", "written after the free", "AllocateTheBuffer", "FreeTheBuffer")]
    public void On_guarded_pages_it_is_stopped_in_the_act(string name, string what, string allocatedBy, string freedBy)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64, "Faults are told on x64 Linux.");
        (int exitCode, string output) = DetectorProgram.Run("--guarded", name, ("KMEM_DEBUG", "G"));
        Assert.NotEqual(0, exitCode);
        string[] lines = output[output.IndexOf("Kmem: ", StringComparison.Ordinal)..].Split('\n');
        Assert.StartsWith($"Kmem: {what}, at 0x", lines[0], StringComparison.Ordinal);
        Assert.Contains("." + allocatedBy + " in ", lines[2], StringComparison.Ordinal);
        Assert.Equal(freedBy.Length != 0, Array.Exists(lines, line => line.StartsWith("  freed     by thread", StringComparison.Ordinal)));
        Assert.True(freedBy.Length == 0 || Array.Exists(lines, line => line.Contains("." + freedBy + " in ", StringComparison.Ordinal)), output);

        // The culprit is in the runtime's own list.
        Assert.Contains(lines, static line => line.StartsWith("   at Kmem.Tests.Detectors.Misuses.", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.Contains(what.StartsWith("read", StringComparison.Ordinal) ? "ReadAt(" : "WriteAt(", StringComparison.Ordinal));
    }

    [Fact]
    public void A_leak_is_in_the_table_of_what_is_live()
    {
        string[] lines = RunToDeath("leak").Split('\n');
        int site = Array.FindIndex(lines, static line => line.Contains("AllocateTheBuffer", StringComparison.Ordinal));
        Assert.True(site > 0);
        Assert.Matches(@"^ +1 +18 .*kmalloc-32$", lines[site - 1]);
        Assert.Contains("Misuses.Leak", lines[site + 1], StringComparison.Ordinal);
    }

    [Fact]
    public void The_end_of_a_cache_lists_who_allocated_what_is_out()
    {
        string[] lines = RunToDeath("cache-leak").Split('\n');
        Assert.Contains("Kmem: Dispose of the cache 'short' of the heap 'shared': 1 live object(s) of 200 bytes:", lines[0], StringComparison.Ordinal);
        Assert.Contains("AllocateAndForget", lines[3], StringComparison.Ordinal);
    }

    [Fact]
    public void Every_mistake_has_a_test_here()
    {
        HashSet<string> tested = ["stack-pointer", "managed-pointer", "malloc-pointer", "leak", "cache-leak"];
        tested.UnionWith(["overrun", "overrun-of-all", "underrun", "write-after-free", "constructed-write"]);
        tested.UnionWith(["read-past", "read-after-free"]);
        tested.UnionWith(["double-free", "late-double-free", "wrong-cache", "interior-pointer"]);
        Assert.Equal(tested.Order(), Detectors.Misuses.All.Select(static each => each.Name).Order());
    }

    private static string RunToDeath(string name)
    {
        (int exitCode, string output) = DetectorProgram.Run(name, s_all);
        Assert.NotEqual(0, exitCode);
        Assert.Contains("Unhandled exception. ", output, StringComparison.Ordinal);
        return output;
    }

    /// <summary>What stands between the exception's type and the runtime's own list of frames.</summary>
    private static string RunToReport(string name)
    {
        string output = RunToDeath(name);
        string text = output[output.IndexOf("Kmem: ", StringComparison.Ordinal)..];
        int end = text.IndexOf("\n   at ", StringComparison.Ordinal);
        return text[..end];
    }

    private static void AssertInnermost(string method, IReadOnlyList<string> frames)
    {
        if (method.Length == 0)
        {
            Assert.Empty(frames);
        }
        else
        {
            Assert.Matches($@"^Kmem\.Tests\.Detectors\.\w+\.{method} in .*\.cs:\d+$", frames[0]);
            Assert.StartsWith("Kmem.Tests.Detectors.Program.Main in ", frames[^1], StringComparison.Ordinal);
        }
    }
}
