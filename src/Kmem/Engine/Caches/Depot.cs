using Kmem.Engine.Primitives;

namespace Kmem.Engine.Caches;

/// <summary>
/// The magazines of one cache that no thread and no CPU holds: a list of those with rounds, and a list of empty ones. A thread or CPU comes here
/// at most once in a magazine's worth of operations.
/// </summary>
/// <remarks>
/// Working set (Bonwick and Adams 2001, §3.3): the least length that a list had since the last maintenance is what
/// nobody needed; maintenance reaps that much. The rounds held are bounded in bytes, by <see cref="RoundsMax"/>.
/// </remarks>
internal unsafe struct Depot
{
    /// <summary>Bytes of objects that a depot holds at most, for each CPU of the machine, up to 16 CPUs.</summary>
    private const uint BytesMaxOfCpu = 2048 * 1024;

    private const int CpusCounted = 16;
    private const int MagazinesLeast = 4;

    /// <summary>Rank <see cref="LockRank.Depot"/>; guards all fields.</summary>
    public RankedLock Lock;

    private Magazine* _full;
    private Magazine* _empty;

    /// <summary>Magazines on each list, and the least since the last maintenance.</summary>
    public long FullCount;

    public long EmptyCount;
    public long FullLeast;
    public long EmptyLeast;

    /// <summary>Rounds in the full list.</summary>
    public long Rounds;

    /// <summary>Full magazines are refused when they would lift <see cref="Rounds"/> above this.</summary>
    public long RoundsMax;

    /// <summary>Visits that found the lock held.</summary>
    public long Contended;

    public static void Initialize(Depot* depot, uint strideBytes, int cpuCount)
    {
        *depot = default;
        long bytes = (long)BytesMaxOfCpu * (cpuCount < CpusCounted ? cpuCount : CpusCounted);
        long rounds = bytes / strideBytes;
        long least = MagazinesLeast * MagazineSizing.StartFor(strideBytes);
        depot->RoundsMax = rounds > least ? rounds : least;
    }

    /// <summary>A magazine with rounds, or null.</summary>
    public static Magazine* TakeFull(Depot* depot) => TakeFullForEmpty(depot, null);

    /// <summary>A magazine with rounds, for which an empty one, if not null, is left; or null, and then it is not.</summary>
    public static Magazine* TakeFullForEmpty(Depot* depot, Magazine* empty)
    {
        // A look without the lock: an empty depot is the common case of a growing cache.
        if (Atomic.Load(&depot->FullCount) == 0)
        {
            return null;
        }

        Enter(depot);
        Magazine* magazine = depot->_full;
        if (magazine != null)
        {
            depot->_full = magazine->Next;
            depot->FullCount--;
            depot->Rounds -= magazine->Rounds;
            depot->FullLeast = depot->FullCount < depot->FullLeast ? depot->FullCount : depot->FullLeast;
            magazine->Next = null;
            PutEmptyLocked(depot, empty);
        }

        Exit(depot);
        return magazine;
    }

    /// <summary>False when the depot holds enough.</summary>
    public static bool TryPutFull(Depot* depot, Magazine* magazine, int rounds)
    {
        Enter(depot);
        bool accepted = TryPutFullLocked(depot, magazine, rounds);
        Exit(depot);
        return accepted;
    }

    /// <summary>The same, and an empty magazine is taken, if there is one, whether the full one is accepted or not.</summary>
    public static bool TryPutFullForEmpty(Depot* depot, Magazine* magazine, int rounds, out Magazine* empty)
    {
        Enter(depot);
        bool accepted = TryPutFullLocked(depot, magazine, rounds);
        empty = TakeEmptyLocked(depot);
        Exit(depot);
        return accepted;
    }

    /// <summary>An empty magazine, or null.</summary>
    public static Magazine* TakeEmpty(Depot* depot)
    {
        if (Atomic.Load(&depot->EmptyCount) == 0)
        {
            return null;
        }

        Enter(depot);
        Magazine* magazine = TakeEmptyLocked(depot);
        Exit(depot);
        return magazine;
    }

    public static void PutEmpty(Depot* depot, Magazine* magazine)
    {
        Enter(depot);
        PutEmptyLocked(depot, magazine);
        Exit(depot);
    }

    /// <summary>Starts a new interval; returns how many of each list nobody needed in the last one and still are there.</summary>
    public static void CloseInterval(Depot* depot, out long fullUnneeded, out long emptyUnneeded)
    {
        Enter(depot);
        fullUnneeded = depot->FullLeast;
        emptyUnneeded = depot->EmptyLeast;
        depot->FullLeast = depot->FullCount;
        depot->EmptyLeast = depot->EmptyCount;
        Exit(depot);
    }

    /// <summary>Whether an object is in a full magazine. For reports.</summary>
    public static bool Contains(Depot* depot, nuint round)
    {
        Enter(depot);
        bool found = false;
        for (Magazine* magazine = depot->_full; magazine != null && !found; magazine = magazine->Next)
        {
            found = Magazine.Contains(new SlotWord(magazine, magazine->Rounds), round);
        }

        Exit(depot);
        return found;
    }

    /// <summary>Recounts the lists.</summary>
    public static bool IsValid(Depot* depot)
    {
        Enter(depot);
        long full = 0;
        long rounds = 0;
        long empty = 0;
        for (Magazine* magazine = depot->_full; magazine != null && full <= depot->FullCount; magazine = magazine->Next)
        {
            full++;
            rounds += magazine->Rounds;
        }

        for (Magazine* magazine = depot->_empty; magazine != null && empty <= depot->EmptyCount; magazine = magazine->Next)
        {
            empty++;
        }

        bool valid = full == depot->FullCount && empty == depot->EmptyCount && rounds == depot->Rounds;
        Exit(depot);
        return valid;
    }

    private static bool TryPutFullLocked(Depot* depot, Magazine* magazine, int rounds)
    {
        Invariant.Holds(RankedLock.IsHeld(&depot->Lock) && rounds > 0 && rounds <= magazine->Capacity);
        if (depot->Rounds + rounds > depot->RoundsMax)
        {
            return false;
        }

        magazine->Rounds = (ushort)rounds;
        magazine->Next = depot->_full;
        depot->_full = magazine;
        depot->FullCount++;
        depot->Rounds += rounds;
        return true;
    }

    private static Magazine* TakeEmptyLocked(Depot* depot)
    {
        Invariant.Holds(RankedLock.IsHeld(&depot->Lock));
        Magazine* magazine = depot->_empty;
        if (magazine != null)
        {
            depot->_empty = magazine->Next;
            depot->EmptyCount--;
            depot->EmptyLeast = depot->EmptyCount < depot->EmptyLeast ? depot->EmptyCount : depot->EmptyLeast;
            magazine->Next = null;
        }

        return magazine;
    }

    private static void PutEmptyLocked(Depot* depot, Magazine* magazine)
    {
        Invariant.Holds(RankedLock.IsHeld(&depot->Lock));
        if (magazine != null)
        {
            magazine->Rounds = 0;
            magazine->Next = depot->_empty;
            depot->_empty = magazine;
            depot->EmptyCount++;
        }
    }

    private static void Enter(Depot* depot)
    {
        if (!RankedLock.TryEnter(&depot->Lock, LockRank.Depot))
        {
            RankedLock.Enter(&depot->Lock, LockRank.Depot);
            depot->Contended++;
        }
    }

    private static void Exit(Depot* depot) => RankedLock.Exit(&depot->Lock, LockRank.Depot);
}
