using System;
using System.Runtime.InteropServices;
using Kmem.Engine;
using Kmem.Engine.Primitives;

namespace Kmem.Tests;

/// <summary>
/// The stubs emitted once more, into a page of the test's own, for this machine's thread area and a number of CPUs of the test's choice. A second page
/// counts how often a sequence was aborted.
/// </summary>
internal sealed unsafe class EmittedCode : IDisposable
{
    public const int OffsetOfCpuId = 4;
    public const int OffsetOfMmCid = 24;

    private const nuint PageBytes = RestartableSequence.CodeSizeBytes;
    private const nuint TrampolinesOffset = PageBytes - 512;

    private readonly byte* _code;
    private readonly bool _executable;

    public EmittedCode(int cpuCount, bool executable, int cpuOffset = OffsetOfCpuId, bool broken = false)
    {
        nint libc = NativeLibrary.Load("libc.so.6");
        int offset = (int)*(long*)NativeLibrary.GetExport(libc, "__rseq_offset");
        Area = new RestartableArea { DescriptorOffset = offset + 8, CpuOffset = offset + cpuOffset, CpuCount = cpuCount };
        _code = (byte*)MapMemory(null, 2 * PageBytes, 1 | 2, 0x22, -1, 0);
        RestartableStubs stubs;
        RestartableSequence.Emit(_code, Area, &stubs);
        Stubs = stubs;
        _executable = executable;
        if (executable)
        {
            CountAborts();
            if (broken)
            {
                ForgetSequences();
            }

            if (ProtectMemory(_code, PageBytes, 1 | 4) != 0)
            {
                throw new PlatformNotSupportedException("No executable memory.");
            }
        }
    }

    public RestartableArea Area { get; }

    public RestartableStubs Stubs { get; }

    /// <summary>Times that the kernel sent a thread to an abort handler; only of executable code.</summary>
    public long Aborts => *(long*)(_code + PageBytes);

    /// <summary>The offset in the thread's area that the process's own stubs read the CPU from: that of mm_cid, or of cpu_id.</summary>
    public static int CpuOffsetInUse
    {
        get
        {
            // mov eax, fs:[displacement]: 64 8B 04 25 and four bytes.
            nint libc = NativeLibrary.Load("libc.so.6");
            return *(int*)(FaceStubs.CurrentCpu + 4) - (int)*(long*)NativeLibrary.GetExport(libc, "__rseq_offset");
        }
    }

    /// <summary>
    /// Code that ran stays mapped: the kernel looks at the descriptor that a thread named last until the thread names another, and kills the process
    /// when it is gone.
    /// </summary>
    public void Dispose()
    {
        if (!_executable)
        {
            _ = UnmapMemory(_code, 2 * PageBytes);
        }
    }

    /// <summary>Lets every abort handler, a jump to the entry, go by way of a locked increment.</summary>
    private void CountAborts()
    {
        byte* next = _code + TrampolinesOffset;
        foreach (nint entry in new[] { Stubs.Pop, Stubs.Push, Stubs.Exchange, Stubs.PopBulk, Stubs.PushBulk })
        {
            byte* jump = (byte*)((ulong*)(entry - 32))[3];
            *(int*)(jump + 1) = (int)(next - (jump + 5));
            byte[] increment = [0xF0, 0x48, 0xFF, 0x05];
            increment.CopyTo(new Span<byte>(next, 4));
            *(int*)(next + 4) = (int)(_code + PageBytes - (next + 8));
            next[8] = 0xE9;
            *(int*)(next + 9) = (int)((byte*)entry - (next + 13));
            next += 16;
        }
    }

    /// <summary>A planted bug: descriptors of length 0, so that the kernel lets an interrupted thread go on where it was.</summary>
    private void ForgetSequences()
    {
        foreach (nint entry in new[] { Stubs.Pop, Stubs.Push, Stubs.Exchange, Stubs.PopBulk, Stubs.PushBulk })
        {
            ((ulong*)(entry - 32))[2] = 0;
        }
    }

    [DllImport("libc", EntryPoint = "mmap")]
    private static extern void* MapMemory(void* address, nuint size, int protection, int flags, int file, long offset);

    [DllImport("libc", EntryPoint = "mprotect")]
    private static extern int ProtectMemory(void* address, nuint size, int protection);

    [DllImport("libc", EntryPoint = "munmap")]
    private static extern int UnmapMemory(void* address, nuint size);
}
