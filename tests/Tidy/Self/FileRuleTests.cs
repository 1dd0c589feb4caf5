using System.Collections.Generic;
using System.Linq;
using Kmem.Tests.Tidy.Rules;
using Xunit;

namespace Kmem.Tests.Tidy.Self;

public sealed class FileRuleTests
{
    private const string Engine = "src/Kmem/Engine/Pages/Bad.cs";

    [Theory]
    [InlineData("fine\nwindows\r\n", 2)]
    [InlineData("trailing \n", 1)]
    [InlineData("a\n\tindented\n", 2)]
    [InlineData("a\nb", 2)]
    [InlineData("a\n#region Public\n", 2)]
    [InlineData("// see /wo" + "rk/notes\n", 1)]
    [InlineData("// fixes iss" + "ue #12\n", 1)]
    public void A_line_of_the_wrong_form_is_found(string text, int line) =>
        Assert.Equal(line, Assert.Single(TextRule.Check(new SourceFile("src/A.cs", text))).Line);

    [Fact]
    public void Good_form_and_an_empty_file_are_not_found()
    {
        Assert.Empty(TextRule.Check(new SourceFile("src/A.cs", "one\n\n  two\n")));
        Assert.Empty(TextRule.Check(new SourceFile("src/A.cs", "")));
    }

    [Theory]
    [InlineData("src/A.cs", 600, 0)]
    [InlineData("src/A.cs", 601, 1)]
    [InlineData(Engine, 300, 0)]
    [InlineData(Engine, 301, 1)]
    [InlineData("docs/A.md", 1000, 0)]
    public void A_file_that_is_too_long_is_found(string path, int lines, int findings) =>
        Assert.Equal(findings, TextRule.Check(new SourceFile(path, string.Concat(Enumerable.Repeat("x\n", lines)))).Count());

    [Theory]
    [InlineData("RankedLock.Enter(&zone->Lock, LockRank.Zone);", 1)]
    [InlineData("if (RankedLock.TryEnter(&zone->Lock, LockRank.Zone)) { }", 1)]
    [InlineData("RankedLock.Enter(&zone->Lock, rank); RankedLock.Exit(&zone->Lock, LockRank.Zone);", 1)]
    [InlineData("RankedLock.Enter(&zone->Lock, LockRank.Zone); RankedLock.Exit(&zone->Lock, LockRank.Slabs);", 1)]
    [InlineData("RankedLock.Enter(&zone->Lock, LockRank.Zone); RankedLock.Exit(&zone->Lock, LockRank.Zone);", 0)]
    public void A_lock_without_its_rank_or_without_its_exit_is_found(string statement, int findings)
    {
        SourceFile file = new(Engine, "class A { void M() {\n" + statement + "\n} }\n");
        Assert.Equal(Enumerable.Repeat(2, findings), LockRule.Check([file]).Select(f => f.Line));
    }

    [Fact]
    public void A_lock_may_be_let_go_in_another_file_of_its_type()
    {
        const string Enter = "partial class A { void M() => RankedLock.Enter(&zone->Lock, LockRank.Zone); }\n";
        const string Exit = "partial class A { void N() => RankedLock.Exit(&zone->Lock, LockRank.Zone); }\n";
        Assert.Empty(LockRule.Check([new("src/A.cs", Enter), new("src/A.Rest.cs", Exit)]));
        Assert.Single(LockRule.Check([new("src/A.cs", Enter), new("src/B.cs", Exit)]));
    }

    [Theory]
    [InlineData("docs/A.md", "see [b](B.md)", 0)]
    [InlineData("docs/A.md", "see [b](B.md#part) and [home](../README.md)", 0)]
    [InlineData("docs/A.md", "see [c](C.md)", 1)]
    [InlineData("docs/A.md", "see [c](C.md#part)", 1)]
    [InlineData("docs/A.md", "[here](#part) and [there](https://example.org/C.md)", 0)]
    [InlineData("docs/A.md", "```\n[c](C.md)\n```", 0)]
    [InlineData("docs/A.md", "`Pages/Missing.cs`", 0)]
    [InlineData("docs/ARCHITECTURE.md", "`Pages/Missing.cs`", 1)]
    [InlineData("docs/ARCHITECTURE.md", "`Pages/Zone.cs`, `src/Kmem/Engine/Pages/Zone.cs` and `Zone.cs`", 0)]
    [InlineData("docs/ARCHITECTURE.md", "`one.cs`", 1)]
    public void A_link_or_path_that_leads_nowhere_is_found(string path, string text, int findings)
    {
        HashSet<string> present = ["docs/B.md", "README.md", "src/Kmem/Engine/Pages/Zone.cs"];
        Assert.Equal(findings, MarkdownRule.Check(new SourceFile(path, text + "\n"), present.Contains, present).Count());
    }

    [Theory]
    [InlineData("/// <summary>Frees.</summary>\npublic void Free(void* p) { }", 1)]
    [InlineData("/// <summary>Frees.</summary>\n/// <safety>Not used afterwards.</safety>\npublic void Free(void* p) { }", 0)]
    [InlineData("/// <inheritdoc cref=\"Free(void*)\"/>\npublic void Free(void* p, nuint size) { }", 0)]
    [InlineData("internal void Free(void* p) { }", 0)]
    [InlineData("public void* Alloc(nuint size) => null;", 0)]
    [InlineData("public void Each(delegate*<void*, void> visit) { }", 1)]
    public void A_public_pointer_parameter_without_a_word_on_safety_is_found(string member, int findings) =>
        Assert.Equal(findings, SafetyRule.Check(new SourceFile("src/Kmem/A.cs", "public unsafe class A\n{\n" + member + "\n}\n")).Count());

    [Theory]
    [InlineData("System.Console.WriteLine(Kmem.KmemHeap.Shared.Name);", 0)]
    [InlineData("unsafe { Kmem.Kmalloc.Free(null); }", 0)]
    [InlineData("Kmem.Kmalloc.Forget();", 1)]
    public void A_sample_that_does_not_compile_is_found(string line, int findings)
    {
        SourceFile file = new("docs/A.md", "# Title\n\n```csharp\n\n" + line + "\n```\n");
        Assert.Equal(Enumerable.Repeat(5, findings), SampleRule.Check(file).Select(f => f.Line));
    }
}
