using System;
using System.Collections.Generic;
using System.Linq;
using Xunit;

namespace Kmem.Tests.Native;

/// <summary>Checks by letter under a C program: damage ends it with one line, and nothing else does.</summary>
public sealed class CheckTests
{
    private static readonly string[] s_letters = ["FZP", "FZPU"];

    private const string Good = "two_threads_that_do_nothing_wrong";
    private const string Sized = "frees_with_the_size_that_was_asked_for";

    public static IEnumerable<TheoryDataRow<string, string>> Damages =>
        from name in CProgram.CasesOf("checks.c")
        where name.StartsWith("bad", StringComparison.Ordinal)
        from letters in s_letters
        select new TheoryDataRow<string, string>(name, letters);

    [Theory]
    [MemberData(nameof(Damages))]
    public void Damage(string name, string letters)
    {
        Outcome outcome = CProgram.Prepare("checks.c", name, Settings.Library).With("KMEM_DEBUG", letters).Run();
        Assert.True(outcome.ExitCode == 128 + Outcome.AbortSignal, "Not stopped by SIGABRT: " + outcome);
        string what = name.Contains("past", StringComparison.Ordinal) ? "written past the end"
            : name.Contains("before", StringComparison.Ordinal) ? "written before the start" : "written after the free";
        string expected = name.Contains("after", StringComparison.Ordinal) ? "0x2a instead of 0x6b" : "0x8d instead of 0xcc";
        Assert.Matches($@"\Akmem: damage at {outcome.Output.Trim()}, {what}: {expected}: object \d+ of \d+ in the slab 0x[0-9a-f]+ of kmalloc-\d+\n\z", outcome.Error);
    }

    [Theory]
    [InlineData("KMEM_DEBUG", "FZP")]
    [InlineData("KMEM_DEBUG", "FZPU")]
    [InlineData("KMEM_DEBUG", "FZPUG")]
    [InlineData("KMEM_DEBUG", "Z,kmalloc-1*;U")]
    [InlineData("KMEM_GUARD", "1")]
    public void A_program_without_mistakes_goes_as_ever(string variable, string value)
    {
        foreach (string frontEnd in CProgram.FrontEnds)
        {
            Outcome outcome = CProgram.Prepare("checks.c", Good, Settings.Library).With("KMEM_FRONT_END", frontEnd).With(variable, value).Run().AssertGood();
            Assert.Equal("", outcome.Error);
        }

        Assert.Equal("", CProgram.Prepare("checks.c", Sized, Settings.Library).With(variable, value).Run().AssertGood().Error);
    }

    [Fact]
    public void Only_the_classes_that_are_named_are_checked()
    {
        const string Name = "unchecked_class_is_written_past";
        CProgram.Prepare("checks.c", Name, Settings.Library).With("KMEM_DEBUG", "Z,kmalloc-128").Run().AssertGood();
        Outcome outcome = CProgram.Prepare("checks.c", Name, Settings.Library).With("KMEM_DEBUG", "Z,kmalloc-6?,kmalloc-64").Run();
        Assert.Equal(128 + Outcome.AbortSignal, outcome.ExitCode);
    }

    [Fact]
    public void Letters_that_are_none_are_told_and_nothing_is_checked()
    {
        Outcome outcome = CProgram.Prepare("checks.c", Good, Settings.Library).With("KMEM_DEBUG", "FXZ").Run().AssertGood();
        Assert.Matches(@"\Akmem: KMEM_DEBUG has a letter that is none of [^\n]*: nothing is checked\n\z", outcome.Error);
    }
}
