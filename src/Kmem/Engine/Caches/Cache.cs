using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Caches;

// Theory of the cache layer.
//
// A *cache* hands out objects of one size. In front of its slabs it has, for each CPU, and in heaps with fronts for each
// thread too, a *loaded* and a *previous* *magazine*, stacks of objects called rounds; behind them all a *depot* of full and
// empty magazines. Allocating pops the loaded magazine, freeing pushes onto it, and both go down the same ladder when it cannot:
//
//      rung          allocate                              free
//      0 front       pop what the thread has itself        push there            (heaps with fronts: ThreadFront.cs)
//      1 loaded      pop                                   push
//      2 previous    has rounds: swap the two              has room: swap the two
//      3 depot       take a full magazine                  put the full previous there, load an empty one
//                    (each CPU has a shelf in front of it, of its own)
//      4 slabs       fill a magazine from the slabs        flush the full previous to the slabs
//      5 pages       cut a new slab (inside TakeObjects)   give free slabs back (inside ReturnObjects)
//
// Since previous is full or empty after every swap, a CPU visits the depot at most once in a magazine's worth of
// operations (Bonwick and Adams 2001). Rung 1 takes no lock. Rungs 2 to 4 try the lock of the CPU's slot; who finds
// it held works on the slabs directly, one object: nobody waits on a ladder.
//
// Objects in magazines are constructed. A constructor runs when an object leaves the slabs, the destructor when it
// returns to them, never under a lock of the cache; a cache with either takes one object at a time from its slabs. With a destructor alone it
// is the caller who constructs: what nobody had yet is not destroyed.
//
// Progress: no rung relies on staying on one CPU. The magazine that a rung works on is private under the slot's lock;
// loading it is an exchange that may fail because the thread moved, and then it becomes previous instead.
//
// Equation: objects out of slabs == live + rounds loaded + rounds previous + rounds in the depot.

/// <summary>One cache: its identity, its depot, its slabs, and the ladders of allocate and free.</summary>
internal unsafe partial struct Cache
{
    public const int NameBytesMax = 63;

    public CacheRegistry* Registry;

    /// <summary>Address of the cache's word on CPU 0.</summary>
    public nuint Slot;

    /// <summary>(object, context) → success. Null for none.</summary>
    public delegate*<void*, void*, bool> Constructor;

    /// <summary>(object, context). Null for none.</summary>
    public delegate*<void*, void*, void> Destructor;

    public void* Context;

    /// <summary>Whether magazines may be filled with objects that nobody asked for.</summary>
    public readonly bool IsPlain => Constructor == null && Destructor == null;

    public ushort Index;
    public CacheFlags Flags;
    public CacheState State;

    /// <summary>Rounds of new magazines; 0: no magazines. Changed by <see cref="Reaper"/> and by visits, read by anyone.</summary>
    public int Capacity;

    /// <summary>Bounds of <see cref="Capacity"/>.</summary>
    public int CapacityLeast;

    public int CapacityMost;

    /// <summary>Distance of the cache's entry in a thread's front; 0: the cache has none. Never changes.</summary>
    public int FrontOffset;

    /// <summary>Rounds on a CPU's shelf at most. Never changes.</summary>
    public int ShelfRoundsMax;

    /// <summary>Visits of depot and slabs since the capacity changed. Unsynchronised: a lost count does no harm.</summary>
    public int Visits;

    /// <summary>Objects handed out and taken back one at a time by the slabs, past the magazines. Atomic.</summary>
    public long DirectAllocs;

    public long DirectFrees;

    /// <summary>Magazines that fronts exchanged below the CPU's. Atomic.</summary>
    public long FrontsFromDepot;

    public long FrontsFromSlabs;
    public long FrontsToDepot;
    public long FrontsToSlabs;

    public Depot Depot;
    public SlabLists Slabs;

    // ------------------------------------------------------------------ checks: theory in Cache.Checked.cs

    /// <summary>The twin that allocations come from, or 0 where the cache is not checked.</summary>
    public int CheckedBy;

    /// <summary>All twins of the cache that there ever were, and of a twin the next of them. Guarded by the reaper's lock.</summary>
    public int FirstTwin;

    public int NextTwin;

    /// <summary>Of a twin: the cache as its user knows it. Never changes.</summary>
    public int TwinOf;

    /// <summary>Of a twin: its letters, also those that need no layout. Never changes.</summary>
    public CacheChecks Checks;

    /// <summary>Of a twin. Never changes.</summary>
    public CheckedLayout Checked;

    /// <summary>Of a twin: the objects that were freed first and last of those that wait. Guarded by the depot's lock.</summary>
    public nuint QueueHead;

    public nuint QueueTail;

    /// <summary>How many wait. Written under the lock, read by anyone.</summary>
    public long QueueLength;

    /// <summary>Of a twin: objects that joined the queue, and that were handed out from it. Guarded by the depot's lock.</summary>
    public long QueueFrees;

    public long QueueAllocs;

    /// <summary>Of a twin: bytes that the registry does not know of yet. Guarded by the depot's lock.</summary>
    public long WaitingUntold;

    /// <summary>Of a twin: frees at the last maintenance, and passes since there was one more. Maintenance's own.</summary>
    public long SeenFrees;

    public int IdlePasses;

    /// <summary>Of a twin: objects that were set aside. Atomic.</summary>
    public long DamagedObjects;

    private const int SetAsideSlabsMax = 8;

    /// <summary>Of a twin: where slabs start that were set aside; 0 for none.</summary>
    public fixed ulong SetAsideSlabs[SetAsideSlabsMax];

