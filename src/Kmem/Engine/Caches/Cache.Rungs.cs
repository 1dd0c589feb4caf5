using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Caches;

/// <summary>The rungs one by one: those that the face inlines, then those below the loaded magazine, allocation's first, then their mirrors. See the theory in <c>Cache.cs</c>.</summary>
internal unsafe partial struct Cache
{
    // ------------------------------------------------------------------ rungs 0 and 1

    private static void* PopFromFront(Cache* cache)
    {
        ThreadFront* front = Face.CurrentFront();
        return front != null && ThreadFront.TryPop(front, ThreadFront.EntryOf(front, cache), out void* round) ? round : null;
    }

    private static bool PushToFront(Cache* cache, void* round)
    {
        ThreadFront* front = Face.CurrentFront();
        return front != null && ThreadFront.TryPush(front, ThreadFront.EntryOf(front, cache), round);
    }

    private static void* Pop(Cache* cache) => cache->Registry->Restartable
        ? RestartableSequence.Pop(cache->Slot)
        : TryLockFrontEnd.Pop(WordOf(cache, CacheRegistry.CpuHint(cache->Registry)));

    private static bool Push(Cache* cache, void* round) => cache->Registry->Restartable
        ? RestartableSequence.Push(cache->Slot, round)
        : TryLockFrontEnd.Push(WordOf(cache, CacheRegistry.CpuHint(cache->Registry)), round);

    public static ulong* WordOf(Cache* cache, int cpu) => (ulong*)(cache->Slot + ((nuint)cpu << RestartableSequence.CpuAreaShift));

    public static CpuSlot* CpuSlotOf(Cache* cache, int cpu) =>
        (CpuSlot*)(cache->Registry->Areas + ((nuint)cpu << RestartableSequence.CpuAreaShift) + CacheRegistry.CpuSlotsOffset) + cache->Index;

    // ------------------------------------------------------------------ allocate

    /// <summary>Rungs 0 and 1 of a heap with fronts: the thread's own rounds, else the CPU's loaded magazine.</summary>
    private static void* AllocateFromFrontSlow(Cache* cache)
    {
        ThreadFront* front = cache->FrontOffset != 0 ? ThreadFronts.Enter(cache->Registry) : null;
        nuint round = front != null ? ThreadFront.AllocateSlow(front, cache) : 0;
        return round != 0 ? (void*)round : Pop(cache);
    }

    /// <summary>Rung 2: the previous magazine has rounds; it and the empty loaded one change places.</summary>
    private static nuint AllocateFromPreviousSlow(Cache* cache, CpuSlot* slot, int cpu)
    {
        SlotWord previous = new(slot->Previous);
        if (previous.Rounds == 0)
        {
            return 0;
        }

        nuint round = previous.Top;
        slot->AllocFromPrevious++;
        LoadForAllocate(cache, slot, cpu, previous.Popped, new SlotWord(SlotWord.None));
        return round;
    }

    /// <summary>Rung 3: both are empty; the CPU's shelf or the depot has a magazine with rounds.</summary>
    private static nuint AllocateFromDepotSlow(Cache* cache, CpuSlot* slot, int cpu)
    {
        Magazine* full = TakeFullForEmpty(cache, slot, null, out _);
        if (full == null)
        {
            return 0;
        }

        Visit(cache, slot);
        SlotWord word = new(full, full->Rounds);
        nuint round = word.Top;
        slot->AllocFromDepot++;
        LoadForAllocate(cache, slot, cpu, word.Popped, new SlotWord(slot->Previous));
        return round;
    }

    /// <summary>Rung 4: nothing cached anywhere; an empty magazine is filled from the slabs.</summary>
    private static nuint AllocateFromSlabsSlow(Cache* cache, CpuSlot* slot, int cpu)
    {
        Visit(cache, slot);
        SlotWord previous = new(slot->Previous);
        Magazine* magazine;
        if (previous.HasMagazine && previous.Magazine->Capacity == cache->Capacity)
        {
            magazine = previous.Magazine;
            previous = new SlotWord(SlotWord.None);
            slot->Previous = SlotWord.None;
        }
        else
        {
            magazine = TakeEmpty(cache, slot, cpu);
            if (magazine == null)
            {
                return 0;
            }
        }

        int rounds = SlabLists.TakeObjects(&cache->Slabs, Magazine.RoundsOf(magazine), magazine->Capacity, cpu);
        if (rounds == 0)
        {
            KeepEmpty(cache, slot, &slot->Previous, magazine);
            return 0;
        }

        SlotWord word = new(magazine, rounds);
        nuint round = word.Top;
        slot->AllocFromSlab++;
        Sampling.Charge(cache, rounds);
        LoadForAllocate(cache, slot, cpu, word.Popped, previous);
        return round;
    }

