using Kmem.Engine.Os;
using Kmem.Engine.Primitives;

namespace Kmem.Engine.Caches;

/// <summary>All fronts of a heap: an array that grows by one for each thread that lives at the same time as all others.</summary>
internal unsafe partial struct ThreadFronts
{
    /// <summary>Larger objects are not hoarded by threads: a CPU's magazines serve them.</summary>
    public const uint StrideBytesMax = 8 * 1024;

    /// <summary>Threads beyond it have none: 96 MiB of addresses.</summary>
    public const uint CountMax = 4096;


    private const int IdlePassesToDrain = 5;

    /// <summary>Null for a heap without fronts.</summary>
    public FrontWindow* Windows;

    /// <summary>Null for a heap without fronts.</summary>
    public byte* Array;

    /// <summary>Fronts that the array has room for.</summary>
    private uint _capacity;

    /// <summary>Fronts that were ever used. Atomic.</summary>
    private int _count;

    /// <summary>1 after a thread found no front to take; then no other looks for one before the next maintenance: a look costs a line of every front.</summary>
    private int _exhausted;

    /// <summary>What entries without a magazine point between: nothing to pop, no room to push.</summary>
    private fixed ulong _empty[2];

    public static bool Initialize(ThreadFronts* fronts, OsTable* os, uint countMax)
    {
        Invariant.Holds(countMax is >= 1 and <= CountMax);
        fronts->_capacity = countMax;
        fronts->_empty[1] = ulong.MaxValue;
        fronts->Array = (byte*)os->Reserve(os->Context, BytesOf(fronts), Address.PageSizeBytes);
        if (fronts->Array == null)
        {
            return false;
        }

        fronts->Windows = (FrontWindow*)(fronts->Array + ArrayBytes(fronts));
        return os->Commit(os->Context, fronts->Windows, WindowsBytes);
    }

    public static void Destroy(ThreadFronts* fronts, OsTable* os)
    {
        if (fronts->Array != null)
        {
            os->Release(os->Context, fronts->Array, BytesOf(fronts));
        }
    }

    public static bool AreUsed(CacheRegistry* registry) => registry->Fronts.Array != null;

    public static nuint EmptyTop(CacheRegistry* registry) => (nuint)(&registry->Fronts._empty[1]);

    /// <summary>Distance of a cache's entry from the start of a front; 0 where it has none.</summary>
    public static int EntryOffset(CacheRegistry* registry, int cacheIndex) =>
        AreUsed(registry) && cacheIndex >= CacheRegistry.FirstOrdinary && cacheIndex < ThreadFront.EntryCount
            ? ThreadFront.EntriesOffset + (cacheIndex * 8)
            : 0;

    /// <summary>The current thread's front, found for it if it is new; null where there is no more room for fronts.</summary>
    public static ThreadFront* Enter(CacheRegistry* registry)
    {
        ThreadFront* front = Face.CurrentFront();
        if (front == null && Face.MayHaveFront)
        {
            front = Take(registry);
            if (front != null && !Face.TrySetCurrentFront(front))
            {
                Atomic.Store(&front->State, ThreadFrontState.Abandoned);
                front = null;
            }
        }

        return front;
    }

    /// <summary>From now on the current thread's front is found from this address of its stack, where the caller looked for it.</summary>
    public static void LetFind(CacheRegistry* registry, void* stackAddress)
    {
        ThreadFront* front = Enter(registry);
        if (front != null)
        {
            OpenWindow(registry, front, stackAddress);
        }
    }

    /// <summary>Makes the entries of a cache that takes a new index, before anybody can know it. The registry's lock is held.</summary>
    public static void AddEntriesLocked(CacheRegistry* registry, int cacheIndex)
    {
        Invariant.Holds(RankedLock.IsHeld(&registry->Lock));
        for (int index = 0; cacheIndex < ThreadFront.EntryCount && index < registry->Fronts._count; index++)
        {
            *EntryAt(At(registry, index), cacheIndex) = EmptyTop(registry);
        }
    }

    public static void DrainCache(Cache* cache, int cpu)
    {
        if (cache->FrontOffset != 0)
        {
            CacheRegistry* registry = cache->Registry;
            for (int index = 0; index < Count(registry); index++)
            {
                ThreadFront.Drain(At(registry, index), cache, cpu);
            }
        }
    }

    public static long CountRounds(Cache* cache)
    {
        long rounds = 0;
        for (int index = 0; cache->FrontOffset != 0 && index < Count(cache->Registry); index++)
        {
            rounds += ThreadFront.CountRounds(At(cache->Registry, index), cache);
        }

        return rounds;
    }

    public static bool Contain(Cache* cache, nuint round)
    {
        bool found = false;
        for (int index = 0; cache->FrontOffset != 0 && index < Count(cache->Registry) && !found; index++)
        {
            found = ThreadFront.Contains(At(cache->Registry, index), cache, round);
        }

        return found;
    }

    public static bool AreValid(Cache* cache)
    {
        bool valid = true;
        for (int index = 0; cache->FrontOffset != 0 && index < Count(cache->Registry) && valid; index++)
        {
            valid = ThreadFront.IsValid(At(cache->Registry, index), cache);
        }

        return valid;
    }

