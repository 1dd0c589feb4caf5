using System.Collections.Generic;
using System.Linq;
using Xunit;

namespace Kmem.Tests.Native;

/// <summary>The cases of the C programs, each in a process of its own with the library in place of malloc, on both front ends.</summary>
public sealed class ContractTests
{
    private static readonly string[] s_programs = ["contract.c", "threads.c", "processes.c", "limits.c", "cplusplus.cpp", "replaced.cpp", "first.c"];

    public static IEnumerable<TheoryDataRow<string, string, string>> Cases => RowsOf(s_programs);

    public static IEnumerable<TheoryDataRow<string, string, string>> LoadingCases => RowsOf("loading.c");

    [Theory]
    [MemberData(nameof(Cases))]
    public void Case(string program, string name, string frontEnd) =>
        CProgram.Check(CProgram.Prepare(program, name, Settings.Library).With("KMEM_FRONT_END", frontEnd));

    [Theory]
    [MemberData(nameof(LoadingCases))]
    public void Case_with_another_library_whose_constructor_runs_before(string program, string name, string frontEnd) =>
        CProgram.Check(CProgram.Prepare(program, name, Settings.Library, CProgram.Build("early.c", isLibrary: true)).With("KMEM_FRONT_END", frontEnd));

    /// <summary>Not preloaded: the program opens the library for its own functions, and goes on with the C library's malloc.</summary>
    [Fact]
    public void The_library_can_be_opened_for_its_caches()
    {
        CProgram.Check(new Command(CProgram.Build("opened.c"), "caches_of_a_library_that_was_opened").With("KMEM_CASE_OPEN", Settings.Library));
    }

    private static IEnumerable<TheoryDataRow<string, string, string>> RowsOf(params string[] programs) =>
        from program in programs
        from name in CProgram.CasesOf(program)
        from frontEnd in CProgram.FrontEnds
        select new TheoryDataRow<string, string, string>(program, name, frontEnd);
}
