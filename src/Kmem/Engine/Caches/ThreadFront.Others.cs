using Kmem.Engine.Primitives;

namespace Kmem.Engine.Caches;

/// <summary>What others than the owner do with a front: take its magazines away, count and look. See the theory in <c>ThreadFront.cs</c>.</summary>
internal unsafe partial struct ThreadFront
{
    /// <summary>Empties both magazines of a cache into the slabs, whoever owns the front.</summary>
    public static void Drain(ThreadFront* front, Cache* cache, int cpu)
    {
        if (Atomic.Load(EntryOf(front, cache)) == Without(cache) && Atomic.Load(PreviousOf(front, cache)) == SlotWord.None)
        {
            return;
        }

        RankedLock.Enter(&front->Lock, LockRank.ThreadFront);
        SlotWord loaded = TakeAwayLocked(front, cache);
        SlotWord previous = new(*PreviousOf(front, cache));
        *PreviousOf(front, cache) = SlotWord.None;
        RankedLock.Exit(&front->Lock, LockRank.ThreadFront);
        Cache.Dispose(cache, loaded, cpu);
        Cache.Dispose(cache, previous, cpu);
    }

    /// <summary>Rounds of a cache. Exact while the owner does nothing.</summary>
    public static int CountRounds(ThreadFront* front, Cache* cache)
    {
        RankedLock.Enter(&front->Lock, LockRank.ThreadFront);
        int rounds = LoadedLocked(front, cache).Rounds + new SlotWord(*PreviousOf(front, cache)).Rounds;
        RankedLock.Exit(&front->Lock, LockRank.ThreadFront);
        return rounds;
    }

    /// <summary>Whether an object is in a magazine. For reports: the owner may move it meanwhile.</summary>
    public static bool Contains(ThreadFront* front, Cache* cache, nuint round)
    {
        RankedLock.Enter(&front->Lock, LockRank.ThreadFront);
        bool found = Magazine.Contains(LoadedLocked(front, cache), round) || Magazine.Contains(new SlotWord(*PreviousOf(front, cache)), round);
        RankedLock.Exit(&front->Lock, LockRank.ThreadFront);
        return found;
    }

    /// <summary>Whether the words that stop pops and pushes are in place.</summary>
    public static bool IsValid(ThreadFront* front, Cache* cache)
    {
        RankedLock.Enter(&front->Lock, LockRank.ThreadFront);
        SlotWord loaded = LoadedLocked(front, cache);
        SlotWord previous = new(*PreviousOf(front, cache));
        bool valid = (!loaded.HasMagazine || Magazine.IsBounded(loaded)) && (!previous.HasMagazine || Magazine.IsBounded(previous));
        RankedLock.Exit(&front->Lock, LockRank.ThreadFront);
        return valid;
    }

    /// <summary>The loaded magazine with as many rounds as it had a moment ago.</summary>
    private static SlotWord LoadedLocked(ThreadFront* front, Cache* cache) => WordOfTop(cache, Atomic.Load(EntryOf(front, cache)));

    /// <summary>The end of a magazine tells where it starts.</summary>
    private static SlotWord WordOfTop(Cache* cache, nuint top)
    {
        if (top == Without(cache))
        {
            return new SlotWord(SlotWord.None);
        }

        nuint* end = (nuint*)top;
        while (!Magazine.IsEnd(*end))
        {
            end++;
        }

        Magazine* magazine = Magazine.OfEnd(end);
        return new SlotWord(magazine, (int)((nuint*)top - Magazine.RoundsOf(magazine)));
    }

    /// <summary>Takes the loaded magazine out of its entry, or none. See the theory.</summary>
    private static SlotWord TakeAwayLocked(ThreadFront* front, Cache* cache)
    {
        Invariant.Holds(RankedLock.IsHeld(&front->Lock));
        nuint* entry = EntryOf(front, cache);
        nuint taken = Without(cache);
        while (Atomic.Load(entry) != Without(cache))
        {
            taken = (nuint)Atomic.Exchange((ulong*)entry, Without(cache));
            Face.BarrierForRestartableSequences();
            while (Atomic.Load(&front->Busy) != 0)
            {
                Face.SpinPause();
            }
        }

        return WordOfTop(cache, taken);
    }
}