    /// <summary>One object from the slabs, past the magazines: for caches without any, and where the slot's lock is held.</summary>
    private static void* AllocateDirect(Cache* cache, int cpu)
    {
        nuint round;
        if (SlabLists.TakeObjects(&cache->Slabs, &round, 1, cpu) == 0)
        {
            return null;
        }

        if (cache->Constructor != null && !cache->Constructor((void*)round, cache->Context))
        {
            SlabFault fault = default;
            SlabLists.ReturnObjects(&cache->Slabs, &round, 1, cpu, &fault);
            return null;
        }

        _ = Atomic.Add(&cache->DirectAllocs, 1);
        Sampling.Charge(cache, 1);
        return (void*)round;
    }

    // ------------------------------------------------------------------ free, the mirror

    /// <summary>Rungs 0 and 1 of a heap with fronts; also done where the round is on top of them already.</summary>
    private static bool FreeToFrontSlow(Cache* cache, void* round, out bool isTwice)
    {
        isTwice = false;
        ThreadFront* front = cache->FrontOffset != 0 ? ThreadFronts.Enter(cache->Registry) : null;
        return (front != null && ThreadFront.FreeSlow(front, cache, round, out isTwice)) || isTwice || Push(cache, round);
    }

    /// <summary>Rung 2: the previous magazine has room; it and the full loaded one change places.</summary>
    private static bool FreeToPreviousSlow(Cache* cache, CpuSlot* slot, int cpu, void* round)
    {
        SlotWord previous = new(slot->Previous);
        if (!previous.HasRoom)
        {
            return false;
        }

        Magazine.RoundsOf(previous.Magazine)[previous.Rounds] = (nuint)round;
        slot->FreeToPrevious++;
        LoadForFree(cache, slot, cpu, previous.Pushed);
        return true;
    }

    /// <summary>
    /// Rung 3: both are full; the previous one goes to the shelf or the depot, or to <paramref name="surplus"/> if they have enough, and an empty one is
    /// loaded.
    /// </summary>
    private static bool FreeToDepotSlow(Cache* cache, CpuSlot* slot, int cpu, void* round, Magazine** surplus)
    {
        Visit(cache, slot);
        Magazine* empty = TakeEmpty(cache, slot, cpu);
        if (empty == null)
        {
            return false;
        }

        SlotWord previous = new(slot->Previous);
        slot->Previous = SlotWord.None;
        if (previous.HasMagazine)
        {
            if (Shelf.TryPutFull(&slot->Shelf, previous.Magazine, previous.Rounds, cache->ShelfRoundsMax)
                || Depot.TryPutFull(&cache->Depot, previous.Magazine, previous.Rounds))
            {
                slot->FreeToDepot++;
            }
            else
            {
                previous.Magazine->Rounds = (ushort)previous.Rounds;
                *surplus = previous.Magazine;
                slot->FreeToSlab++;
            }
        }
        else
        {
            slot->FreeToDepot++;
        }

        Magazine.RoundsOf(empty)[0] = (nuint)round;
        LoadForFree(cache, slot, cpu, new SlotWord(empty, 1));
        return true;
    }

    /// <summary>One object to the slabs, past the magazines.</summary>
    private static bool FreeDirect(Cache* cache, int cpu, void* round)
    {
        if (cache->Destructor != null)
        {
            // What lies in its slab already was destroyed when it went there.
            if (SlabLists.IsInSlab(&cache->Slabs, round))
            {
                return false;
            }

            cache->Destructor(round, cache->Context);
        }

        nuint each = (nuint)round;
        SlabFault fault = default;
        SlabLists.ReturnObjects(&cache->Slabs, &each, 1, cpu, &fault);
        if (fault.Count != 0)
        {
            return false;
        }

        _ = Atomic.Add(&cache->DirectFrees, 1);
        return true;
    }
}
