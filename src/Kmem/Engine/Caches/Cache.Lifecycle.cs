using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Caches;

/// <summary>What a cache is made from.</summary>
internal unsafe struct CacheDefinition
{
    public SlabLayout Layout;
    public Mobility Mobility;
    public CacheFlags Flags;

    /// <summary>Whether the cache has magazines.</summary>
    public bool HasMagazines;

    /// <summary>Rounds of a magazine, fixed; 0 chooses by size and adapts.</summary>
    public int MagazineCapacity;

    public delegate*<void*, void*, bool> Constructor;
    public delegate*<void*, void*, void> Destructor;
    public void* Context;

    /// <summary>UTF-8, not necessarily ended; may be null.</summary>
    public byte* Name;
    public int NameBytes;

    /// <summary>Of a twin; else null and 0.</summary>
    public CheckedLayout* Checked;

    public CacheChecks Checks;
    public int TwinOf;
}

/// <summary>Making, emptying, ending and checking a cache.</summary>
internal unsafe partial struct Cache
{
    public static void Initialize(Cache* cache, CacheRegistry* registry, int index, CacheDefinition* definition)
    {
        Invariant.Holds((nuint)sizeof(Cache) <= CacheRegistry.CacheBytes);
        *cache = default;
        cache->Registry = registry;
        cache->Index = (ushort)index;
        cache->Slot = (nuint)registry->Areas + ((nuint)index * 8);
        cache->Flags = definition->Flags;
        cache->Constructor = definition->Constructor;
        cache->Destructor = definition->Destructor;
        cache->Context = definition->Context;
        uint stride = definition->Layout.StrideBytes;
        if (definition->HasMagazines)
        {
            bool isFixed = definition->MagazineCapacity != 0;
            cache->Capacity = isFixed ? MagazineSizing.Nearest(definition->MagazineCapacity) : MagazineSizing.StartFor(stride);
            cache->CapacityLeast = isFixed ? cache->Capacity : MagazineSizing.Nearest(cache->Capacity / 4);
            cache->CapacityMost = isFixed ? cache->Capacity : MagazineSizing.LargestFor(stride);
        }

        bool hasFront = definition->HasMagazines && definition->MagazineCapacity == 0 && stride <= ThreadFronts.StrideBytesMax;
        cache->FrontOffset = hasFront ? ThreadFronts.EntryOffset(registry, index) : 0;
        cache->ShelfRoundsMax = Shelf.RoundsMaxFor(stride);
        Depot.Initialize(&cache->Depot, stride, registry->CpuCount);
        SlabLists.Initialize(&cache->Slabs, registry->Zone, definition->Layout, new SlabOwner(index, cache->FrontOffset != 0), definition->Mobility);
        cache->Slabs.Access = (definition->Flags & CacheFlags.Inaccessible) != 0 ? SlabAccess.None : SlabAccess.Ordinary;
        if (definition->Checked != null)
        {
            cache->Checked = *definition->Checked;
            cache->Checks = definition->Checks;
            cache->TwinOf = definition->TwinOf;
            cache->Slabs.Checked = &cache->Checked;
            cache->Slabs.DamageFound = &TellOfReleased;
            cache->Slabs.DamageContext = cache;
        }

        int nameBytes = definition->NameBytes < NameBytesMax ? definition->NameBytes : NameBytesMax;
        for (int at = 0; at < nameBytes; at++)
        {
            cache->Name[at] = definition->Name[at];
        }

        cache->State = CacheState.Live;
    }

    /// <summary>
    /// Rounds in the loaded and previous magazines of all CPUs. Those in fronts are counted by <see cref="ThreadFronts.CountRounds"/>, which takes
    /// the fronts' locks and so cannot be called with the lock of the slabs in hand.
    /// </summary>
    public static long CountInMagazines(Cache* cache)
    {
        long rounds = 0;
        for (int cpu = 0; cpu < cache->Registry->CpuCount; cpu++)
        {
            rounds += new SlotWord(Atomic.Load(WordOf(cache, cpu))).Rounds;
            rounds += new SlotWord(Atomic.Load(&CpuSlotOf(cache, cpu)->Previous)).Rounds;
        }

        return rounds;
    }

