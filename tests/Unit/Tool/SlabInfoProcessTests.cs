using System;
using System.Linq;
using Kmem.Diagnostics;
using Xunit;

namespace Kmem.Tests.Unit.Tool;

/// <summary><c>kmem slabinfo PID</c> against running programs.</summary>
public sealed unsafe class SlabInfoProcessTests
{
    private const string HeapName = "watched";

    [Fact]
    public void The_table_of_a_running_process_is_that_of_its_statistics()
    {
        using ServedProgram program = new(nameof(Child_has_a_table));
        program.Order();
        ToolRun run = ToolRun.Of("slabinfo", program.Id);
        Assert.True(run.ExitCode == 0, run.Error);
        Assert.Matches($"process {program.Id}, 2.* UTC, heap 'shared'", run.Output);
        Assert.Matches($"process {program.Id}, 2.* UTC, heap '{HeapName}'", run.Output);
        Assert.Matches(@"│? *widget +│? *1,234 ", run.Output);
        Assert.Contains("committed", run.Output, StringComparison.Ordinal);

        // The same operations give the same figures in a heap of this process, but for what depends on the CPU.
        ToolRun raw = ToolRun.Of("slabinfo", program.Id, "--heap", HeapName, "--raw");
        Assert.True(raw.ExitCode == 0, raw.Error);
        using KmemHeap heap = Make();
        Assert.Equal(Lines(SlabInfoText.Format(heap.GetStatistics())), Lines(raw.Output));
    }

    [Fact]
    public void A_heap_that_is_not_there_is_told_of_with_those_that_are()
    {
        using ServedProgram program = new(nameof(Child_has_a_table));
        program.Order();
        ToolRun run = ToolRun.Of("slabinfo", program.Id, "--heap", "other");
        Assert.Equal(1, run.ExitCode);
        Assert.StartsWith($"kmem: {program.Id}: no heap 'other' is there, but '", run.Error, StringComparison.Ordinal);
        Assert.Contains($"'{HeapName}'", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_process_that_cannot_be_asked_is_told_of()
    {
        ToolRun gone = ToolRun.Of("slabinfo", "2147483647");
        Assert.Equal((1, "kmem: 2147483647: no such process\n"), (gone.ExitCode, gone.Error));
        if (OperatingSystem.IsLinux())
        {
            ToolRun other = ToolRun.Of("slabinfo", "1");
            Assert.Equal(1, other.ExitCode);
            Assert.StartsWith("kmem: 1: no .NET process that can be asked", other.Error, StringComparison.Ordinal);
        }

        using ServedProgram program = new(nameof(LeaksCommandTests.Child_does_not_use_Kmem));
        ToolRun without = ToolRun.Of("slabinfo", program.Id);
        Assert.Equal(1, without.ExitCode);

        // Other tests' data may have made Kmem's source, but no heap is left.
        Assert.Matches("no Kmem is in use there|no heap yet", without.Error);
        ToolRun file = ToolRun.Of("slabinfo", "no-such-file.json");
        Assert.Equal("kmem: no-such-file.json: no such file\n", file.Error);
    }

    [Fact(Explicit = true)]
    public void Child_has_a_table()
    {
        Kmalloc.Free(Kmalloc.Alloc(64));
        KmemHeap? heap = null;
        ServedProgram.Serve(() => heap ??= Make());
        heap?.Dispose();
    }

    private static KmemHeap Make()
    {
        KmemHeap heap = new(new KmemHeapOptions { Name = HeapName, Debug = "", ProfileIntervalBytes = 0, GuardIntervalMilliseconds = 0, MaintenanceIntervalMilliseconds = 0, FrontEnd = KmemFrontEnd.TryLock });
        KmemCache cache = new("widget", 100, new KmemCacheOptions { Heap = heap, Flags = KmemCacheFlags.NoMagazines });
        for (int count = 0; count < 1234; count++)
        {
            _ = cache.Alloc();
        }

        return heap;
    }

    private static string[] Lines(string text) => [.. text.Split('\n').Where(static line => !line.StartsWith("magazine-", StringComparison.Ordinal))];
}
