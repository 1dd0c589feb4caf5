using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Caches;

/// <summary>How the owner changes magazines when the loaded one is empty or full. See the theory in <c>ThreadFront.cs</c>.</summary>
internal unsafe partial struct ThreadFront
{
    /// <summary>
    /// Rung 0 after the inlined pop found nothing: the thread's previous magazine, the CPU's loaded one, one from its shelf or the depot, or an
    /// empty one filled from the slabs is loaded. 0: none has rounds, or somebody is emptying this front.
    /// </summary>
    public static nuint AllocateSlow(ThreadFront* front, Cache* cache)
    {
        if (!RankedLock.TryEnter(&front->Lock, LockRank.ThreadFront))
        {
            return 0;
        }

        nuint* entry = EntryOf(front, cache);
        nuint* top = (nuint*)Atomic.Load(entry);
        if (top[-1] == 0)
        {
            Magazine* empty = (nuint)top == Without(cache) ? null : Magazine.OfRounds(top);
            SlotWord word = TakeRounds(front, cache, empty);
            if (word.HasMagazine)
            {
                top = Magazine.RoundsOf(word.Magazine) + word.Rounds;
            }
        }

        nuint round = top[-1];
        if (round != 0)
        {
            Atomic.Store(entry, (nuint)(top - 1));
        }

        RankedLock.Exit(&front->Lock, LockRank.ThreadFront);
        return round;
    }

    /// <summary>
    /// Rung 0 after the inlined push found no room: a magazine with room is loaded, and the full one is previous or goes to the CPU, its shelf or the
    /// depot. False: the round is on top already (<paramref name="isTwice"/>), memory is out, or somebody is emptying this front.
    /// </summary>
    public static bool FreeSlow(ThreadFront* front, Cache* cache, void* round, out bool isTwice)
    {
        isTwice = false;
        if (!RankedLock.TryEnter(&front->Lock, LockRank.ThreadFront))
        {
            return false;
        }

        Magazine* surplus = null;
        nuint* entry = EntryOf(front, cache);
        nuint* top = (nuint*)Atomic.Load(entry);
        isTwice = top[-1] == (nuint)round;
        if (Magazine.IsEnd(*top) && !isTwice)
        {
            SlotWord full = (nuint)top == Without(cache) ? new SlotWord(SlotWord.None) : new SlotWord(Magazine.OfEnd(top), Magazine.CapacityOfEnd(*top));
            SlotWord word = TakeRoom(front, cache, full, &surplus);
            if (word.HasMagazine)
            {
                top = Magazine.RoundsOf(word.Magazine) + word.Rounds;
            }
        }

        bool fits = !Magazine.IsEnd(*top) && !isTwice;
        if (fits)
        {
            *top = (nuint)round;
            Atomic.Store(entry, (nuint)(top + 1));
        }

        RankedLock.Exit(&front->Lock, LockRank.ThreadFront);

        // The depot has enough: outside the lock, since destructors run.
        if (surplus != null)
        {
            Cache.Flush(cache, surplus, surplus->Rounds, 0);
            Depot.PutEmpty(&cache->Depot, surplus);
        }

        return fits;
    }

    /// <summary>See <see cref="Cache.TryHideRounds"/>; for the owner.</summary>
    public static bool TryHideRounds(ThreadFront* front, Cache* cache)
    {
        if (!RankedLock.TryEnter(&front->Lock, LockRank.ThreadFront))
        {
            return false;
        }

        Magazine* surplus = null;
        nuint* entry = EntryOf(front, cache);
        SlotWord loaded = LoadedLocked(front, cache);
        SlotWord previous = new(*PreviousOf(front, cache));
        bool hides = loaded.Rounds == 0;
        if (!hides && (previous.Rounds == 0 || !previous.HasRoom))
        {
            SlotWord empty = TakeRoom(front, cache, loaded, &surplus);
            hides = empty.HasMagazine && empty.Rounds == 0;
            if (empty.HasMagazine)
            {
                Atomic.Store(entry, (nuint)(Magazine.RoundsOf(empty.Magazine) + empty.Rounds));
            }
        }

        RankedLock.Exit(&front->Lock, LockRank.ThreadFront);
        if (surplus != null)
        {
            Cache.Flush(cache, surplus, surplus->Rounds, 0);
            Depot.PutEmpty(&cache->Depot, surplus);
        }

        return hides;
    }