    /// <summary>Rounds in the magazines on the shelves of all CPUs and in the depot.</summary>
    public static long CountInDepot(Cache* cache)
    {
        long rounds = Atomic.Load(&cache->Depot.Rounds) + Atomic.Load(&cache->QueueLength);
        for (int cpu = 0; cpu < cache->Registry->CpuCount; cpu++)
        {
            rounds += Atomic.Load(&CpuSlotOf(cache, cpu)->Shelf.Rounds);
        }

        return rounds;
    }

    /// <summary>Empties the magazines of one CPU into the slabs.</summary>
    public static void DrainCpu(Cache* cache, int cpu)
    {
        CpuSlot* slot = CpuSlotOf(cache, cpu);
        RankedLock.Enter(&slot->Lock, LockRank.CpuSlot);
        SlotWord loaded = new(cache->Registry->Restartable ? TakeAwayRestartable(cache, cpu) : TakeAwayLocked(cache, cpu));
        SlotWord previous = new(slot->Previous);
        slot->Previous = SlotWord.None;
        Magazine* shelved = Shelf.TakeAll(&slot->Shelf);
        RankedLock.Exit(&slot->Lock, LockRank.CpuSlot);
        Dispose(cache, loaded, cpu);
        Dispose(cache, previous, cpu);
        DisposeChain(cache, shelved, cpu);
    }

    /// <summary>Empties what nobody took off a CPU's shelf since the last call into the slabs.</summary>
    public static void ReapShelf(Cache* cache, int cpu)
    {
        CpuSlot* slot = CpuSlotOf(cache, cpu);
        RankedLock.Enter(&slot->Lock, LockRank.CpuSlot);
        Magazine* unneeded = Shelf.TakeUnneeded(&slot->Shelf);
        RankedLock.Exit(&slot->Lock, LockRank.CpuSlot);
        DisposeChain(cache, unneeded, cpu);
    }

    /// <summary>Empties all magazines, those of threads, of CPUs and of the depot, into the slabs.</summary>
    public static void Drain(Cache* cache)
    {
        if (cache->IsTwin)
        {
            EmptyQueue(cache);
            return;
        }

        DrainLoaded(cache);
        ReapDepot(cache, long.MaxValue, long.MaxValue);
        Sampling.Forget(cache);
    }

    /// <summary>Empties the magazines of threads and CPUs: the next allocation of each comes to a slow rung.</summary>
    public static void DrainLoaded(Cache* cache)
    {
        ThreadFronts.DrainCache(cache, 0);
        for (int cpu = 0; cpu < cache->Registry->CpuCount; cpu++)
        {
            DrainCpu(cache, cpu);
        }
    }

    /// <summary>Empties up to so many full magazines of the depot into the slabs and frees as many empty ones.</summary>
    public static void ReapDepot(Cache* cache, long full, long empty)
    {
        Magazine* magazine;
        for (long reaped = 0; reaped < full && (magazine = Depot.TakeFull(&cache->Depot)) != null; reaped++)
        {
            Dispose(cache, new SlotWord(magazine, magazine->Rounds), 0);
        }

        for (long reaped = 0; reaped < empty && (magazine = Depot.TakeEmpty(&cache->Depot)) != null; reaped++)
        {
            CacheRegistry.FreeMagazine(cache->Registry, magazine, 0);
        }
    }

    /// <summary>Empties all magazines and gives all free slabs back to the buddy allocator; returns how many slabs.</summary>
    public static int Shrink(Cache* cache)
    {
        Drain(cache);
        int slabs = SlabLists.ReleaseFreeSlabs(&cache->Slabs, 0, 0);
        for (int twin = Atomic.Load(&cache->FirstTwin); twin != 0; twin = CacheRegistry.At(cache->Registry, twin)->NextTwin)
        {
            slabs += Shrink(CacheRegistry.At(cache->Registry, twin));
        }

        return slabs;
    }

