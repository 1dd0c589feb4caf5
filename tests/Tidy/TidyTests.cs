using System.IO;
using System.Linq;
using Kmem.Tests.Tidy.Rules;
using Xunit;

namespace Kmem.Tests.Tidy;

/// <summary>The repository keeps its own rules. Each rule's own tests, that it can fail, are in the Self folder.</summary>
public sealed class TidyTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_engine_compiles_without_the_framework(bool debug) =>
        Finding.AssertNone(NativeCompilation.Compile(NativeCompilation.Create(NativeCompilation.NativeFiles, debug)));

    [Fact]
    public void A_folder_of_the_engine_uses_only_the_folders_below_it() =>
        Finding.AssertNone(Repository.Engine.SelectMany(f => LayeringRule.Check(f, NativeCompilation.Release)));

    [Fact]
    public void The_engine_needs_no_runtime() =>
        Finding.AssertNone(Repository.Engine.SelectMany(f => FreestandingRule.Check(f, NativeCompilation.Release)));

    [Fact]
    public void Every_text_file_has_the_form_that_the_style_asks_for() =>
        Finding.AssertNone(Repository.Files.SelectMany(TextRule.Check));

    [Fact]
    public void Every_lock_is_taken_by_its_rank_and_let_go() =>
        Finding.AssertNone(LockRule.Check(Repository.Engine));

    [Fact]
    public void Links_and_paths_in_the_documents_lead_somewhere() =>
        Finding.AssertNone(Repository.Markdown.SelectMany(f => MarkdownRule.Check(f, Exists, [.. Repository.Files.Select(other => other.Path)])));

    [Fact]
    public void Public_members_that_take_pointers_say_what_is_unsafe_about_them() =>
        Finding.AssertNone(Repository.CSharp
            .Where(f => f.Path.StartsWith("src/Kmem/", System.StringComparison.Ordinal) && !f.IsEngine)
            .SelectMany(SafetyRule.Check));

    [Fact]
    public void Samples_in_the_documents_compile() =>
        Finding.AssertNone(Repository.Markdown.SelectMany(SampleRule.Check));

    [Fact]
    public void The_whole_engine_was_looked_at() => Assert.True(Repository.Engine.Count() > 20, Repository.Root);

    private static bool Exists(string path)
    {
        string full = Path.Combine(Repository.Root, path);
        return File.Exists(full) || Directory.Exists(full);
    }
}
