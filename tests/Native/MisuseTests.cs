using System;
using System.Collections.Generic;
using System.Linq;
using System.Text.RegularExpressions;
using Xunit;

namespace Kmem.Tests.Native;

/// <summary>A mistake ends the process with SIGABRT and one line, which has the pointer and says what is wrong with it.</summary>
public sealed class MisuseTests
{
    public static IEnumerable<TheoryDataRow<string, string>> Mistakes =>
        from name in CProgram.CasesOf("misuse.c")
        from frontEnd in CProgram.FrontEnds
        select new TheoryDataRow<string, string>(name, frontEnd);

    [Theory]
    [MemberData(nameof(Mistakes))]
    public void Mistake(string name, string frontEnd)
    {
        Outcome outcome = CProgram.Prepare("misuse.c", name, Settings.Library).With("KMEM_FRONT_END", frontEnd).Run();
        Assert.True(outcome.ExitCode == 128 + Outcome.AbortSignal, "Not stopped by SIGABRT: " + outcome);
        string pointer = outcome.Output.Trim();
        Assert.Matches("^0x[0-9a-f]+$", pointer);
        Assert.True(Regex.IsMatch(outcome.Error, $@"\Akmem: [^\n]*\b{pointer}\b[^\n]*: [a-z][^\n]*\n\z"), "Not one line about the pointer: " + outcome);
        Assert.Contains(MessageOf(name), outcome.Error, StringComparison.Ordinal);
    }

    private static string MessageOf(string name) =>
        name.Contains("twice", StringComparison.Ordinal) || name.Contains("freed", StringComparison.Ordinal) ? "already free"
        : Regex.IsMatch(name, "_in$|inside_a_(large|huge)|inside_an|before|middle|page_of") ? "not the start of an allocation"
        : "not memory of this heap";
}
