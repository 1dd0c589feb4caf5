using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Caches;

/// <summary>What the rungs share: entering a CPU's slot, changing its magazines, and emptying one. See the theory in <c>Cache.cs</c>.</summary>
internal unsafe partial struct Cache
{
    /// <summary>The current CPU's slot with its lock held; null for the direct route: no magazines, no slots for the CPU, or somebody is there.</summary>
    public static CpuSlot* TryEnterSlot(Cache* cache, out int cpu)
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

    /// <summary>Leaves a slot that may not have been entered.</summary>
    public static void ExitSlot(CpuSlot* slot)
    {
        if (slot != null)
        {
            RankedLock.Exit(&slot->Lock, LockRank.CpuSlot);
        }
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

        KeepEmpty(cache, slot, &slot->Previous, displaced);
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

    /// <summary>An empty magazine of the present capacity from the CPU's shelf, if its slot is entered, or the depot, or a new one; null when memory is out.</summary>
    public static Magazine* TakeEmpty(Cache* cache, CpuSlot* slot, int cpu)
    {
        Magazine* magazine = slot == null ? null : Shelf.TakeEmpty(&slot->Shelf);
        return OfPresentCapacity(cache, magazine != null ? magazine : Depot.TakeEmpty(&cache->Depot), cpu);
    }

    /// <summary>A magazine with rounds from the CPU's shelf, if its slot is entered, or from the depot, for which an empty one, if not null, is left there.</summary>
    public static Magazine* TakeFullForEmpty(Cache* cache, CpuSlot* slot, Magazine* empty, out bool isFromDepot)
    {
        isFromDepot = false;
        Magazine* full = slot == null ? null : Shelf.TakeFull(&slot->Shelf);
        if (full == null)
        {
            isFromDepot = true;
            return Depot.TakeFullForEmpty(&cache->Depot, empty);
        }

        if (empty != null)
        {
            PutEmpty(cache, slot, empty);
        }

        return full;
    }

    /// <summary>
    /// Puts a magazine with rounds on the CPU's shelf, if its slot is entered, or into the depot. False: both hold enough. In either case an empty one is taken, if
    /// there is one.
    /// </summary>
    public static bool TryPutFullForEmpty(Cache* cache, CpuSlot* slot, Magazine* magazine, int rounds, out Magazine* empty, out bool isToDepot)
    {
        isToDepot = slot == null || !Shelf.TryPutFull(&slot->Shelf, magazine, rounds, cache->ShelfRoundsMax);
        if (isToDepot)
        {
            return Depot.TryPutFullForEmpty(&cache->Depot, magazine, rounds, out empty);
        }

        empty = Shelf.TakeEmpty(&slot->Shelf);
        empty = empty != null ? empty : Depot.TakeEmpty(&cache->Depot);
        return true;
    }

    /// <summary>Puts an empty magazine on the CPU's shelf, if its slot is entered and has room, or into the depot.</summary>
    public static void PutEmpty(Cache* cache, CpuSlot* slot, Magazine* empty)
    {
        if (slot == null || !Shelf.TryPutEmpty(&slot->Shelf, empty))
        {
            Depot.PutEmpty(&cache->Depot, empty);
        }
    }

    /// <summary>An empty magazine if it has the present capacity, else a new one in its place; null when memory is out.</summary>
    public static Magazine* OfPresentCapacity(Cache* cache, Magazine* magazine, int cpu)
    {
        if (magazine != null && magazine->Capacity != cache->Capacity)
        {
            CacheRegistry.FreeMagazine(cache->Registry, magazine, cpu);
            magazine = null;
        }

        return magazine != null ? magazine : CacheRegistry.AllocateMagazine(cache->Registry, cache->Capacity, cpu);
    }

    /// <summary>
    /// An empty magazine, or null, that nobody needs now: previous of a CPU or a thread if there is none, else to the CPU's shelf, if its slot is entered, or
    /// the depot.
    /// </summary>
    public static void KeepEmpty(Cache* cache, CpuSlot* slot, ulong* previous, Magazine* magazine)
    {
        if (magazine == null)
        {
            return;
        }

        if (*previous == SlotWord.None)
        {
            *previous = new SlotWord(magazine, 0).Value;
        }
        else
        {
            PutEmpty(cache, slot, magazine);
        }
    }

    /// <summary>Destroys rounds and puts them back into their slabs. No lock of the cache is held.</summary>
    public static void Flush(Cache* cache, Magazine* magazine, int rounds, int cpu)
    {
        Sampling.NoteFlushed(cache, rounds);
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

    /// <summary>
    /// Counts a visit below the previous magazine; many of them ask for larger magazines. Counted at the CPU's slot, if that is entered: what all CPUs
    /// count together would be the only line that they share.
    /// </summary>
    public static void Visit(Cache* cache, CpuSlot* slot)
    {
        int* visits = slot != null ? &slot->ShelfVisits : &cache->Visits;
        if (++*visits >= MagazineSizing.VisitsToGrow)
        {
            *visits = 0;
            int larger = MagazineSizing.Larger(cache->Capacity);
            larger = larger < cache->CapacityMost ? larger : cache->CapacityMost;
            if (larger != cache->Capacity)
            {
                cache->Capacity = larger;
            }
        }
    }
}
