using System;
using System.Runtime.InteropServices;
using Kmem.Engine.Primitives;

namespace Kmem.Tests.Unit.Primitives;

/// <summary>The stubs emitted once more, into a page of the test's own, for this machine's thread area and a number of CPUs of the test's choice.</summary>
internal sealed unsafe class EmittedCode : IDisposable
{
    private readonly byte* _code;
    private readonly bool _executable;

    public EmittedCode(int cpuCount, bool executable)
    {
        nint libc = NativeLibrary.Load("libc.so.6");
        long offset = *(long*)NativeLibrary.GetExport(libc, "__rseq_offset");
        Area = new RestartableArea { DescriptorOffset = (int)offset + 8, CpuOffset = (int)offset + 4, CpuCount = cpuCount };
        _code = (byte*)MapMemory(null, RestartableSequence.CodeSizeBytes, 1 | 2, 0x22, -1, 0);
        RestartableStubs stubs;
        RestartableSequence.Emit(_code, Area, &stubs);
        Stubs = stubs;
        _executable = executable;
        if (executable && ProtectMemory(_code, RestartableSequence.CodeSizeBytes, 1 | 4) != 0)
        {
            throw new PlatformNotSupportedException("No executable memory.");
        }
    }

    public RestartableArea Area { get; }

    public RestartableStubs Stubs { get; }

    /// <summary>
    /// Code that ran stays mapped: the kernel looks at the descriptor that a thread named last until the thread names another, and kills the process
    /// when it is gone.
    /// </summary>
    public void Dispose()
    {
        if (!_executable)
        {
            _ = UnmapMemory(_code, RestartableSequence.CodeSizeBytes);
        }
    }

    [DllImport("libc", EntryPoint = "mmap")]
    private static extern void* MapMemory(void* address, nuint size, int protection, int flags, int file, long offset);

    [DllImport("libc", EntryPoint = "mprotect")]
    private static extern int ProtectMemory(void* address, nuint size, int protection);

    [DllImport("libc", EntryPoint = "munmap")]
    private static extern int UnmapMemory(void* address, nuint size);
}
