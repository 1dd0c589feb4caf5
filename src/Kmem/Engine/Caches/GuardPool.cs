using Kmem.Engine.Os;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Caches;

// Theory of guarded objects.
//
// Now and then an object gets a page of its own between two pages that nobody can access: reading or writing past its end, before its start or after its free faults at
// once, in the code that does it. Nothing is paid for it but now and then.
//
//      | guard | object ........ | guard | ........ object | guard | …      from the left or to the right of its page, by chance
//
// The pool is one run of the heap's pages, made at the first need. A guarded object belongs to a *twin* of its cache (Cache.Checked.cs) that has no
// slabs: the descriptor of its page says that it is a slab of that twin with one object, which starts where the object does. So its free comes to a slow
// rung, and a wrong one is found, like any other. To the right an object ends as near to the end of its page as its alignment allows; what lies between them, and
// to the right of an object on the left, is red, and looked at when the object is freed.
//
//      slot      Unused → Live → Leaving → Freed → Unused → …
//
// A freed page stays inaccessible, and is used again after all others: the longest that the pool allows. When all slots are live, nothing is guarded.
//
// Which ones: the *gate* is opened at intervals, and the first allocation that comes to a slow rung then passes it. Where it is still open the next time, programs live
// on their magazines: those of one cache, another each time, are emptied, so that its next allocation comes to a slow rung. With the letter G each allocation of a cache is guarded.
//
// Source of the idea: Electric Fence (Perens 1987); sampled: GWP-ASan and the kernel's mm/kfence.

/// <summary>The pages of guarded objects of one heap.</summary>
internal unsafe partial struct GuardPool
{
    public const int SlotsDefault = 128;
    public const int SlotsMax = 4096;

    private const int StageNone = 0;
    private const int StageMaking = 1;
    private const int StageReady = 2;

    private const int GateShut = 0;
    private const int GateOpen = 1;

    private const int BytesOfPair = 2 * (int)Address.PageSizeBytes;

    /// <summary>How many there will be; 0: <see cref="SlotsDefault"/>. Not changed once there is a pool.</summary>
    public int SlotsWanted;

    private int _stage;
    private int _gate;

    /// <summary>The first guard page; 0 while there is no pool.</summary>
    public nuint Start;

    public int Slots;

    /// <summary>One for each slot, committed when it is used first.</summary>
    private GuardSlot* _table;

    /// <summary>Rank <see cref="LockRank.Guards"/>. Guards the queue of freed slots, the oldest first, and how many were ever used.</summary>
    private RankedLock _lock;

    private int _first;
    private int _last;
    private int _used;

    private ulong _random;

    /// <summary>The cache whose magazines are emptied next. Guarded by the reaper's lock.</summary>
    private int _nextCache;

    /// <summary>Objects that were guarded; those that are live; allocations that found all slots live. Atomic.</summary>
    public long Allocated;

    public long Live;
    public long Skipped;

    // ------------------------------------------------------------------ the pool

    public readonly nuint PoolBytes => Start == 0 ? 0 : ((nuint)Slots * BytesOfPair) + Address.PageSizeBytes;

    /// <summary>Bytes committed beside the heap's pages.</summary>
    public readonly nuint TableBytes => (nuint)_used * GuardSlot.SizeBytes;

    public readonly nuint TableReservedBytes => Start == 0 ? 0 : (nuint)Slots * GuardSlot.SizeBytes;

    public static bool IsOpen(CacheRegistry* registry) => Atomic.Load(&registry->Guards._gate) != GateShut;

    /// <summary>Whether an address lies in the pool, between objects too.</summary>
    public static bool Contains(CacheRegistry* registry, nuint address)
    {
        nuint start = Atomic.Load(&registry->Guards.Start);
        return start != 0 && address - start < registry->Guards.PoolBytes;
    }

    /// <summary>The slot whose page an address lies in; in a guard page the one whose object is nearer. Null where there is none.</summary>
    public static GuardSlot* SlotNear(CacheRegistry* registry, nuint address)
    {
        GuardPool* pool = &registry->Guards;
        nuint offset = address - pool->Start;
        nuint page = offset >> Address.PageShift;
        bool isPastEnd = (page & 1) == 0 && (offset & (Address.PageSizeBytes - 1)) < Address.PageSizeBytes / 2;
        int index = (int)(page / 2) - (isPastEnd ? 1 : 0);
        return index >= 0 && index < Atomic.Load(&pool->_used) ? pool->_table + index : null;
    }

    /// <summary>The slot of an object of a guarded twin. The caller has found that the page is one's.</summary>
    public static GuardSlot* SlotOf(CacheRegistry* registry, nuint address)
    {
        GuardPool* pool = &registry->Guards;
        Invariant.Holds(Contains(registry, address));
        return pool->_table + ((address - pool->Start) / BytesOfPair);
    }

    /// <summary>Gives back what is not part of the heap's pages.</summary>
    public static void Destroy(CacheRegistry* registry)
    {
        GuardPool* pool = &registry->Guards;
        if (pool->Start != 0)
        {
            Face.UnwatchFaults(pool->Start);
            registry->Os->Release(registry->Os->Context, pool->_table, pool->TableReservedBytes);
        }
    }

