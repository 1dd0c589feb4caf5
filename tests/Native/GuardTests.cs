using System;
using System.Collections.Generic;
using System.Linq;
using Xunit;

namespace Kmem.Tests.Native;

/// <summary>Touching a guarded page ends the process with SIGSEGV and one line that says whose it was.</summary>
public sealed class GuardTests
{
    private const int SegmentationFault = 11;

    public static IEnumerable<TheoryDataRow<string>> Faults =>
        from name in CProgram.CasesOf("guards.c") select new TheoryDataRow<string>(name);

    [Theory]
    [MemberData(nameof(Faults))]
    public void Fault(string name)
    {
        bool isSampled = name.StartsWith("sampled", StringComparison.Ordinal);
        Outcome outcome = CProgram.Prepare("guards.c", name, Settings.Library).With(isSampled ? "KMEM_GUARD" : "KMEM_DEBUG", isSampled ? "1" : "G").Run();
        Assert.True(outcome.ExitCode == 128 + SegmentationFault, "Not stopped by SIGSEGV: " + outcome);
        string what = name.Contains("after_free", StringComparison.Ordinal) ? $"{(name.Contains("read", StringComparison.Ordinal) ? "read" : "written")} after the free"
            : $"{name.Replace("_", " ", StringComparison.Ordinal).Replace("past", "past the", StringComparison.Ordinal).Replace("before", "before the", StringComparison.Ordinal)}";
        string pointer = isSampled ? "0x[0-9a-f]{12}" : outcome.Output.Trim();
        string freed = name.Contains("after_free", StringComparison.Ordinal) ? @", freed by thread \d+" : "";
        Assert.Matches($@"\AKmem: {what}, at {pointer}: object 0x[0-9a-f]+ of \d+ bytes of kmalloc-\d+, allocated by thread \d+{freed}\n\z", outcome.Error);
    }

    [Fact]
    public void An_interval_that_is_no_number_is_told()
    {
        Outcome outcome = CProgram.Prepare("contract.c", CProgram.CasesOf("contract.c").First(), Settings.Library).With("KMEM_GUARD", "often").Run();
        Assert.Contains("kmem: KMEM_GUARD is the milliseconds between two guarded allocations: nothing is guarded\n", outcome.AssertGood().Error, StringComparison.Ordinal);
    }
}
