using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Kmem.Engine.Primitives;

namespace Kmem.Engine.Caches;

// Theory of thread fronts.
//
// A restartable sequence cannot be inlined, and its call costs more than its work. So a heap may have *fronts*: a thread
// that allocates has a loaded and a previous magazine of its own for each cache, and pops and pushes the loaded one
// with plain loads and stores in the caller's code. Fronts are rung 0, above the CPU's magazines: whole magazines
// change hands, so that nothing shared is touched more than once in a magazine's worth of operations.
//
// An *entry* is one word: the top of the loaded magazine, that is, the address where the next round goes. The words
// below the first round and above the last tell that there is no more, so nothing is compared with a limit:
//
//        magazine:  | header, 0 | round | round | top → … | end |        | 0 | end |
//                                                                            ^ what an entry without a magazine points to:
//                                                                              empty and full at once
//
// The owner works on its entries without a lock, and takes the front's lock to change magazines. *Taking an entry away from
// another thread* rests on the order in which the owner does three things: it says that it is Busy, reads the entry,
// and after its store says that it is not. The taker, under the lock, replaces the entry by the empty one, makes every
// running thread pass a barrier, and waits until the owner is not busy. An owner that read the old entry before was
// busy at the barrier, and has stored what it made of it by now: then the entry is taken again. Else no owner knows
// the magazine any more.
//
//        state       Unused → Owned ⇄ Abandoned
//
// A thread that ends leaves its front to the next one that starts, with what is in it; maintenance empties fronts that
// nobody has or uses. How a thread finds its front is told in ThreadFronts.Windows.cs.

/// <summary>One thread's magazines of all caches of a heap.</summary>
[StructLayout(LayoutKind.Explicit, Size = SizeBytes)]
internal unsafe partial struct ThreadFront
{
    /// <summary>Two halves: header and entries, and previous magazines. Only the parts for caches that there are get touched.</summary>
    public const int SizeBytes = 6 * 4096;

    /// <summary>Where the pages of the windows stand that lead to this front.</summary>
    public const int RememberedOffset = 64;

    public const int RememberedCount = 32;
    public const int EntriesOffset = RememberedOffset + (RememberedCount * 8);
    public const int PreviousOffset = SizeBytes / 2;

    /// <summary>Caches with a larger index have no entry. Entry 0 is nobody's and stays empty.</summary>
    public const int EntryCount = (PreviousOffset - EntriesOffset) / 8;

    /// <summary>The emitted code that runs when a thread ends writes there.</summary>
    public const int StateOffset = 8;

    /// <summary>1 while the owner works on an entry. Written by the owner only.</summary>
    [FieldOffset(0)]
    public uint Busy;

    /// <summary>Rank <see cref="LockRank.ThreadFront"/>. The owner tries it to change magazines; others wait for it to take them.</summary>
    [FieldOffset(4)]
    public RankedLock Lock;

    [FieldOffset(StateOffset)]
    public int State;

    /// <summary>Maintenance passes that found it unused.</summary>
    [FieldOffset(12)]
    public int IdlePasses;

    /// <summary>What maintenance saw last: a sum over the entries.</summary>
    [FieldOffset(16)]
    public nuint SeenEntries;

    /// <summary>The owner's stack. Written and read by the owner only.</summary>
    [FieldOffset(24)]
    public nuint StackLow;

    [FieldOffset(32)]
    public nuint StackBytes;

    /// <summary>Which of the remembered windows is forgotten next.</summary>
    [FieldOffset(40)]
    public uint NextRemembered;

    /// <summary>How often the owner found its window taken by another thread.</summary>
    [FieldOffset(44)]
    public uint WindowMisses;

    /// <summary>What is remembered instead of a window.</summary>
    [FieldOffset(48)]
    public nuint Nowhere;

    /// <summary>The entry with a number: the index of its cache. Number 0 is nobody's.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static nuint* EntryOf(ThreadFront* front, nuint number) => (nuint*)((byte*)front + (number * 8) + EntriesOffset);

    /// <summary>Rung 0 of allocate: false says "slow".</summary>
    /// <remarks>Cost: nine instructions; no lock, no atomic, no call.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryPop(ThreadFront* front, nuint* entry, out void* round)
    {
        Atomic.Store(&front->Busy, 1u);
        nuint* top = (nuint*)Atomic.Load(entry);
        round = (void*)top[-1];
        if (round == null)
        {
            Atomic.Store(&front->Busy, 0u);
            return false;
        }

        Atomic.Store(entry, (nuint)(top - 1));
        Atomic.Store(&front->Busy, 0u);
        return true;
    }

    /// <summary>
    /// Rung 0 of free: false says "slow": no room, or the round is on top already, which is being freed twice. <paramref name="isLive"/>: the caller knows that it is not.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryPush(ThreadFront* front, nuint* entry, void* round, bool isLive = false)
    {
        Atomic.Store(&front->Busy, 1u);
        nuint* top = (nuint*)Atomic.Load(entry);
        if ((nint)(*top) < 0 || (!isLive && top[-1] == (nuint)round))
        {
            Atomic.Store(&front->Busy, 0u);
            return false;
        }

        *top = (nuint)round;
        Atomic.Store(entry, (nuint)(top + 1));
        Atomic.Store(&front->Busy, 0u);
        return true;
    }
}

/// <summary>Whose a front is.</summary>
internal static class ThreadFrontState
{
    public const int Unused = 0;
    public const int Owned = 1;

    /// <summary>Its thread has ended.</summary>
    public const int Abandoned = 2;
}