    public static void EnterLock(CacheRegistry* registry) => RankedLock.Enter(&registry->Guards._lock, LockRank.Guards);

    public static void ExitLock(CacheRegistry* registry) => RankedLock.Exit(&registry->Guards._lock, LockRank.Guards);

    /// <summary>Opens the gate. Called at intervals; <paramref name="mayTakeAway"/>: whether magazines can be taken away from threads and CPUs.</summary>
    public static void Tick(CacheRegistry* registry, bool mayTakeAway)
    {
        bool isUnused = Atomic.Exchange(&registry->Guards._gate, GateOpen) == GateOpen;
        if (isUnused && mayTakeAway && RankedLock.TryEnter(&registry->ReaperLock, LockRank.Reaper))
        {
            EmptyMagazinesOfNext(registry);
            RankedLock.Exit(&registry->ReaperLock, LockRank.Reaper);
        }
    }

    private static void EmptyMagazinesOfNext(CacheRegistry* registry)
    {
        GuardPool* pool = &registry->Guards;
        int count = Atomic.Load(&registry->Count);
        for (int tries = count; tries > 0; tries--)
        {
            pool->_nextCache = pool->_nextCache + 1 < count ? pool->_nextCache + 1 : CacheRegistry.FirstOrdinary;
            Cache* cache = CacheRegistry.At(registry, pool->_nextCache);
            if (CheckSwitch.MayHaveChecks(cache) && cache->GuardedBy >= 0 && Cache.CountInMagazines(cache) + ThreadFronts.CountRounds(cache) != 0)
            {
                Cache.DrainLoaded(cache);
                return;
            }
        }
    }

    /// <summary>False: there is no memory for a pool, or another thread is making it.</summary>
    private static bool IsReadyOrMade(CacheRegistry* registry)
    {
        GuardPool* pool = &registry->Guards;
        int stage = Atomic.Load(&pool->_stage);
        if (stage != StageNone || !Atomic.CompareExchange(&pool->_stage, StageNone, StageMaking))
        {
            return stage == StageReady;
        }

        bool isMade = TryMake(registry);
        Atomic.Store(&pool->_stage, isMade ? StageReady : StageNone);
        return isMade;
    }

    private static bool TryMake(CacheRegistry* registry)
    {
        GuardPool* pool = &registry->Guards;
        OsTable* os = registry->Os;
        int slots = pool->SlotsWanted == 0 ? SlotsDefault : pool->SlotsWanted;
        nuint bytes = ((nuint)slots * BytesOfPair) + Address.PageSizeBytes;
        GuardSlot* table = (GuardSlot*)os->Reserve(os->Context, (nuint)slots * GuardSlot.SizeBytes, Address.PageSizeBytes);
        Page* head = table == null ? null : Zone.AllocateRun(registry->Zone, Address.PagesFor(bytes), Address.PageSizeBytes, Mobility.Unmovable);
        void* start = head == null ? null : Zone.AddressOf(registry->Zone, head);
        if (start != null && !os->Protect(os->Context, start, bytes, false))
        {
            Zone.FreeRun(registry->Zone, head);
            start = null;
        }

        if (start == null)
        {
            if (table != null)
            {
                os->Release(os->Context, table, (nuint)slots * GuardSlot.SizeBytes);
            }

            return false;
        }

        // No free of a run may mean it.
        head->Kind = PageKind.Guards;
        pool->_table = table;
        pool->Slots = slots;
        pool->_random = (nuint)start;
        Atomic.Store(&pool->Start, (nuint)start);
        Face.WatchFaults(new FaultPool { Start = (nuint)start, Bytes = bytes, Table = (nuint)table, Slots = (nuint)slots });
        return true;
    }

    // ------------------------------------------------------------------ the queue

    /// <summary>A slot that nobody had, else the one that was freed first; null where all are live.</summary>
    private static GuardSlot* TakeSlot(CacheRegistry* registry)
    {
        GuardPool* pool = &registry->Guards;
        GuardSlot* slot = null;
        EnterLock(registry);
        if (pool->_used < pool->Slots)
        {
            slot = pool->_table + pool->_used;
            if (registry->Os->Commit(registry->Os->Context, slot, GuardSlot.SizeBytes))
            {
                Atomic.Store(&pool->_used, pool->_used + 1);
            }
            else
            {
                slot = null;
            }
        }
        else if (pool->_first != 0)
        {
            slot = pool->_table + pool->_first - 1;
            pool->_first = slot->Next;
            pool->_last = pool->_first == 0 ? 0 : pool->_last;
        }

        ExitLock(registry);
        return slot;
    }

    private static void PutSlot(CacheRegistry* registry, GuardSlot* slot)
    {
        GuardPool* pool = &registry->Guards;
        int number = (int)(slot - pool->_table) + 1;
        EnterLock(registry);
        slot->Next = 0;
        if (pool->_last == 0)
        {
            pool->_first = number;
        }
        else
        {
            pool->_table[pool->_last - 1].Next = number;
        }

        pool->_last = number;
        ExitLock(registry);
    }

    private static nuint PageOf(CacheRegistry* registry, GuardSlot* slot) =>
        registry->Guards.Start + ((nuint)(slot - registry->Guards._table) * BytesOfPair) + Address.PageSizeBytes;
}
