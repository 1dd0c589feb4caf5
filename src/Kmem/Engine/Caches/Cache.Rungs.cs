using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Caches;

/// <summary>The rungs below the loaded magazine, allocation's first, then their mirrors, then what they share. See the theory in <c>Cache.cs</c>.</summary>
internal unsafe partial struct Cache
{
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

    /// <summary>Rung 3: both are empty; the depot has a magazine with rounds.</summary>
    private static nuint AllocateFromDepotSlow(Cache* cache, CpuSlot* slot, int cpu)
    {
        Magazine* full = Depot.TakeFull(&cache->Depot);
        if (full == null)
        {
            return 0;
        }

        Visit(cache);
        SlotWord word = new(full, full->Rounds);
        nuint round = word.Top;
        slot->AllocFromDepot++;
        LoadForAllocate(cache, slot, cpu, word.Popped, new SlotWord(slot->Previous));
        return round;
    }

    /// <summary>Rung 4: nothing cached anywhere; an empty magazine is filled from the slabs.</summary>
    private static nuint AllocateFromSlabsSlow(Cache* cache, CpuSlot* slot, int cpu)
    {
        Visit(cache);
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
            magazine = TakeEmpty(cache, cpu);
            if (magazine == null)
            {
                return 0;
            }
        }

        int rounds = SlabLists.TakeObjects(&cache->Slabs, Magazine.RoundsOf(magazine), magazine->Capacity, cpu);
        if (rounds == 0)
        {
            KeepEmpty(cache, slot, magazine);
            return 0;
        }

        SlotWord word = new(magazine, rounds);
        nuint round = word.Top;
        slot->AllocFromSlab++;
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
        return (void*)round;
    }

    // ------------------------------------------------------------------ free, the mirror

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
    /// Rung 3: both are full; the previous one goes to the depot, or to <paramref name="surplus"/> if that has enough, and an empty one is
    /// loaded.
    /// </summary>
    private static bool FreeToDepotSlow(Cache* cache, CpuSlot* slot, int cpu, void* round, Magazine** surplus)
    {
        Visit(cache);
        Magazine* empty = TakeEmpty(cache, cpu);
        if (empty == null)
        {
            return false;
        }

        SlotWord previous = new(slot->Previous);
        slot->Previous = SlotWord.None;
        if (previous.HasMagazine)
        {
            if (Depot.TryPutFull(&cache->Depot, previous.Magazine, previous.Rounds))
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

    // ------------------------------------------------------------------ what the rungs share

    /// <summary>The current CPU's slot with its lock held; null for the direct route: no magazines, no slots for the CPU, or somebody is there.</summary>
    private static CpuSlot* TryEnterSlot(Cache* cache, out int cpu)
    {
        cpu = CacheRegistry.CurrentCpu(cache->Registry);
        if (cache->Capacity == 0 || (uint)cpu >= (uint)cache->Registry->CpuCount)
        {
            cpu = 0;
            return null;
        }

        CpuSlot* slot = CpuSlotOf(cache, cpu);
        return RankedLock.TryEnter(&slot->Lock, LockRank.CpuSlot) ? slot : null;
    }

    private static bool IsOnTop(SlotWord word, void* round) => word.Rounds != 0 && word.Top == (nuint)round;

    /// <summary>
    /// Loads a magazine with rounds in place of an empty one, which becomes previous unless that still has <paramref name="keep"/>; if the thread moved
    /// or somebody loaded rounds meanwhile, the magazine becomes previous itself.
    /// </summary>
    private static void LoadForAllocate(Cache* cache, CpuSlot* slot, int cpu, SlotWord word, SlotWord keep)
    {
        Invariant.Holds(RankedLock.IsHeld(&slot->Lock) && keep.Rounds == 0);
        SlotWord loaded = new(Atomic.Load(WordOf(cache, cpu)));
        Magazine* displaced;
        if (loaded.Value != SlotWord.Busy && loaded.Rounds == 0 && TryLoad(cache, cpu, loaded, word))
        {
            slot->Previous = keep.Value;
            displaced = loaded.Magazine;
        }
        else
        {
            slot->Previous = word.Value;
            displaced = keep.Magazine;
        }

        if (displaced != null)
        {
            KeepEmpty(cache, slot, displaced);
        }
    }

    /// <summary>Loads a magazine with room in place of a full one, which becomes previous; else it becomes previous itself, which is absent or was taken from there.</summary>
    private static void LoadForFree(Cache* cache, CpuSlot* slot, int cpu, SlotWord word)
    {
        Invariant.Holds(RankedLock.IsHeld(&slot->Lock));
        SlotWord loaded = new(Atomic.Load(WordOf(cache, cpu)));
        bool wanted = loaded.Value != SlotWord.Busy && !loaded.HasRoom;
        slot->Previous = wanted && TryLoad(cache, cpu, loaded, word) ? loaded.Value : word.Value;
    }

    private static bool TryLoad(Cache* cache, int cpu, SlotWord expected, SlotWord word) => cache->Registry->Restartable
        ? RestartableSequence.Exchange(cache->Slot, cpu, expected.Value, word.Value)
        : Atomic.CompareExchange(WordOf(cache, cpu), expected.Value, word.Value);

    /// <summary>An empty magazine of the present capacity from the depot, or a new one; null when memory is out.</summary>
    private static Magazine* TakeEmpty(Cache* cache, int cpu)
    {
        Magazine* magazine = Depot.TakeEmpty(&cache->Depot);
        if (magazine != null && magazine->Capacity != cache->Capacity)
        {
            CacheRegistry.FreeMagazine(cache->Registry, magazine, cpu);
            magazine = null;
        }

        return magazine != null ? magazine : CacheRegistry.AllocateMagazine(cache->Registry, cache->Capacity, cpu);
    }

    /// <summary>An empty magazine that nobody needs now: previous if there is none, else to the depot.</summary>
    private static void KeepEmpty(Cache* cache, CpuSlot* slot, Magazine* magazine)
    {
        if (slot->Previous == SlotWord.None)
        {
            slot->Previous = new SlotWord(magazine, 0).Value;
        }
        else
        {
            Depot.PutEmpty(&cache->Depot, magazine);
        }
    }

    /// <summary>Destroys rounds and puts them back into their slabs. No lock of the cache is held.</summary>
    public static void Flush(Cache* cache, Magazine* magazine, int rounds, int cpu)
    {
        nuint* objects = Magazine.RoundsOf(magazine);
        if (cache->Destructor != null)
        {
            for (int index = 0; index < rounds; index++)
            {
                cache->Destructor((void*)objects[index], cache->Context);
            }
        }

        SlabFault fault = default;
        SlabLists.ReturnObjects(&cache->Slabs, objects, rounds, cpu, &fault);
        if (fault.Count != 0)
        {
            CacheRegistry.NoteDoubleFree(cache->Registry, cache, fault);
        }
    }

    /// <summary>Counts a visit below the previous magazine; many of them ask for larger magazines.</summary>
    private static void Visit(Cache* cache)
    {
        if (++cache->Visits >= MagazineSizing.VisitsToGrow)
        {
            cache->Visits = 0;
            int larger = MagazineSizing.Larger(cache->Capacity);
            cache->Capacity = larger < cache->CapacityMost ? larger : cache->CapacityMost;
        }
    }
}
