using System.Runtime.CompilerServices;
using Kmem.Engine.Primitives;

namespace Kmem.Native;

/// <summary>
/// What the threads share: one page, which the kernel zeroes in a forked process (<c>MADV_WIPEONFORK</c>). So a child is never in doubt
/// whether it may write into its parent's file: nothing is on until it is told that it is one. Chunks are not even mapped in it
/// (<c>MADV_DONTFORK</c>).
/// </summary>
internal unsafe struct TraceControl
{
    private const int PoolMax = 64;

    /// <summary>1 while events are recorded.</summary>
    public int IsOn;

    /// <summary>1 while a thread makes the file, takes a chunk or brings one back.</summary>
    public int Lock;

    /// <summary>Threads that were given a number.</summary>
    public uint ThreadCount;

    /// <summary>Chunks that the file has room for.</summary>
    public uint ChunkCount;

    /// <summary>The header's mapping; null before the file is made.</summary>
    public byte* Header;

    /// <summary>What the file is, whatever its name leads to later.</summary>
    public ulong Device;

    /// <inheritdoc cref="Device"/>
    public ulong Inode;

    /// <summary>Clock of the start, in nanoseconds.</summary>
    public ulong StartNanoseconds;

    /// <summary>Chunks of threads that have ended, each with the place where it goes on.</summary>
    public int PoolCount;

    public fixed ulong PoolChunks[PoolMax];

    public fixed ulong PoolPositions[PoolMax];

    // The only word that every event of every thread writes has a cache line to itself.
    private fixed byte _before[64];

    /// <summary>Sequence numbers given out.</summary>
    public long Sequence;

    private fixed byte _after[56];

    public static ulong NextSequence(TraceControl* control) => (ulong)Atomic.Add(&control->Sequence, 1);

    public static void Enter(TraceControl* control)
    {
        while (!Atomic.CompareExchange(&control->Lock, 0, 1))
        {
            _ = Libc.sched_yield();
        }
    }

    public static void Exit(TraceControl* control) => Atomic.Store(&control->Lock, 0);

    /// <summary>Keeps the rest of a chunk for a thread to come; false where there is no room for it.</summary>
    public static bool TryPut(TraceControl* control, byte* chunk, byte* position)
    {
        if (control->PoolCount == PoolMax)
        {
            return false;
        }

        control->PoolChunks[control->PoolCount] = (ulong)chunk;
        control->PoolPositions[control->PoolCount++] = (ulong)position;
        return true;
    }

    public static bool TryTake(TraceControl* control, out byte* chunk, out byte* position)
    {
        chunk = null;
        position = null;
        if (control->PoolCount == 0)
        {
            return false;
        }

        control->PoolCount--;
        chunk = (byte*)control->PoolChunks[control->PoolCount];
        position = (byte*)control->PoolPositions[control->PoolCount];
        return true;
    }

    /// <summary>Nanoseconds since the start.</summary>
    public static ulong Elapsed(TraceControl* control) => Now(TraceLibc.ClockMonotonic) - control->StartNanoseconds;

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static ulong Now(int clock)
    {
        long* time = stackalloc long[2];
        return TraceLibc.clock_gettime(clock, time) == 0 ? ((ulong)time[0] * 1_000_000_000) + (ulong)time[1] : 0;
    }
}