    /// <summary>Ends the cache. False when objects are out: then it lives on.</summary>
    public static bool TryDestroy(Cache* cache)
    {
        CacheRegistry* registry = cache->Registry;
        RankedLock.Enter(&registry->ReaperLock, LockRank.Reaper);
        _ = Shrink(cache);
        bool empty = cache->Slabs.Slabs == 0;
        for (int twin = cache->FirstTwin; twin != 0; twin = CacheRegistry.At(registry, twin)->NextTwin)
        {
            empty &= IsEmptyButForDamage(CacheRegistry.At(registry, twin));
        }

        if (empty)
        {
            int twin = cache->FirstTwin;
            while (twin != 0)
            {
                Cache* each = CacheRegistry.At(registry, twin);
                twin = each->NextTwin;
                CacheFigures.Retire(each);
                GuardPool.Forget(each);
                each->Slabs.DamageFound = null;
                SlabLists.ReturnAllOut(&each->Slabs);
                SlabLists.Destroy(&each->Slabs, 0);
                CacheRegistry.Remove(registry, each);
            }

            CacheFigures.Retire(cache);
            SlabLists.Destroy(&cache->Slabs, 0);
            CacheRegistry.Remove(registry, cache);
        }

        RankedLock.Exit(&registry->ReaperLock, LockRank.Reaper);
        return empty;
    }

    /// <summary>Whether all structures of the cache hold together. Other threads may go on.</summary>
    public static SlabListsFault Validate(Cache* cache, out bool depotIsValid)
    {
        depotIsValid = Depot.IsValid(&cache->Depot) && ThreadFronts.AreValid(cache);
        for (int cpu = 0; cpu < cache->Registry->CpuCount; cpu++)
        {
            CpuSlot* slot = CpuSlotOf(cache, cpu);
            RankedLock.Enter(&slot->Lock, LockRank.CpuSlot);
            depotIsValid &= Shelf.IsValid(&slot->Shelf);
            RankedLock.Exit(&slot->Lock, LockRank.CpuSlot);
        }

        return SlabLists.Validate(&cache->Slabs);
    }

    /// <summary>See the theory of restartable sequences: exchange, restart every sequence, look again.</summary>
    private static ulong TakeAwayRestartable(Cache* cache, int cpu)
    {
        ulong* word = WordOf(cache, cpu);
        ulong taken = Atomic.Load(word);
        while (Atomic.Load(word) != SlotWord.None)
        {
            taken = Atomic.Exchange(word, SlotWord.None);
            Face.BarrierForRestartableSequences();
        }

        return taken;
    }

    private static ulong TakeAwayLocked(Cache* cache, int cpu)
    {
        ulong* word = WordOf(cache, cpu);
        ulong taken = Atomic.Exchange(word, SlotWord.Busy);
        while (taken == SlotWord.Busy)
        {
            Face.SpinPause();
            taken = Atomic.Exchange(word, SlotWord.Busy);
        }

        Atomic.Store(word, SlotWord.None);
        return taken;
    }

    /// <summary>The same for a chain of magazines that are in no CPU's hands.</summary>
    private static void DisposeChain(Cache* cache, Magazine* chain, int cpu)
    {
        while (chain != null)
        {
            Magazine* next = chain->Next;
            chain->Next = null;
            Dispose(cache, new SlotWord(chain, chain->Rounds), cpu);
            chain = next;
        }
    }

    /// <summary>Empties a magazine that nobody else knows into the slabs, and frees it.</summary>
    public static void Dispose(Cache* cache, SlotWord word, int cpu)
    {
        if (!word.HasMagazine)
        {
            return;
        }

        if (word.Rounds != 0)
        {
            Flush(cache, word.Magazine, word.Rounds, cpu);
        }

        CacheRegistry.FreeMagazine(cache->Registry, word.Magazine, cpu);
    }
}
