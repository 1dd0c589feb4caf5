using System.Diagnostics;
using System.Runtime.CompilerServices;
using Kmem.Engine.Caches;
using Kmem.Engine.Os;
using Kmem.Engine.Primitives;
using Kmem.Native;

// Every native call of the engine passes numbers and pointers only: no marshalling code is wanted between.
[assembly: DisableRuntimeMarshalling]

namespace Kmem.Engine;

/// <summary>
/// The native face of the engine: what differs in a process without a runtime. It has the members of
/// <c>src/Kmem/Face</c> and nothing else of the engine differs.
/// </summary>
internal static unsafe partial class Face
{
    private const long SyscallFutex = 202;
    private const long FutexWaitPrivate = 128;
    private const long FutexWakePrivate = 129;

    /// <summary><c>_SC_NPROCESSORS_CONF</c> of glibc.</summary>
    private const int ProcessorsConfigured = 83;

    /// <summary>As in the .NET face: bounds the address space of the per-CPU areas.</summary>
    private const int CpuCountLimit = 1024;

    private const long SyscallMembarrier = 324;
    private const long MembarrierPrivateExpeditedRseq = 128;
    private const long MembarrierRegisterPrivateExpeditedRseq = 256;

    private static int s_cpuCountMax;

    /// <summary>The CPU that this thread ran on a moment ago: a hint, neither dense nor current.</summary>
    public static int CurrentCpuHint()
    {
        int cpu = Libc.sched_getcpu();
        return cpu < 0 ? 0 : cpu;
    }

    /// <summary>CPUs that the machine may ever have online: bounds every table that is indexed by CPU.</summary>
    public static int CpuCountMax()
    {
        if (s_cpuCountMax == 0)
        {
            long count = Libc.sysconf(ProcessorsConfigured);
            s_cpuCountMax = count < 1 ? 1 : count > CpuCountLimit ? CpuCountLimit : (int)count;
        }

        return s_cpuCountMax;
    }

    public static void Clear(void* address, nuint bytes) => _ = Libc.memset(address, 0, bytes);

    public static void Fill(void* address, nuint bytes, byte value) => _ = Libc.memset(address, value, bytes);

    /// <summary>How many bytes from the start have the value.</summary>
    public static nuint FindOther(void* address, nuint bytes, byte value)
    {
        byte* at = (byte*)address;
        byte* end = at + bytes;
        ulong word = value * 0x0101010101010101ul;
        while (end - at >= 8 && *(ulong*)at == word)
        {
            at += 8;
        }

        while (at < end && *at == value)
        {
            at++;
        }

        return (nuint)(at - (byte*)address);
    }

    public static void Copy(void* destination, void* source, nuint bytes) => _ = Libc.memcpy(destination, source, bytes);

    /// <summary>Fills the table of the system that this library was built for.</summary>
    public static void SelectOs(OsTable* table)
    {
        LinuxMemory.Fill(table);
        AddressSpaceLimit.Watch(table);
    }

    /// <summary>Restarts every sequence that runs in this process on any CPU.</summary>
    public static void BarrierForRestartableSequences()
    {
        if (!HasBarrier)
        {
            Fail("membarrier(PRIVATE_EXPEDITED_RSEQ) succeeded at registration", nameof(Face), 0);
        }
    }

    /// <summary>Makes a barrier. False: the program has forbidden itself the call since registration.</summary>
    /// <remarks>A child of a fork may have to register again.</remarks>
    internal static bool HasBarrier => MembarrierCommand(MembarrierPrivateExpeditedRseq) || RegisterBarrier();

    /// <summary>Once a process, before the first barrier.</summary>
    internal static bool RegisterBarrier() =>
        MembarrierCommand(MembarrierRegisterPrivateExpeditedRseq) && MembarrierCommand(MembarrierPrivateExpeditedRseq);

    /// <summary>A short wait of a few instructions' length, so that a spin does not crowd the bus.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void SpinPause()
    {
    }

    /// <summary>Sleeps until somebody unparks the word, if it still is <paramref name="expected"/>; may wake early.</summary>
    public static void Park(int* word, int expected) => _ = Libc.syscall(SyscallFutex, (long)word, FutexWaitPrivate, expected, 0);

    /// <summary>Wakes one sleeper on the word.</summary>
    public static void Unpark(int* word) => _ = Libc.syscall(SyscallFutex, (long)word, FutexWakePrivate, 1, 0);

    /// <summary>Whether the thread may be given a front: not when it is ending.</summary>
    public static bool MayHaveFront => NativeThread.Current()->State == NativeThreadState.New && NativeThread.FrontsAreGiven;

    public static ThreadFront* CurrentFront() => NativeThread.Current()->Front;

    /// <summary>Gives the thread a front until it ends; then the front becomes abandoned.</summary>
    public static bool TrySetCurrentFront(ThreadFront* front) => NativeThread.TrySetFront(front);

    /// <summary>A broken invariant: one line on standard error, then abort. Nothing is allocated.</summary>
    public static void Fail(string condition, string file, int line)
    {
        TextLine text = default;
        text.Add("kmem: invariant does not hold: ");
        text.Add(condition);
        text.Add(" (");
        text.Add(file);
        text.Add(":");
        text.Add((ulong)line);
        text.Add(")");
        text.WriteTo(Libc.StandardError);
        Libc.abort();
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

    private static bool MembarrierCommand(long command) => Libc.syscall(SyscallMembarrier, command, 0, 0, 0) == 0;
}
