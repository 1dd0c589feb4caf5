namespace Kmem.Engine.Primitives;

/// <summary>
/// The order in which locks may be taken: a thread that holds a lock takes only locks of a <em>lower</em> value.
/// Upper layers have the higher values, so the order follows the folders.
/// </summary>
internal enum LockRank
{
    None = 0,

    /// <summary>The buddy allocator's free lists, growth: <c>Zone</c>.</summary>
    Zone = 1,

    /// <summary>Free blocks that a purge has in hand: <c>Purger</c>. Waited for by who finds no memory.</summary>
    Purge = 2,

    /// <summary>One CPU's page lists: <c>PageLists</c>. Tried by callers, waited for by drains.</summary>
    PageLists = 3,

    /// <summary>The slab lists of one cache: <c>SlabLists</c>.</summary>
    Slabs = 4,

    /// <summary>The magazines of one cache that no thread and no CPU holds: <c>Depot</c>.</summary>
    Depot = 5,

    /// <summary>Previous magazine and counters of one cache on one CPU: <c>CpuSlot</c>. Tried on the rungs, waited for by a drain.</summary>
    CpuSlot = 6,

    /// <summary>Changing the magazines of one thread: <c>ThreadFront</c>. Tried by the owner, waited for by a drain.</summary>
    ThreadFront = 7,

    /// <summary>Which slots of guarded objects are free: <c>GuardPool</c>. Nothing is taken under it.</summary>
    Guards = 8,

    /// <summary>The table of caches, the array of fronts and their windows: <c>CacheRegistry</c>.</summary>
    Registry = 9,

    /// <summary>One maintenance pass at a time: <c>Reaper</c>.</summary>
    Reaper = 10,
}

/// <summary>
/// A lock in one 32-bit word: 0 free, 1 held, 2 held and somebody sleeps. Spins briefly, then parks in the OS
/// (Drepper, "Futexes Are Tricky", the third mutex). Not recursive.
/// </summary>
/// <remarks>
/// Zeroed memory is a free lock. In Debug builds the face keeps each thread's held ranks and fails on an
/// acquisition out of order, the second of one rank included unless it is entered as a sibling. Of a user's callbacks only a destructor may run under a lock, the
/// Reaper's.
/// </remarks>
internal unsafe struct RankedLock
{
    private const int Free = 0;
    private const int Held = 1;
    private const int HeldWithSleepers = 2;

    /// <summary>About a microsecond: longer than every critical section here, shorter than a park.</summary>
    private const int SpinsBeforePark = 40;

    private int _state;

    public static void Enter(RankedLock* target, LockRank rank)
    {
        Face.RankEntered(rank, heldAtLeast: rank + 1);
        Acquire(target);
    }

    /// <summary>
    /// Another lock of a rank that the thread may hold already: for who takes all of them, in the order of their CPUs, which every
    /// such taker keeps.
    /// </summary>
    public static void EnterSibling(RankedLock* target, LockRank rank)
    {
        Face.RankEntered(rank, heldAtLeast: rank);
        Acquire(target);
    }

    public static bool TryEnter(RankedLock* target, LockRank rank)
    {
        if (!Atomic.CompareExchange(&target->_state, Free, Held))
        {
            return false;
        }

        Face.RankEntered(rank, heldAtLeast: LockRank.None);
        return true;
    }

    public static void Exit(RankedLock* target, LockRank rank)
    {
        Face.RankLeft(rank);
        int previous = Atomic.Exchange(&target->_state, Free);
        Invariant.Check(previous != Free);
        if (previous == HeldWithSleepers)
        {
            Face.Unpark(&target->_state);
        }
    }

    public static bool IsHeld(RankedLock* target) => Atomic.Load(&target->_state) != Free;

    private static void Acquire(RankedLock* target)
    {
        if (!Atomic.CompareExchange(&target->_state, Free, Held))
        {
            EnterSlow(target);
        }
    }

    private static void EnterSlow(RankedLock* target)
    {
        for (int spin = 0; spin < SpinsBeforePark; spin++)
        {
            Face.SpinPause();
            if (Atomic.Load(&target->_state) == Free && Atomic.CompareExchange(&target->_state, Free, Held))
            {
                return;
            }
        }

        while (Atomic.Exchange(&target->_state, HeldWithSleepers) != Free)
        {
            Face.Park(&target->_state, HeldWithSleepers);
        }
    }
}
