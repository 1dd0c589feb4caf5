using System;
using System.Diagnostics;
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
    public static int CpuCountMax() => Environment.ProcessorCount;

    public static void SpinPause() => Thread.SpinWait(8);

    /// <summary>Sleeps until somebody unparks the word, if it still is <paramref name="expected"/>; may wake early.</summary>
    public static void Park(int* word, int expected) => s_park(word, expected);

    /// <summary>Wakes one sleeper on the word.</summary>
    public static void Unpark(int* word) => s_unpark(word);

    /// <summary>A broken invariant: the process cannot go on with this heap.</summary>
    public static void Fail(string condition, string file, int line) =>
        Environment.FailFast($"Kmem: invariant does not hold: {condition} ({System.IO.Path.GetFileName(file)}:{line})");

    [Conditional("DEBUG")]
    public static void RankEntered(LockRank rank, bool tried)
    {
        if (!tried && t_heldRanks.Lowest < rank)
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
