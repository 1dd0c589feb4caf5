using System.Diagnostics;
using System.Runtime;
using System.Runtime.CompilerServices;
using Kmem.Engine.Caches;
using Kmem.Engine.Os;
using Kmem.Engine.Primitives;

// Every native call of the engine passes numbers and pointers only: no marshalling code is wanted between.
[assembly: DisableRuntimeMarshalling]

namespace Kmem.Engine;

/// <summary>
/// The native face of the engine: what differs in a process without a runtime. It has the members of
/// <c>src/Kmem/Face</c> and nothing else of the engine differs.
/// </summary>
/// <remarks>
/// Functions of libc are imported as plain calls. They must not allocate: they run inside <c>malloc</c>.
/// </remarks>
internal static unsafe class Face
{
    private const long SyscallFutex = 202;
    private const long FutexWaitPrivate = 128;
    private const long FutexWakePrivate = 129;

    /// <summary><c>_SC_NPROCESSORS_CONF</c> of glibc.</summary>
    private const int ProcessorsConfigured = 83;

    /// <summary>As in the .NET face: bounds the address space of the per-CPU areas.</summary>
    private const int CpuCountLimit = 1024;

    private const int StandardError = 2;

    private const long SyscallMembarrier = 324;
    private const long MembarrierPrivateExpeditedRseq = 128;
    private const long MembarrierRegisterPrivateExpeditedRseq = 256;

    /// <summary>The CPU that this thread ran on a moment ago: a hint, neither dense nor current.</summary>
    public static int CurrentCpuHint()
    {
        int cpu = sched_getcpu();
        return cpu < 0 ? 0 : cpu;
    }

    /// <summary>CPUs that the machine may ever have online: bounds every table that is indexed by CPU.</summary>
    public static int CpuCountMax()
    {
        long count = sysconf(ProcessorsConfigured);
        return count < 1 ? 1 : count > CpuCountLimit ? CpuCountLimit : (int)count;
    }

    public static void Clear(void* address, nuint bytes) => _ = memset(address, 0, bytes);

    public static void Copy(void* destination, void* source, nuint bytes) => _ = memcpy(destination, source, bytes);

    /// <summary>Fills the table of the system that this library was built for.</summary>
    public static void SelectOs(OsTable* table) => LinuxMemory.Fill(table);

    /// <summary>Restarts every sequence that runs in this process on any CPU.</summary>
    public static void BarrierForRestartableSequences()
    {
        if (!MembarrierCommand(MembarrierPrivateExpeditedRseq))
        {
            Fail("membarrier(PRIVATE_EXPEDITED_RSEQ) succeeded at registration", nameof(Face), 0);
        }
    }

    /// <summary>Once a process, before the first barrier.</summary>
    internal static bool RegisterBarrier() =>
        MembarrierCommand(MembarrierRegisterPrivateExpeditedRseq) && MembarrierCommand(MembarrierPrivateExpeditedRseq);

    /// <summary>A short wait of a few instructions' length, so that a spin does not crowd the bus.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void SpinPause()
    {
    }

    /// <summary>Sleeps until somebody unparks the word, if it still is <paramref name="expected"/>; may wake early.</summary>
    public static void Park(int* word, int expected) => _ = syscall(SyscallFutex, word, FutexWaitPrivate, expected, null);

    /// <summary>No heap of this face has fronts: there is no memory of a thread's own to keep one in.</summary>
    public static ThreadFront* CurrentFront() => null;

    public static bool TrySetCurrentFront(ThreadFront* front) => false;

    /// <summary>Wakes one sleeper on the word.</summary>
    public static void Unpark(int* word) => _ = syscall(SyscallFutex, word, FutexWakePrivate, 1, null);

    /// <summary>A broken invariant: one line on standard error, then abort. Nothing is allocated.</summary>
    public static void Fail(string condition, string file, int line)
    {
        Write("Kmem: invariant does not hold: ");
        Write(condition);
        Write(" (");
        Write(file);
        Write(":");
        WriteDecimal(line);
        Write(")\n");
        abort();
    }

    // The order of locks is checked by the tests of the .NET face; here is no thread state to keep ranks in.
    [Conditional("DEBUG")]
    public static void RankEntered(LockRank rank, LockRank heldAtLeast)
    {
    }

    [Conditional("DEBUG")]
    public static void RankLeft(LockRank rank)
    {
    }

    private static bool MembarrierCommand(long command) => syscall(SyscallMembarrier, (int*)command, 0, 0, null) == 0;

    private static void Write(string text)
    {
        byte* buffer = stackalloc byte[256];
        nuint length = 0;
        for (int i = 0; i < text.Length && length < 256; i++)
        {
            char c = text[i];
            buffer[length++] = c < 128 ? (byte)c : (byte)'?';
        }

        _ = write(StandardError, buffer, length);
    }

    private static void WriteDecimal(int value)
    {
        byte* buffer = stackalloc byte[12];
        int start = 12;
        uint rest = (uint)value;
        do
        {
            buffer[--start] = (byte)('0' + (rest % 10));
            rest /= 10;
        }
        while (rest != 0);

        _ = write(StandardError, buffer + start, (nuint)(12 - start));
    }

#pragma warning disable IDE1006, SYSLIB1054 // The names are libc's.
    [RuntimeImport("*", "syscall")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    private static extern long syscall(long number, int* word, long operation, long value, void* timeout);

    [RuntimeImport("*", "sched_getcpu")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    private static extern int sched_getcpu();

    [RuntimeImport("*", "sysconf")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    private static extern long sysconf(int name);

    [RuntimeImport("*", "write")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    private static extern nint write(int descriptor, byte* bytes, nuint count);

    [RuntimeImport("*", "abort")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    private static extern void abort();

    [RuntimeImport("*", "memset")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    private static extern void* memset(void* address, int value, nuint bytes);

    [RuntimeImport("*", "memcpy")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    private static extern void* memcpy(void* destination, void* source, nuint bytes);
#pragma warning restore IDE1006, SYSLIB1054
}
