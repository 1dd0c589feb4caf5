using System;
using System.IO;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Xunit;

namespace Kmem.Tests.Unit.Checks;

/// <summary>Touching what one must not ends the process; standard error says whose it was, and then what the runtime says.</summary>
/// <remarks>Each case is an explicit test in a process of its own.</remarks>
public sealed unsafe class GuardFaultTests
{
    private const string Allocator = nameof(GuardFaultChildTests.AllocateBuffer);
    private const string Freer = nameof(GuardFaultChildTests.FreeBuffer);

    [Theory]
    [InlineData(nameof(GuardFaultChildTests.ReadAfterFree), "read after the free", true)]
    [InlineData(nameof(GuardFaultChildTests.WriteAfterFree), "written after the free", true)]
    [InlineData(nameof(GuardFaultChildTests.ReadPastEnd), "read past the end", false)]
    [InlineData(nameof(GuardFaultChildTests.WritePastEnd), "written past the end", false)]
    [InlineData(nameof(GuardFaultChildTests.ReadBeforeStart), "read before the start", false)]
    [InlineData(nameof(GuardFaultChildTests.WriteBeforeStart), "written before the start", false)]
    [InlineData(nameof(GuardFaultChildTests.CopySpanAfterFree), "read after the free", true)]
    [InlineData(nameof(GuardFaultChildTests.ReadVectorAfterFree), "read after the free", true)]
    [InlineData(nameof(GuardFaultChildTests.ReadInNativeCodeAfterFree), "read after the free", true)]
    [InlineData(nameof(GuardFaultChildTests.ReadInAnotherThreadAfterFree), "read after the free", true)]
    [InlineData(nameof(GuardFaultChildTests.ReadWhatWasSampledAfterFree), "read after the free", true)]
    public void A_fault_names_the_object_and_both_stacks(string culprit, string what, bool isFreed)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64, "Faults are told on x64 Linux.");
        (int exitCode, string output) = ChildTest.Run($"{nameof(GuardFaultChildTests)}.{culprit}");
        Assert.NotEqual(0, exitCode);
        string[] lines = output.Split('\n', StringSplitOptions.TrimEntries);
        int first = Array.FindIndex(lines, static line => line.StartsWith("Kmem: ", StringComparison.Ordinal));
        Assert.True(first >= 0, output);
        Assert.Matches($"^Kmem: {what}, at 0x[0-9a-f]{{12}}: cache 'kmalloc-64' of the heap 'faulty', object 0x[0-9a-f]+ of 64 bytes, on guarded pages$", lines[first]);
        Assert.Matches(@"^allocated by thread \d+, at [\d:.]+ UTC$", lines[first + 1]);
        Assert.Contains(Allocator, lines[first + 2], StringComparison.Ordinal);
        Assert.Contains(culprit, output, StringComparison.Ordinal);
        int freed = Array.FindIndex(lines, static line => line.StartsWith("freed     by thread", StringComparison.Ordinal));
        Assert.Equal(isFreed, freed > first);
        if (isFreed)
        {
            Assert.Contains(Freer, lines[freed + 1], StringComparison.Ordinal);
        }

        Assert.Contains(lines, static line => line.StartsWith("done      the signal takes its course", StringComparison.Ordinal));

        // The runtime's own report has the culprit's stack where that is managed code, or was called from it.
        int runtime = Array.FindIndex(lines, static line => line.StartsWith("at Kmem.Tests.", StringComparison.Ordinal) && line.Contains('(', StringComparison.Ordinal));
        if (culprit != nameof(GuardFaultChildTests.ReadInNativeCodeAfterFree))
        {
            Assert.Contains("AccessViolationException", output, StringComparison.Ordinal);
            Assert.True(runtime >= 0, output);
        }
    }

    [Fact]
    public void What_is_no_guarded_page_is_handled_as_ever()
    {
        (int exitCode, string output) = ChildTest.Run($"{nameof(GuardFaultChildTests)}.{nameof(GuardFaultChildTests.DereferenceNull)}");
        Assert.True(exitCode == 0, output);
        Assert.DoesNotContain("Kmem:", output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_stack_that_overflows_is_reported_as_ever()
    {
        (int exitCode, string output) = ChildTest.Run($"{nameof(GuardFaultChildTests)}.{nameof(GuardFaultChildTests.OverflowStack)}");
        Assert.NotEqual(0, exitCode);
        Assert.Contains("Stack overflow", output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_system_call_does_not_fault_and_says_that_the_address_is_bad()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "A Linux system call.");
        using KmemHeap heap = GuardFaultChildTests.Make();
        byte* buffer = GuardFaultChildTests.AllocateBuffer(heap);
        GuardFaultChildTests.FreeBuffer(heap, buffer);
        using FileStream zeros = File.OpenRead("/dev/zero");
        Assert.ThrowsAny<Exception>(() => zeros.SafeFileHandle.ReadInto(buffer));
    }
}

/// <summary>The explicit tests that the children run. The names of their methods are looked for in what they leave.</summary>
public sealed unsafe class GuardFaultChildTests
{
    [Fact(Explicit = true)]
    public void ReadAfterFree()
    {
        KmemHeap heap = Make();
        byte* buffer = AllocateBuffer(heap);
        FreeBuffer(heap, buffer);
        Use(buffer[5]);
    }

    [Fact(Explicit = true)]
    public void WriteAfterFree()
    {
        KmemHeap heap = Make();
        byte* buffer = AllocateBuffer(heap);
        FreeBuffer(heap, buffer);
        buffer[5] = 1;
    }

    [Fact(Explicit = true)]
    public void ReadPastEnd() => Use(AllocateAtEnd(Make())[64]);

    [Fact(Explicit = true)]
    public void WritePastEnd() => AllocateAtEnd(Make())[64] = 1;

    [Fact(Explicit = true)]
    public void ReadBeforeStart() => Use(AllocateAtStart(Make())[-1]);

    [Fact(Explicit = true)]
    public void WriteBeforeStart() => AllocateAtStart(Make())[-1] = 1;

    [Fact(Explicit = true)]
    public void CopySpanAfterFree()
    {
        KmemHeap heap = Make();
        byte* buffer = AllocateBuffer(heap);
        FreeBuffer(heap, buffer);
        Use(new Span<byte>(buffer, 64).ToArray()[0]);
    }

    [Fact(Explicit = true)]
    public void ReadVectorAfterFree()
    {
        KmemHeap heap = Make();
        byte* buffer = AllocateBuffer(heap);
        FreeBuffer(heap, buffer);
        Use(Vector128.Load(buffer + 16).GetElement(0));
    }

    [Fact(Explicit = true)]
    public void ReadInNativeCodeAfterFree()
    {
        KmemHeap heap = Make();
        byte* buffer = AllocateBuffer(heap);
        FreeBuffer(heap, buffer);
        Console.Error.WriteLine(nameof(ReadInNativeCodeAfterFree));
        Use((byte)Length(buffer));
    }

    [Fact(Explicit = true)]
    public void ReadInAnotherThreadAfterFree()
    {
        KmemHeap heap = Make();
        byte* buffer = AllocateBuffer(heap);
        FreeBuffer(heap, buffer);
        System.Threading.Thread thread = new(() => Use(buffer[0]));
        thread.Start();
        thread.Join();
    }

    [Fact(Explicit = true)]
    public void ReadWhatWasSampledAfterFree()
    {
        KmemHeap heap = new(new KmemHeapOptions { Name = "faulty", Debug = "", GuardIntervalMilliseconds = 5 });
        while (true)
        {
            byte* buffer = AllocateBuffer(heap);
            FreeBuffer(heap, buffer);
            Use(buffer[0]);
        }
    }

    [Fact(Explicit = true)]
    public void DereferenceNull()
    {
        _ = AllocateBuffer(Make());
        string? nothing = Environment.GetEnvironmentVariable("no such variable");
        Assert.Throws<NullReferenceException>(() => nothing!.Length);
        Assert.Throws<NullReferenceException>(() => Use(*(byte*)8));
    }

    [Fact(Explicit = true)]
    public void OverflowStack()
    {
        _ = AllocateBuffer(Make());
        Use(Deeper(1));
    }

    internal static KmemHeap Make() => new(new KmemHeapOptions { Name = "faulty", Debug = "G", GuardIntervalMilliseconds = 0 });

    [MethodImpl(MethodImplOptions.NoInlining)]
    internal static byte* AllocateBuffer(KmemHeap heap) => (byte*)heap.Alloc(64);

    [MethodImpl(MethodImplOptions.NoInlining)]
    internal static void FreeBuffer(KmemHeap heap, byte* buffer) => heap.Free(buffer);

    private static byte* AllocateAtEnd(KmemHeap heap)
    {
        byte* buffer = AllocateBuffer(heap);
        return (nuint)buffer % 4096 != 0 ? buffer : AllocateAtEnd(heap);
    }

    private static byte* AllocateAtStart(KmemHeap heap)
    {
        byte* buffer = AllocateBuffer(heap);
        return (nuint)buffer % 4096 == 0 ? buffer : AllocateAtStart(heap);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static byte Deeper(byte depth)
    {
        byte* room = stackalloc byte[1024];
        room[0] = depth;
        return (byte)(Deeper((byte)(depth + 1)) + room[0]);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Use(byte value) => GC.KeepAlive(value);

    [DllImport("libc", EntryPoint = "strlen")]
    private static extern nuint Length(byte* text);
}

/// <summary>Reading with a system call to an address.</summary>
internal static class ReadExtensions
{
    public static unsafe int ReadInto(this Microsoft.Win32.SafeHandles.SafeFileHandle file, byte* buffer) =>
        RandomAccess.Read(file, new Span<byte>(buffer, 64), 0);
}
