using Kmem.Engine.Os;
using Kmem.Engine.Primitives;

namespace Kmem.Engine.Caches;

// How a thread finds its front.
//
// Thread-local memory costs a .NET caller a call, but the address of a local variable is known to the code that has it,
// and a page of a stack is one thread's alone. So there are *windows*, found by the low bits of the number of a stack
// page: the number of the page that it was made for, and the front of the thread whose stack has that page. A caller whose
// page it is has found its front; any other asks the face which one it has, and makes the window its own: that of the page from which it
// looked, since the frames of what it calls may lie on others. Windows are written
// one at a time, the page last, and the page is read last: so a front that is read beside a thread's own page is
// that thread's. A front remembers which windows lead to it, and when its thread ends, emitted code
// closes them all, before the stack can be another thread's.

/// <summary>Leads from a page of a stack to its thread's front.</summary>
internal unsafe struct FrontWindow
{
    public ThreadFront* Front;

    /// <summary>Number of the page; 0: closed. Only the thread whose stack has the page ever writes its number here.</summary>
    public nuint Page;
}

/// <summary>All fronts of a heap: an array that grows by one for each thread that lives at the same time as all others.</summary>
internal unsafe partial struct ThreadFronts
{
    /// <summary>Threads beyond it have none: 32 MiB of addresses.</summary>
    public const uint CountMax = 4096;

    private const nuint ArrayBytes = CountMax * ThreadFront.SizeBytes;

    /// <summary>1 MiB of them, of which a line or two are touched for each stack.</summary>
    private const nuint WindowCount = 1 << 16;

    private const nuint WindowsBytes = WindowCount * 16;

    private const int IdlePassesToDrain = 5;

    /// <summary>Null for a heap without fronts.</summary>
    public FrontWindow* Windows;

    /// <summary>Null for a heap without fronts.</summary>
    public byte* Array;

    /// <summary>Fronts that were ever used. Atomic.</summary>
    private int _count;

    /// <summary>1 after a thread found no front to take; then no other looks for one before the next maintenance: a look costs a line of every front.</summary>
    private int _exhausted;

    /// <summary>What entries without a magazine point between: nothing to pop, no room to push.</summary>
    private fixed ulong _empty[2];

    public static bool Initialize(ThreadFronts* fronts, OsTable* os)
    {
        fronts->_empty[1] = ulong.MaxValue;
        fronts->Array = (byte*)os->Reserve(os->Context, ReservedBytesMax, Address.PageSizeBytes);
        if (fronts->Array == null)
        {
            return false;
        }

        fronts->Windows = (FrontWindow*)(fronts->Array + ArrayBytes);
        return os->Commit(os->Context, fronts->Windows, WindowsBytes);
    }

    public static void Destroy(ThreadFronts* fronts, OsTable* os)
    {
        if (fronts->Array != null)
        {
            os->Release(os->Context, fronts->Array, ReservedBytesMax);
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
        if (front == null)
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
            for (int entry = CacheRegistry.FirstOrdinary; entry < ThreadFront.EntryCount; entry++)
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

    public static nuint CommittedBytes(CacheRegistry* registry) => AreUsed(registry) ? ((nuint)Count(registry) * ThreadFront.SizeBytes) + WindowsBytes : 0;

    public static nuint ReservedBytes(CacheRegistry* registry) => AreUsed(registry) ? ReservedBytesMax : 0;

    public static int Count(CacheRegistry* registry) => Atomic.Load(&registry->Fronts._count);

    public static ThreadFront* At(CacheRegistry* registry, int index) => (ThreadFront*)(registry->Fronts.Array + ((nuint)index * ThreadFront.SizeBytes));

    private static nuint ReservedBytesMax => ArrayBytes + WindowsBytes;

    private static nuint* EntryAt(ThreadFront* front, int index) => (nuint*)((byte*)front + ThreadFront.EntriesOffset) + index;

    private static ulong* PreviousAt(ThreadFront* front, int index) => (ulong*)((byte*)front + ThreadFront.PreviousOffset) + index;

    private static void DrainAll(CacheRegistry* registry, ThreadFront* front)
    {
        for (int index = CacheRegistry.FirstOrdinary; index < ThreadFront.EntryCount; index++)
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
        if (count < CountMax && registry->Os->Commit(registry->Os->Context, At(registry, count), ThreadFront.SizeBytes))
        {
            front = At(registry, count);
            for (int entry = 0; entry < ThreadFront.EntryCount; entry++)
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
