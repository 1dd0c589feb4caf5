using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Threading;
using Xunit;

namespace Kmem.Tests.Unit.Surface;

/// <summary>
/// What the JIT makes of the inlined rung, read from its own listing of a method that ran often enough: golden counts, so that an instruction more on the hot
/// path does not go unseen.
/// </summary>
public sealed class GeneratedCodeTests
{
    /// <summary>
    /// Instructions from the entry of a method to its return when the inlined rung does all; seven or eight of them are the method's own, to set up its frame
    /// and to return. To change one: this test tells the
    /// new count and shows the listing; make sure that each new instruction is worth it for every call that Kmem's users write, then put the count here.
    /// </summary>
    private static readonly Dictionary<string, int> s_golden = new()
    {
        [nameof(GeneratedCodeChildTests.AllocateConstant)] = 29,
        [nameof(GeneratedCodeChildTests.AllocateAny)] = 35,
        [nameof(GeneratedCodeChildTests.FreeAny)] = 51,
    };

    [Fact]
    public void The_inlined_rung_has_so_many_instructions_and_no_call_and_no_locked_one()
    {
        Assert.SkipUnless(KmemHeap.Shared.HasFronts, "The shared heap has no fronts here.");
        Assert.SkipWhen(IsDebug(typeof(Kmalloc)) || IsDebug(GetType()), "The JIT does not optimise a Debug build.");
        string file = Path.GetTempFileName();
        try
        {
            (int exitCode, string output) = ChildTest.RunClass(
                nameof(GeneratedCodeChildTests),
                ("DOTNET_JitStdOutFile", file),
                ("DOTNET_JitDisasm", string.Join(' ', s_golden.Keys)),
                ("DOTNET_TieredCompilation", "1"),
                ("DOTNET_TieredPGO", "0"),
                ("DOTNET_ReadyToRun", "1"),
                ("DOTNET_TC_CallCountingDelayMs", "0"));
            Assert.True(exitCode == 0, output);
            string text = File.ReadAllText(file);
            Assert.SkipWhen(text.Length == 0, "This runtime does not list what its JIT makes.");
            Assert.All(s_golden, pair => AssertGolden(text, pair.Key, pair.Value));
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static void AssertGolden(string text, string method, int golden)
    {
        Listing? listing = Listing.Find(text, method);
        Assert.True(listing != null, $"no optimised code of {method} in:\n{text}");
        List<List<string>> paths = listing.PathsWithoutCall();
        Assert.True(paths.Count != 0, $"{method} always calls:\n{listing.Text}");
        Assert.All(paths.SelectMany(path => path), each => Assert.False(
            each.StartsWith("lock", StringComparison.Ordinal) || each.StartsWith("xchg", StringComparison.Ordinal) || each.Contains("fence", StringComparison.Ordinal),
            $"{method}: {each}\n{listing.Text}"));
        int count = paths.Max(path => path.Count);
        Assert.True(count <= golden, $"{method} has {count} instructions on its fast path, not {golden} or less:\n{listing.Text}");
    }

    private static bool IsDebug(Type type) =>
        type.Assembly.GetCustomAttributes(typeof(DebuggableAttribute), false).Cast<DebuggableAttribute>().Any(each => each.IsJITOptimizerDisabled);

    /// <summary>The JIT's listing of one method: instructions, and labels with the number of the instruction that follows.</summary>
    private sealed class Listing
    {
        private readonly List<string> _instructions = [];
        private readonly Dictionary<string, int> _labels = [];

        private Listing(string text)
        {
            Text = text;
            foreach (string line in text.Split('\n').Select(line => line.TrimEnd()))
            {
                if (line.StartsWith("G_", StringComparison.Ordinal) && line.IndexOf(':', StringComparison.Ordinal) is > 0 and int colon)
                {
                    _labels[line[..colon]] = _instructions.Count;
                }
                else if (line.StartsWith("  ", StringComparison.Ordinal) && line.TrimStart() is { Length: > 0 } code && code[0] is not (';' or '#'))
                {
                    _instructions.Add(code);
                }
            }
        }

        public string Text { get; }

        /// <summary>Null when the method was never compiled at the last tier.</summary>
        public static Listing? Find(string text, string method)
        {
            string? found = text.Split("; Assembly listing for method ").LastOrDefault(each => each.Contains($":{method}(", StringComparison.Ordinal)
                && each.Split('\n')[0].Contains("(Tier1)", StringComparison.Ordinal));
            return found == null ? null : new Listing(found);
        }

        /// <summary>Every way from the entry to a return that calls nothing; there are no loops.</summary>
        public List<List<string>> PathsWithoutCall()
        {
            List<List<string>> paths = [];
            Walk(0, [], paths);
            return paths;
        }

        private void Walk(int from, List<string> path, List<List<string>> paths)
        {
            for (int index = from; index < _instructions.Count; index++)
            {
                string code = _instructions[index];
                string operation = code.Split(' ')[0];
                path.Add(code);
                if (operation is "call" or "int3" || path.Count > 1000 || IsTailCall(code))
                {
                    return;
                }

                if (operation == "ret")
                {
                    paths.Add(path);
                    return;
                }

                if (operation[0] == 'j')
                {
                    int target = _labels[code.Split(' ').Last(each => each.Length != 0)];
                    if (operation != "jmp")
                    {
                        Walk(index + 1, [.. path], paths);
                    }

                    index = target - 1;
                }
            }
        }

        private bool IsTailCall(string code) =>
            code.StartsWith("tail.jmp", StringComparison.Ordinal) || (code.StartsWith("jmp ", StringComparison.Ordinal) && !_labels.ContainsKey(code.Split(' ').Last(each => each.Length != 0)));
    }
}

/// <summary>What the child runs: the methods, until the JIT has made the best of them.</summary>
public sealed unsafe class GeneratedCodeChildTests
{
    [Fact(Explicit = true)]
    public void Run_often()
    {
        // Calls are counted in the background; what is made of them is in the listing.
        for (int round = 0; round < 20; round++)
        {
            for (int call = 0; call < 100; call++)
            {
                FreeAny((void*)AllocateConstant());
                FreeAny((void*)AllocateAny(100));
            }

            Thread.Sleep(20);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    internal static nint AllocateConstant() => (nint)Kmalloc.Alloc(64);

    [MethodImpl(MethodImplOptions.NoInlining)]
    internal static nint AllocateAny(nuint size) => (nint)Kmalloc.Alloc(size);

    [MethodImpl(MethodImplOptions.NoInlining)]
    internal static void FreeAny(void* pointer) => Kmalloc.Free(pointer);
}
