using System;
using System.ComponentModel;
using System.Diagnostics;
using System.Linq;
using Kmem.Tool.Bench.Report;
using Xunit;

namespace Kmem.Tests.Unit.Tool;

/// <summary>Allocators that are given on the command line, good and bad ones.</summary>
public sealed class BenchPeerTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_library_that_hands_out_memory_twice_is_found_and_named()
    {
        string library = Compile(
            """
            static char memory[4096];
            void *malloc(unsigned long size) { return memory; }
            void free(void *pointer) { }
            void *realloc(void *pointer, unsigned long size) { return memory; }
            """);
        ToolRun run = Bench("random-10k", "--allocator", "kmem", "twice", "--peer", "twice=" + library);
        Assert.Equal(1, run.ExitCode);
        Told(run, "random-10k: twice", "does not hold what was written to it");
        Assert.Contains("1 allocator failed", run.Error, StringComparison.Ordinal);
        Assert.Contains("\nfailures\nrandom-10k: twice", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_library_without_malloc_is_told()
    {
        string library = Compile("int nothing(void) { return 0; }");
        ToolRun run = Bench("pair-64", "--allocator", "kmem", "less", "less+sgt", "--peer", "less=" + library);
        Assert.Equal(1, run.ExitCode);
        Told(run, "pair-64: less", $"{library}: exports no 'malloc'");
        Told(run, "pair-64: less+sgt", $"{library}: exports no 'malloc'");
    }

    [Fact]
    public void A_file_that_is_no_library_is_told()
    {
        string library = _folder.Write("text.so", "not a library");
        ToolRun run = Bench("pair-64", "--allocator", "kmem", "text", "--peer", "text=" + library);
        Assert.Equal(1, run.ExitCode);
        Told(run, "pair-64: text", $"{library}: cannot be loaded");
    }

    [Fact]
    public void A_library_is_measured_with_and_without_transition()
    {
        // From the C library under another name: a malloc of its own that works.
        string library = Compile(
            """
            void *malloc(unsigned long); void free(void *); void *realloc(void *, unsigned long);
            void *mi_malloc(unsigned long size) { return malloc(size); }
            void mi_free(void *pointer) { free(pointer); }
            void *mi_realloc(void *pointer, unsigned long size) { return realloc(pointer, size); }
            """);
        ToolRun run = Bench("pair-64", "--allocator", "kmem", "own", "own+sgt", "--peer", "own=" + library, "--json", _folder["json"]);
        Assert.True(run.ExitCode == 0, run.Error);
        BenchReport report = SavedReport.Load(_folder["json"]);
        Assert.Equal([AllocatorFamily.Kmem, AllocatorFamily.NativePeer, AllocatorFamily.NativePeerSuppressed], report.Allocators.Select(static each => each.Family));
        Assert.All(report.Cases[0].Outcomes, static outcome => Assert.NotNull(outcome.NanosecondsPerOperation));
    }

    [Fact]
    public void A_class_of_an_assembly_is_measured()
    {
        string peer = $"own={typeof(BenchManagedPeer).Assembly.Location}:{typeof(BenchManagedPeer).FullName}";
        ToolRun run = Bench("pair-random", "--allocator", "kmem", "own", "--managed-peer", peer);
        Assert.True(run.ExitCode == 0, run.Error);
        Assert.Contains("the same for all 2 allocators", run.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Kmem.Tests.Unit.Tool.Nobody", "has no type 'Kmem.Tests.Unit.Tool.Nobody'")]
    [InlineData("Kmem.Tests.Unit.Tool.BenchSamples", "type 'Kmem.Tests.Unit.Tool.BenchSamples' is not public")]
    [InlineData("Kmem.Tests.Unit.Tool.BenchPeerTests", "'Kmem.Tests.Unit.Tool.BenchPeerTests' has no public static mi_malloc or Alloc or Malloc or malloc that takes 1 pointers or numbers")]
    public void A_class_that_cannot_allocate_is_told(string type, string message)
    {
        string assembly = typeof(BenchPeerTests).Assembly.Location;
        ToolRun run = Bench("pair-64", "--allocator", "kmem", "own", "--managed-peer", $"own={assembly}:{type}");
        Assert.Equal(1, run.ExitCode);
        Told(run, "pair-64: own", $"{assembly}: {message}");
    }

    /// <summary>One line on standard error names case and allocator and ends with the reason.</summary>
    private static void Told(ToolRun run, string who, string reason) =>
        Assert.Single(run.Error.Split('\n'), line => line.StartsWith($"kmem: {who}: ", StringComparison.Ordinal) && line.Contains(reason, StringComparison.Ordinal));

    private static ToolRun Bench(params string[] arguments) => ToolRun.Of(["bench", .. arguments, "--runs", "1", "--seconds", "0.01"]);

    private string Compile(string source)
    {
        string library = _folder["libtest.so"];
        try
        {
            using Process compiler = Process.Start("gcc", ["-shared", "-fPIC", "-fno-builtin", "-w", "-o", library, _folder.Write("test.c", source)]);
            compiler.WaitForExit();
            Assert.Equal(0, compiler.ExitCode);
        }
        catch (Win32Exception)
        {
            Assert.Skip("there is no C compiler");
        }

        return library;
    }
}