    /// <summary>A magazine with rounds in place of an empty one, if there was one. None: then that is still the loaded one.</summary>
    private static SlotWord TakeRounds(ThreadFront* front, Cache* cache, Magazine* empty)
    {
        ulong* previous = PreviousOf(front, cache);
        SlotWord kept = new(*previous);
        SlotWord instead = empty == null ? new SlotWord(SlotWord.None) : new SlotWord(empty, 0);
        if (kept.Rounds != 0)
        {
            *previous = instead.Value;
            return kept;
        }

        SlotWord word = ExchangeWithCpu(cache, wantsRounds: true, instead);
        if (word.HasMagazine)
        {
            return word;
        }

        CpuSlot* slot = Cache.TryEnterSlot(cache, out int cpu);
        Cache.Visit(cache, slot);
        bool keepsEmpty = !kept.HasMagazine;
        Magazine* magazine = Cache.TakeFullForEmpty(cache, slot, keepsEmpty ? null : empty, out bool isFromDepot);
        if (magazine != null)
        {
            *previous = keepsEmpty ? instead.Value : kept.Value;
            word = new SlotWord(magazine, magazine->Rounds);
            if (isFromDepot)
            {
                _ = Atomic.Add(&cache->FrontsFromDepot, 1);
            }
            else
            {
                slot->AllocFromPrevious++;
            }
        }
        else if (cache->IsPlain)
        {
            word = FillFromSlabs(cache, slot, cpu, previous, empty);
        }

        Cache.ExitSlot(slot);
        return word;
    }

    /// <summary>An empty magazine filled with objects from the slabs: the one in hand if it has the present capacity.</summary>
    private static SlotWord FillFromSlabs(Cache* cache, CpuSlot* slot, int cpu, ulong* previous, Magazine* empty)
    {
        Magazine* magazine = empty != null && empty->Capacity == cache->Capacity ? empty : Cache.TakeEmpty(cache, slot, cpu);
        int rounds = magazine == null ? 0 : SlabLists.TakeObjects(&cache->Slabs, Magazine.RoundsOf(magazine), magazine->Capacity, cpu);
        if (magazine != empty && magazine != null)
        {
            Cache.KeepEmpty(cache, slot, previous, rounds != 0 ? empty : magazine);
        }

        if (rounds == 0)
        {
            return new SlotWord(SlotWord.None);
        }

        _ = Atomic.Add(&cache->FrontsFromSlabs, 1);
        Sampling.Charge(cache, rounds);
        return new SlotWord(magazine, rounds);
    }

    /// <summary>A magazine with room in place of a full one, if there was one; what nobody has room for is <paramref name="surplus"/>. None: memory is out.</summary>
    private static SlotWord TakeRoom(ThreadFront* front, Cache* cache, SlotWord full, Magazine** surplus)
    {
        ulong* previous = PreviousOf(front, cache);
        SlotWord kept = new(*previous);
        if (kept.HasRoom)
        {
            *previous = full.Value;
            return kept;
        }

        SlotWord word = ExchangeWithCpu(cache, wantsRounds: false, full);
        if (word.HasMagazine)
        {
            return word;
        }

        CpuSlot* slot = Cache.TryEnterSlot(cache, out int cpu);
        Magazine* empty;
        if (kept.HasMagazine)
        {
            Cache.Visit(cache, slot);
            if (Cache.TryPutFullForEmpty(cache, slot, kept.Magazine, kept.Rounds, out empty, out bool isToDepot))
            {
                if (isToDepot)
                {
                    _ = Atomic.Add(&cache->FrontsToDepot, 1);
                }
                else
                {
                    slot->FreeToPrevious++;
                }
            }
            else
            {
                _ = Atomic.Add(&cache->FrontsToSlabs, 1);
                kept.Magazine->Rounds = (ushort)kept.Rounds;
                *surplus = kept.Magazine;
            }

            *previous = SlotWord.None;
            empty = Cache.OfPresentCapacity(cache, empty, cpu);
        }
        else
        {
            empty = Cache.TakeEmpty(cache, slot, cpu);
        }

        Cache.ExitSlot(slot);
        if (empty != null)
        {
            *previous = full.Value;
        }

        return empty != null ? new SlotWord(empty, 0) : new SlotWord(SlotWord.None);
    }

    /// <summary>
    /// The CPU's loaded magazine in exchange for another, if it has rounds, or if it is empty, as wanted. None: it is not as wanted, there is none to
    /// give for it, or the thread moved.
    /// </summary>
    /// <remarks>
    /// Never for nothing. This takes no lock of the slot, so that a drain may have taken the word after the sequence compared it and before it stores:
    /// the drain knows by what it finds there then that the magazine has gone. No magazine would be what it left itself, and both would have it.
    /// </remarks>
    private static SlotWord ExchangeWithCpu(Cache* cache, bool wantsRounds, SlotWord instead)
    {
        int cpu = RestartableSequence.CurrentCpu();
        if (instead.HasMagazine && (uint)cpu < (uint)cache->Registry->CpuCount)
        {
            SlotWord word = new(Atomic.Load(Cache.WordOf(cache, cpu)));
            if (word.HasMagazine && word.Rounds != 0 == wantsRounds && RestartableSequence.Exchange(cache->Slot, cpu, word.Value, instead.Value))
            {
                return word;
            }
        }

        return new SlotWord(SlotWord.None);
    }

    public static nuint* EntryOf(ThreadFront* front, Cache* cache) => (nuint*)((byte*)front + cache->FrontOffset);

    private static ulong* PreviousOf(ThreadFront* front, Cache* cache) => (ulong*)((byte*)front + PreviousOffset - EntriesOffset + cache->FrontOffset);

    /// <summary>What an entry without a magazine points to.</summary>
    private static nuint Without(Cache* cache) => ThreadFronts.EmptyTop(cache->Registry);
}