    // ------------------------------------------------------------------ samples: theory in Sampling.cs

    /// <summary>The sampled twin; 0 where there is none yet, negative where there cannot be one.</summary>
    public int SampledBy;

    /// <summary>Watched places below the top of the magazines.</summary>
    public ColdPlaces Cold;

    // ------------------------------------------------------------------ guarded objects: theory in GuardPool.cs

    /// <summary>The guarded twin; 0 where there is none yet, negative where there cannot be one.</summary>
    public int GuardedBy;

    /// <summary>Of a guarded twin: its live objects. Atomic.</summary>
    public long LiveGuarded;

    /// <summary>What fails where the letter A is on.</summary>
    public FaultPlan Plan;

    /// <summary>UTF-8, ends with 0.</summary>
    public fixed byte Name[NameBytesMax + 1];

    // ------------------------------------------------------------------ allocate

    /// <summary>An object, constructed; null when memory is out or the constructor refused.</summary>
    /// <remarks>Cost: rung 1 is one call of a stub; no lock, no atomic, no counter. Rung 0 asks the face for the thread's front, where inlined callers know it.</remarks>
    public static void* Allocate(Cache* cache) => Allocate(cache, cache->Slabs.Layout.ObjectSizeBytes);

    /// <summary>The same; how many bytes of the object are asked for matters where it is checked.</summary>
    public static void* Allocate(Cache* cache, nuint requestedBytes)
    {
        void* round = cache->FrontOffset != 0 ? PopFromFront(cache) : Pop(cache);
        return round != null ? round : AllocateSlow(cache, requestedBytes);
    }

    public static void* AllocateSlow(Cache* cache) => AllocateSlow(cache, cache->Slabs.Layout.ObjectSizeBytes);

    /// <summary>Rungs 2 to 5; in a heap with fronts also 0 and 1, of which callers tried at most the first.</summary>
    public static void* AllocateSlow(Cache* cache, nuint requestedBytes)
    {
        // Once: it may be switched off meanwhile.
        int checkedBy = Atomic.Load(&cache->CheckedBy);
        if (checkedBy != 0)
        {
            return AllocateChecked(cache, CacheRegistry.At(cache->Registry, checkedBy), requestedBytes);
        }

        if (GuardPool.IsOpen(cache->Registry) && GuardPool.TryPassGate(cache, requestedBytes, out void* guarded))
        {
            return guarded;
        }

        if (Sampling.TryTakePlace(cache) && Sampling.TryAllocate(cache, requestedBytes, out void* sampled))
        {
            return sampled;
        }

        if (ThreadFronts.AreUsed(cache->Registry))
        {
            void* own = AllocateFromFrontSlow(cache);
            if (own != null)
            {
                return own;
            }
        }

        CpuSlot* slot = TryEnterSlot(cache, out int cpu);
        if (slot == null)
        {
            return AllocateDirect(cache, cpu);
        }

        nuint round = AllocateFromPreviousSlow(cache, slot, cpu);
        if (round == 0)
        {
            round = AllocateFromDepotSlow(cache, slot, cpu);
        }

        if (round == 0 && cache->IsPlain)
        {
            round = AllocateFromSlabsSlow(cache, slot, cpu);
        }

        RankedLock.Exit(&slot->Lock, LockRank.CpuSlot);
        return round != 0 ? (void*)round : AllocateDirect(cache, cpu);
    }

    // ------------------------------------------------------------------ free, the mirror

    /// <summary>Takes an object back. The caller has checked that it is one of this cache. False: it is free already.</summary>
    /// <remarks>Cost: as for <see cref="Allocate(Cache*)"/>.</remarks>
    public static bool Free(Cache* cache, void* round) =>
        (cache->FrontOffset != 0 ? PushToFront(cache, round) : Push(cache, round)) || FreeSlow(cache, round);

    /// <summary>Rungs 2 to 5; in a heap with fronts also 0 and 1, of which callers tried at most the first.</summary>
    public static bool FreeSlow(Cache* cache, void* round)
    {
        if (cache->IsTwin)
        {
            return FreeChecked(cache, round);
        }

        // What is left of the time without checks goes back to its slabs, where no unchecked allocation finds it.
        if (cache->CheckedBy != 0)
        {
            return FreeDirect(cache, CacheRegistry.CpuHint(cache->Registry), round);
        }

        Sampling.NoteSlowFree(cache);
        if (ThreadFronts.AreUsed(cache->Registry) && FreeToFrontSlow(cache, round, out bool isTwice))
        {
            return !isTwice;
        }

        CpuSlot* slot = TryEnterSlot(cache, out int cpu);
        if (slot == null)
        {
            return FreeDirect(cache, cpu, round);
        }

        SlotWord loaded = new(Atomic.Load(WordOf(cache, cpu)));
        SlotWord previous = new(slot->Previous);
        if (IsOnTop(loaded, round) || IsOnTop(previous, round))
        {
            RankedLock.Exit(&slot->Lock, LockRank.CpuSlot);
            return false;
        }

        Magazine* surplus = null;
        bool freed = FreeToPreviousSlow(cache, slot, cpu, round)
            || FreeToDepotSlow(cache, slot, cpu, round, &surplus);
        RankedLock.Exit(&slot->Lock, LockRank.CpuSlot);

        // Rung 4: the depot has enough: the full magazine goes to the slabs, outside the lock, since destructors run.
        if (surplus != null)
        {
            Flush(cache, surplus, surplus->Rounds, cpu);
            Depot.PutEmpty(&cache->Depot, surplus);
        }

        return freed || FreeDirect(cache, cpu, round);
    }
}
