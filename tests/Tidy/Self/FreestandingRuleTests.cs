using System.Linq;
using Kmem.Tests.Tidy.Rules;
using Xunit;

namespace Kmem.Tests.Tidy.Self;

public sealed class FreestandingRuleTests
{
    [Theory]
    [InlineData("System.Threading.Interlocked.MemoryBarrier();", "Interlocked")]
    [InlineData("_ = System.Threading.Volatile.Read(ref s_word);", "Volatile")]
    [InlineData("_ = System.Numerics.BitOperations.PopCount(1ul);", "BitOperations")]
    [InlineData("System.Runtime.CompilerServices.Unsafe.SkipInit(out int x);", "Unsafe")]
    [InlineData("throw null!;", "never throws")]
    [InlineData("try { } finally { }", "no try")]
    [InlineData("try { } catch { }", "no try")]
    [InlineData("lock (\"\") { }", "RankedLock")]
    [InlineData("_ = new object();", "no objects")]
    [InlineData("_ = new int[3];", "no arrays")]
    [InlineData("_ = new[] { 1 };", "no arrays")]
    [InlineData("int[] a = [1, 2];", "no arrays")]
    [InlineData("object o = 1;", "does not box")]
    [InlineData("_ = $\"{s_word}\";", "no strings")]
    [InlineData("System.Action a = () => { };", "no lambdas")]
    [InlineData("System.Action a = delegate { };", "no lambdas")]
    [InlineData("int y = 0; void Local() => y++; Local();", "static")]
    [InlineData("_ = from x in s_word select x;", "no LINQ")]
    public void A_statement_that_needs_a_runtime_is_found(string statement, string word)
    {
        SourceFile file = new("src/Kmem/Engine/Pages/Bad.cs", $$"""
            namespace Kmem.Engine.Pages;
            internal static unsafe class Bad
            {
                private static int s_word;
                public static void M()
                {
                    {{statement}}
                }
            }
            """);
        Assert.Contains(FreestandingRule.Check(file, NativeCompilation.With(file)), f => f.Line == 7 && f.Message.Contains(word, System.StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("using System.Collections.Generic;", "System.Collections.Generic")]
    [InlineData("using System.Linq;", "System.Linq")]
    public void A_using_of_the_framework_is_found(string line, string word)
    {
        SourceFile file = new("src/Kmem/Engine/Pages/Bad.cs", line + "\nnamespace Kmem.Engine.Pages;\n");
        Assert.Contains(FreestandingRule.Check(file, NativeCompilation.With(file)), f => f.Line == 1 && f.Message.Contains(word, System.StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("[System.ThreadStatic] private static int t_word;", "per thread")]
    [InlineData("private static readonly int s_word = 3;", "const")]
    [InlineData("static Bad() { }", "static constructors")]
    [InlineData("private sealed class Node { }", "struct")]
    [InlineData("private record struct Pair(int A, int B);", "no records")]
    [InlineData("private static async void M() { }", "async")]
    public void A_member_that_needs_a_runtime_is_found(string member, string word)
    {
        SourceFile file = new("src/Kmem/Engine/Pages/Bad.cs", $$"""
            namespace Kmem.Engine.Pages;
            internal static unsafe class Bad
            {
                {{member}}
            }
            """);
        Assert.Contains(FreestandingRule.Check(file, NativeCompilation.With(file)), f => f.Line == 4 && f.Message.Contains(word, System.StringComparison.Ordinal));
    }

    [Fact]
    public void Structs_and_pointers_and_the_primitives_themselves_are_not_found()
    {
        SourceFile file = new("src/Kmem/Engine/Primitives/Good.cs", """
            using System.Threading;

            namespace Kmem.Engine.Primitives;

            internal unsafe struct Good
            {
                public int Word;

                public static Good Make(int word)
                {
                    byte* bytes = stackalloc byte[8];
                    bytes[0] = 1;
                    Good good = new() { Word = word };
                    Interlocked.Increment(ref good.Word);
                    Invariant.Check(good.Word > word, "text");
                    return good;
                }
            }
            """);
        Assert.Empty(FreestandingRule.Check(file, NativeCompilation.With(file)).Select(f => f.ToString()));
        Assert.Empty(NativeCompilation.Compile(NativeCompilation.With(file)).Select(f => f.ToString()));
    }

    [Fact]
    public void The_compilation_finds_what_the_core_library_lacks()
    {
        SourceFile file = new("src/Kmem/Engine/Pages/Bad.cs", """
            namespace Kmem.Engine.Pages;

            internal static class Bad
            {
                public static string M() => System.Guid.NewGuid().ToString();
            }
            """);
        Finding finding = Assert.Single(NativeCompilation.Compile(NativeCompilation.With(file)));
        Assert.Equal((file.Path, 5), (finding.File, finding.Line));
        Assert.StartsWith("CS0234", finding.Message, System.StringComparison.Ordinal);
    }
}
