using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Caches;

/// <summary>What others than the owner do with a front: take its magazines away, count and look. See the theory in <c>ThreadFront.cs</c>.</summary>
internal unsafe partial struct ThreadFront
{
    /// <summary>Empties both magazines of a cache into the slabs, whoever owns the front.</summary>
    public static void Drain(ThreadFront* front, Cache* cache, int cpu)
    {
        if (HasNothing(front, cache))
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
        if (HasNothing(front, cache))
        {
            return 0;
        }

        RankedLock.Enter(&front->Lock, LockRank.ThreadFront);
        int rounds = LoadedLocked(front, cache).Rounds + new SlotWord(*PreviousOf(front, cache)).Rounds;
        RankedLock.Exit(&front->Lock, LockRank.ThreadFront);
        return rounds;
    }

    /// <summary>Rounds of the previous magazine, for the owner.</summary>
    public static int CountPrevious(ThreadFront* front, Cache* cache) => new SlotWord(*PreviousOf(front, cache)).Rounds;

    /// <summary>Whether an object is in a magazine. For reports: the owner may move it meanwhile.</summary>
    public static bool Contains(ThreadFront* front, Cache* cache, nuint round)
    {
        RankedLock.Enter(&front->Lock, LockRank.ThreadFront);
        bool found = Magazine.Contains(LoadedLocked(front, cache), round) || Magazine.Contains(new SlotWord(*PreviousOf(front, cache)), round);
        RankedLock.Exit(&front->Lock, LockRank.ThreadFront);
        return found;
    }

    /// <summary>Whether the words that stop pops and pushes are in place. Of a damaged magazine nothing is believed that would lead out of it.</summary>
    public static bool IsValid(ThreadFront* front, Cache* cache)
    {
        RankedLock.Enter(&front->Lock, LockRank.ThreadFront);
        nuint top = Atomic.Load(EntryOf(front, cache));
        SlotWord previous = new(*PreviousOf(front, cache));
        Magazine* loaded = top == Without(cache) ? null : MagazineAround(cache, top);
        bool valid = (top == Without(cache) || (loaded != null && IsBounded(cache, loaded, (int)((nuint*)top - Magazine.RoundsOf(loaded)))))
            && (!previous.HasMagazine || IsBounded(cache, previous.Magazine, previous.Rounds));
        RankedLock.Exit(&front->Lock, LockRank.ThreadFront);
        return valid;
    }

    /// <summary>A look without the lock: most fronts have nothing of most caches.</summary>
    private static bool HasNothing(ThreadFront* front, Cache* cache) =>
        Atomic.Load(EntryOf(front, cache)) == Without(cache) && Atomic.Load(PreviousOf(front, cache)) == SlotWord.None;

    /// <summary>The loaded magazine with as many rounds as it had a moment ago.</summary>
    private static SlotWord LoadedLocked(ThreadFront* front, Cache* cache) => WordOfTop(cache, Atomic.Load(EntryOf(front, cache)));

    private static SlotWord WordOfTop(Cache* cache, nuint top)
    {
        if (top == Without(cache))
        {
            return new SlotWord(SlotWord.None);
        }

        Magazine* magazine = MagazineAround(cache, top);
        Invariant.Check(magazine != null);
        return new SlotWord(magazine, (int)((nuint*)top - Magazine.RoundsOf(magazine)));
    }

    /// <summary>The magazine that an entry points into, by its slab: what it says of itself may be damaged. Null: none is there.</summary>
    private static Magazine* MagazineAround(Cache* cache, nuint top)
    {
        Zone* zone = cache->Registry->Zone;
        Page* page = Zone.PageOf(zone, (void*)top);
        if (page == null || page->CacheIndex == 0 || page->CacheIndex >= CacheRegistry.FirstOrdinary)
        {
            return null;
        }

        nuint slab = (nuint)Zone.AddressOf(zone, Slab.HeadOf(page));
        nuint stride = CacheRegistry.At(cache->Registry, page->CacheIndex)->Slabs.Layout.StrideBytes;
        return (Magazine*)(slab + (Slab.IndexOf(page, top) * stride));
    }

    /// <summary>Whether a magazine's capacity is one of its memory, and its bounds are in place.</summary>
    private static bool IsBounded(Cache* cache, Magazine* magazine, int rounds)
    {
        Page* page = Zone.PageOf(cache->Registry->Zone, magazine);
        int sizeClass = page->CacheIndex - 1;
        return (uint)sizeClass < MagazineSizing.SizeClasses
            && Magazine.HeaderBytes + (((nuint)magazine->Capacity + 1) * 8) <= MagazineSizing.BytesOf(sizeClass)
            && rounds >= 0
            && Magazine.IsBounded(new SlotWord(magazine, rounds));
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
