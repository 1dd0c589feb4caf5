using System;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Threading;
using Kmem.Engine.Primitives;

namespace Kmem.Engine;

/// <summary>
/// The .NET face of the engine: the few things that differ between a process with a runtime and one without.
/// The native face has a file of the same shape; nothing else of the engine differs.
/// </summary>
internal static unsafe partial class Face
{
    [ThreadStatic]
    private static HeldRanks t_heldRanks;

    /// <summary>The CPU that this thread ran on a moment ago: a hint, neither dense nor current.</summary>
    public static int CurrentCpuHint() => Thread.GetCurrentProcessorId();

    /// <summary>CPUs that the machine may ever have online: bounds every table that is indexed by CPU.</summary>
    public static int CpuCountMax() => s_cpuCountMax;

    private static readonly int s_cpuCountMax = Math.Clamp(
        OperatingSystem.IsLinux() ? Math.Max(Environment.ProcessorCount, (int)SystemConfiguration(SystemConfigurationCpus)) : Environment.ProcessorCount,
        1,
        CpuCountLimit);

    /// <summary>Bounds the address space of the per-CPU areas to 2 GiB a heap; a CPU beyond it has no magazines.</summary>
    private const int CpuCountLimit = 1024;

    private const int SystemConfigurationCpus = 83;

    [DllImport("libc", EntryPoint = "sysconf")]
    private static extern long SystemConfiguration(int name);

    private const nuint WordBytes = 8;
    private const ulong EachByte = 0x0101010101010101;

    public static void Clear(void* address, nuint bytes) => NativeMemory.Clear(address, bytes);

    /// <remarks>A few bytes, as zones mostly are, are done here: two words that may overlap.</remarks>
    public static void Fill(void* address, nuint bytes, byte value)
    {
        if (bytes - WordBytes <= WordBytes)
        {
            ulong word = value * EachByte;
            Unsafe.WriteUnaligned(address, word);
            Unsafe.WriteUnaligned((byte*)address + bytes - WordBytes, word);
            return;
        }

        NativeMemory.Fill(address, bytes, value);
    }

    /// <summary>How many bytes from the start have the value.</summary>
    public static nuint FindOther(void* address, nuint bytes, byte value)
    {
        ulong word = value * EachByte;
        if (bytes - WordBytes <= WordBytes
            && Unsafe.ReadUnaligned<ulong>(address) == word
            && Unsafe.ReadUnaligned<ulong>((byte*)address + bytes - WordBytes) == word)
        {
            return bytes;
        }

        nuint done = 0;
        while (done < bytes)
        {
            int step = (int)Math.Min(bytes - done, 1 << 30);
            int other = new ReadOnlySpan<byte>((byte*)address + done, step).IndexOfAnyExcept(value);
            if (other >= 0)
            {
                return done + (nuint)other;
            }

            done += (nuint)step;
        }

        return bytes;
    }

    public static void Copy(void* destination, void* source, nuint bytes) => Buffer.MemoryCopy(source, destination, bytes, bytes);

    /// <summary>Restarts every sequence that runs in this process on any CPU.</summary>
    public static void BarrierForRestartableSequences()
    {
        if (Membarrier(MembarrierNumber, MembarrierPrivateExpeditedRseq, 0, 0) != 0)
        {
            Fail("membarrier(PRIVATE_EXPEDITED_RSEQ) succeeded at registration", nameof(Face), 0);
        }
    }

    internal static bool RegisterBarrier() =>
        Membarrier(MembarrierNumber, MembarrierRegisterPrivateExpeditedRseq, 0, 0) == 0
        && Membarrier(MembarrierNumber, MembarrierPrivateExpeditedRseq, 0, 0) == 0;

    private const long MembarrierNumber = 324;
    private const long MembarrierPrivateExpeditedRseq = 128;
    private const long MembarrierRegisterPrivateExpeditedRseq = 256;

    [DllImport("libc", EntryPoint = "syscall")]
    private static extern long Membarrier(long number, long command, long flags, long cpu);

    public static void SpinPause() => Thread.SpinWait(8);

    /// <summary>Sleeps until somebody unparks the word, if it still is <paramref name="expected"/>; may wake early.</summary>
    public static void Park(int* word, int expected) => s_park(word, expected);

    /// <summary>Wakes one sleeper on the word.</summary>
    public static void Unpark(int* word) => s_unpark(word);

    /// <summary>A broken invariant: the process cannot go on with this heap.</summary>
    public static void Fail(string condition, string file, int line) =>
        Environment.FailFast($"Kmem: invariant does not hold: {condition} ({System.IO.Path.GetFileName(file)}:{line})");

    [Conditional("DEBUG")]
    public static void RankEntered(LockRank rank, LockRank heldAtLeast)
    {
        if (t_heldRanks.Lowest < heldAtLeast)
        {
            Environment.FailFast($"Kmem: lock {rank} taken while {t_heldRanks.Lowest} is held");
        }

        t_heldRanks.Push(rank);
    }

    [Conditional("DEBUG")]
    public static void RankLeft(LockRank rank) => t_heldRanks.Remove(rank);

    /// <summary>How many of each rank this thread holds, a byte each. Debug only.</summary>
    private struct HeldRanks
    {
        private UInt128 _counts;

        public readonly LockRank Lowest
        {
            get
            {
                for (int rank = 1; rank < 16; rank++)
                {
                    if (((_counts >> (rank * 8)) & 0xFF) != 0)
                    {
                        return (LockRank)rank;
                    }
                }

                return (LockRank)int.MaxValue;
            }
        }

        public void Push(LockRank rank) => _counts += UInt128.One << ((int)rank * 8);

        public void Remove(LockRank rank) => _counts -= UInt128.One << ((int)rank * 8);
    }
}
