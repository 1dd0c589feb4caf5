using Kmem.Engine.Primitives;

namespace Kmem.Engine.Caches;

/// <summary>What sampling and fault sweeps add to checked objects.</summary>
internal unsafe partial struct Cache
{
    /// <summary>A sampled object waits for nothing: few are freed twice, and each that waits holds a slab.</summary>
    public static void ReturnSampled(Cache* twin, nuint address)
    {
        _ = Atomic.Add(&twin->DirectFrees, 1);
        ReturnChecked(twin, address);
    }

    /// <summary>
    /// Lets the next allocation of this thread or CPU come to a slow rung: its loaded rounds become the previous magazine, behind an empty one. False: the magazines
    /// are as they were, since somebody is there, memory is out, or nobody has room for the previous one.
    /// </summary>
    public static bool TryHideRounds(Cache* cache)
    {
        if (cache->FrontOffset != 0 && ThreadFronts.AreUsed(cache->Registry))
        {
            ThreadFront* front = ThreadFronts.Enter(cache->Registry);
            return front != null && ThreadFront.TryHideRounds(front, cache);
        }

        CpuSlot* slot = TryEnterSlot(cache, out int cpu);
        if (slot == null)
        {
            return false;
        }

        SlotWord loaded = new(Atomic.Load(WordOf(cache, cpu)));
        bool hides = loaded.Value != SlotWord.Busy && loaded.Rounds != 0;
        if (hides)
        {
            Magazine* empty = TakePreviousAway(cache, slot, cpu);
            hides = empty != null && TryLoad(cache, cpu, loaded, new SlotWord(empty, 0));
            if (hides)
            {
                slot->Previous = loaded.Value;
            }
            else
            {
                KeepEmpty(cache, slot, &slot->Previous, empty);
            }
        }

        RankedLock.Exit(&slot->Lock, LockRank.CpuSlot);
        return hides || loaded.Rounds == 0;
    }

    /// <summary>Rounds below the loaded magazine, as this thread or CPU sees them.</summary>
    public static long CountBelow(Cache* cache)
    {
        CpuSlot* slot = CpuSlotOf(cache, Sampling.CpuOf(cache->Registry));
        ThreadFront* front = cache->FrontOffset != 0 && ThreadFronts.AreUsed(cache->Registry) ? Face.CurrentFront() : null;
        int previous = front != null ? ThreadFront.CountPrevious(front, cache) : new SlotWord(Atomic.Load(&slot->Previous)).Rounds;
        return Atomic.Load(&cache->Depot.Rounds) + Atomic.Load(&slot->Shelf.Rounds) + previous;
    }

    /// <summary>An empty magazine, and there is no previous one any more; or null, and that is as it was.</summary>
    private static Magazine* TakePreviousAway(Cache* cache, CpuSlot* slot, int cpu)
    {
        SlotWord previous = new(slot->Previous);
        if (previous.Rounds == 0)
        {
            slot->Previous = SlotWord.None;
            return previous.HasMagazine ? previous.Magazine : TakeEmpty(cache, slot, cpu);
        }

        bool isAccepted = TryPutFullForEmpty(cache, slot, previous.Magazine, previous.Rounds, out Magazine* empty, out _);
        if (isAccepted)
        {
            slot->Previous = SlotWord.None;
            return OfPresentCapacity(cache, empty, cpu);
        }

        if (empty != null)
        {
            PutEmpty(cache, slot, empty);
        }

        return null;
    }

    /// <summary>Whether a sweep wants this allocation to fail. See <c>KmemFaultSweep</c>.</summary>
    public static bool FailsInSweep(CacheRegistry* registry) => Atomic.Load(&registry->Sweeps) != 0 && Face.FailsInSweep(registry);

    public static void NoteAllocatedInSweep(CacheRegistry* registry, nuint address, nuint requestedBytes)
    {
        if (Atomic.Load(&registry->Sweeps) != 0)
        {
            Face.NoteAllocatedInSweep(registry, (void*)address, requestedBytes);
        }
    }

    public static void NoteFreedInSweep(CacheRegistry* registry, nuint address)
    {
        if (Atomic.Load(&registry->Sweeps) != 0)
        {
            Face.NoteFreedInSweep((void*)address);
        }
    }
}