    /// <summary>Empties the fronts that nobody has, or nobody used for five passes.</summary>
    public static void Maintain(CacheRegistry* registry)
    {
        Atomic.Store(&registry->Fronts._exhausted, 0);
        for (int index = 0; index < Count(registry); index++)
        {
            ThreadFront* front = At(registry, index);
            nuint sum = 0;
            for (int entry = CacheRegistry.FirstOrdinary; entry < EntriesInUse(registry); entry++)
            {
                sum = (sum * 31) + Atomic.Load(EntryAt(front, entry));
            }

            front->IdlePasses = sum == front->SeenEntries ? front->IdlePasses + 1 : 0;
            front->SeenEntries = sum;
            if (front->IdlePasses >= IdlePassesToDrain || Atomic.Load(&front->State) == ThreadFrontState.Abandoned)
            {
                DrainAll(registry, front);
            }
        }
    }

    /// <summary>Fronts, and for each a page of windows, which is what its thread touches of them.</summary>
    public static nuint CommittedBytes(CacheRegistry* registry) => (nuint)Count(registry) * (ThreadFront.SizeBytes + Address.PageSizeBytes);

    public static nuint ReservedBytes(CacheRegistry* registry) => AreUsed(registry) ? BytesOf(&registry->Fronts) : 0;

    public static int Count(CacheRegistry* registry) => Atomic.Load(&registry->Fronts._count);

    public static ThreadFront* At(CacheRegistry* registry, int index) => (ThreadFront*)(registry->Fronts.Array + ((nuint)index * ThreadFront.SizeBytes));

    private static nuint ArrayBytes(ThreadFronts* fronts) => fronts->_capacity * (nuint)ThreadFront.SizeBytes;

    private static nuint BytesOf(ThreadFronts* fronts) => ArrayBytes(fronts) + WindowsBytes;

    /// <summary>Entries of caches that ever were.</summary>
    private static int EntriesInUse(CacheRegistry* registry)
    {
        int count = Atomic.Load(&registry->Count);
        return count < ThreadFront.EntryCount ? count : ThreadFront.EntryCount;
    }

    private static nuint* EntryAt(ThreadFront* front, int index) => (nuint*)((byte*)front + ThreadFront.EntriesOffset) + index;

    private static ulong* PreviousAt(ThreadFront* front, int index) => (ulong*)((byte*)front + ThreadFront.PreviousOffset) + index;

    private static nuint* RememberedAt(ThreadFront* front, uint index) => (nuint*)((byte*)front + ThreadFront.RememberedOffset) + index;

    private static void DrainAll(CacheRegistry* registry, ThreadFront* front)
    {
        for (int index = CacheRegistry.FirstOrdinary; index < EntriesInUse(registry); index++)
        {
            if (Atomic.Load(EntryAt(front, index)) != EmptyTop(registry) || Atomic.Load(PreviousAt(front, index)) != SlotWord.None)
            {
                ThreadFront.Drain(front, CacheRegistry.At(registry, index), 0);
            }
        }
    }

    /// <summary>A front for a thread that has none, or null.</summary>
    public static ThreadFront* Take(CacheRegistry* registry)
    {
        if (Atomic.Load(&registry->Fronts._exhausted) != 0)
        {
            return null;
        }

        ThreadFront* front = Adopt(registry);
        front = front != null ? front : Create(registry);
        if (front == null)
        {
            Atomic.Store(&registry->Fronts._exhausted, 1);
        }

        return front;
    }

    /// <summary>The front of a thread that has ended, with the rounds that it left.</summary>
    public static ThreadFront* Adopt(CacheRegistry* registry)
    {
        for (int index = 0; index < Count(registry); index++)
        {
            ThreadFront* front = At(registry, index);
            if (Atomic.Load(&front->State) == ThreadFrontState.Abandoned
                && Atomic.CompareExchange(&front->State, ThreadFrontState.Abandoned, ThreadFrontState.Owned))
            {
                return front;
            }
        }

        return null;
    }

    /// <summary>A new front at the end of the array; null when that is full or memory is out.</summary>
    public static ThreadFront* Create(CacheRegistry* registry)
    {
        // Readers look at all fronts below the count, so it grows only when the front can be looked at.
        RankedLock.Enter(&registry->Lock, LockRank.Registry);
        ThreadFront* front = null;
        int count = registry->Fronts._count;
        if (count < registry->Fronts._capacity && registry->Os->Commit(registry->Os->Context, At(registry, count), ThreadFront.SizeBytes))
        {
            front = At(registry, count);
            for (int entry = 0; entry < EntriesInUse(registry); entry++)
            {
                *EntryAt(front, entry) = EmptyTop(registry);
            }

            for (uint index = 0; index < ThreadFront.RememberedCount; index++)
            {
                *RememberedAt(front, index) = (nuint)(&front->Nowhere);
            }

            front->State = ThreadFrontState.Owned;
            Atomic.Store(&registry->Fronts._count, count + 1);
        }

        RankedLock.Exit(&registry->Lock, LockRank.Registry);
        return front;
    }
}
