using Kmem.Engine.Os;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Caches;

/// <summary>
/// All caches of one heap: a table indexed by cache, the fronts of threads, the areas of the CPUs, and the memory of magazines.
/// </summary>
/// <remarks>
/// <code>
///   Table   | none | magazine-128 … magazine-2048 | cache | cache | …       1 KiB each, committed as it grows
///   Fronts  | thread 0 | thread 1 | …                                     24 KiB each, in heaps that have them
///   Areas   | CPU 0: words, CpuSlots | CPU 1 … |                          2 MiB of addresses each, committed as the table grows
/// </code>
/// Entry 0 stays unused, so that the index 0 names no cache. A cache's index never
/// changes; indices of destroyed caches are used again.
/// </remarks>
internal unsafe partial struct CacheRegistry
{
    public const int CachesMax = 8192;
    public const nuint CacheBytes = 1024;
    public const nuint CpuSlotsOffset = CachesMax * 8;

    /// <summary>The first cache that is neither "none" nor a cache of magazines.</summary>
    public const int FirstOrdinary = 1 + MagazineSizing.SizeClasses;

    /// <summary>Caches that one commit makes room for: 64 KiB of table, 8 KiB of CpuSlots a CPU.</summary>
    private const int CommitStep = 64;

    /// <summary>Caches whose words fill one page.</summary>
    private const int WordsOfPage = (int)(Address.PageSizeBytes / 8);

    public OsTable* Os;
    public Zone* Zone;
    public byte* Table;
    public byte* Areas;
    public int CpuCount;

    /// <summary>Which front end: the stubs, or the try-lock. Never changes.</summary>
    public bool Restartable;

    /// <summary>Rounds that threads keep for themselves; unused unless <see cref="ThreadFronts.Initialize"/> was called.</summary>
    public ThreadFronts Fronts;

    /// <summary>Rank <see cref="LockRank.Registry"/>. Guards creation and destruction of caches, and new fronts and windows.</summary>
    public RankedLock Lock;

    /// <summary>Rank <see cref="LockRank.Reaper"/>. One maintenance pass, drain of all, or destruction at a time.</summary>
    public RankedLock ReaperLock;

    /// <summary>Entries that were ever used; readers see only initialised ones.</summary>
    public int Count;

    /// <summary>Entries whose table and area memory is committed.</summary>
    public int Committed;

    /// <summary>Objects that a flush found in their slab already, freed twice long before: how many, and the first.</summary>
    public long DoubleFrees;

    public ulong FirstDoubleFree;

    /// <summary>Bytes of freed objects that wait in the queues of twins, about. Atomic.</summary>
    public long WaitingBytes;

    /// <summary>Index of the cache that <see cref="FirstDoubleFree"/> was freed to: its slab may be gone when it is reported.</summary>
    public int FirstDoubleFreeOwner;

    /// <summary>Mean bytes between two samples; 0: none are taken. See <see cref="Sampling"/>.</summary>
    public long SampleIntervalBytes;

    public ulong SampleRandom;

    /// <summary>Goes up when the interval changes: places that were watched before are not any more.</summary>
    public uint SampleEpoch;

    /// <summary>Whether the face is told of large allocations, as the letter U does for objects. 0: it is not.</summary>
    public int TellsRuns;

    /// <summary>Pages of guarded objects.</summary>
    public GuardPool Guards;

    /// <summary>Fault sweeps that are running: allocations ask the face whether they fail. Atomic.</summary>
    public long Sweeps;

    /// <summary>Reserves the table, the areas and the fronts, if any, and makes the caches of magazines. False when memory is out; then <see cref="Destroy"/> cleans up.</summary>
    public static bool Initialize(CacheRegistry* registry, OsTable* os, Zone* zone, int cpuCount, bool restartable, uint frontCountMax)
    {
        *registry = default;
        registry->Os = os;
        registry->Zone = zone;
        registry->CpuCount = cpuCount;
        registry->Restartable = restartable;
        registry->Table = (byte*)os->Reserve(os->Context, TableBytes, Address.PageSizeBytes);
        registry->Areas = (byte*)os->Reserve(os->Context, AreaBytes(cpuCount), Address.PageSizeBytes);
        if (registry->Table == null
            || registry->Areas == null
            || (frontCountMax != 0 && !ThreadFronts.Initialize(&registry->Fronts, os, frontCountMax))
            || !CommitTo(registry, 1))
        {
            return false;
        }

        registry->Count = 1;
        for (int sizeClass = 0; sizeClass < MagazineSizing.SizeClasses; sizeClass++)
        {
            SlabLayout layout = SlabLayout.Compute((uint)MagazineSizing.BytesOf(sizeClass), 0, SlabRule.Default, cpuCount, false);
            CacheDefinition definition = new() { Layout = layout, Flags = CacheFlags.Internal };
            Cache* cache = Create(registry, &definition);
            Invariant.Check(cache != null && cache->Index == 1 + sizeClass);
        }

        return true;
    }

    /// <summary>Releases table, areas and fronts. The zone goes with the heap, so nothing is given back one by one.</summary>
    public static void Destroy(CacheRegistry* registry)
    {
        OsTable* os = registry->Os;
        GuardPool.Destroy(registry);
        if (registry->Table != null)
        {
            os->Release(os->Context, registry->Table, TableBytes);
        }

        if (registry->Areas != null)
        {
            os->Release(os->Context, registry->Areas, AreaBytes(registry->CpuCount));
        }

        ThreadFronts.Destroy(&registry->Fronts, os);

        *registry = default;
    }

    public static Cache* At(CacheRegistry* registry, int index)
    {
        Invariant.Holds((uint)index < (uint)registry->Count);
        return (Cache*)(registry->Table + ((nuint)index * CacheBytes));
    }

    /// <summary>A new cache, or null when memory or the table is out.</summary>
    public static Cache* Create(CacheRegistry* registry, CacheDefinition* definition)
    {
        RankedLock.Enter(&registry->Lock, LockRank.Registry);
        int index = FindUnused(registry);
        Cache* cache = null;
        if (index < CachesMax && CommitTo(registry, index + 1))
        {
            cache = (Cache*)(registry->Table + ((nuint)index * CacheBytes));
            Cache.Initialize(cache, registry, index, definition);
            if (index == registry->Count)
            {
                ThreadFronts.AddEntriesLocked(registry, index);
                Atomic.Store(&registry->Count, index + 1);
            }
        }

        RankedLock.Exit(&registry->Lock, LockRank.Registry);
        return cache;
    }

    /// <summary>Frees the entry of a cache whose magazines and slabs are gone.</summary>
    public static void Remove(CacheRegistry* registry, Cache* cache)
    {
        RankedLock.Enter(&registry->Lock, LockRank.Registry);
        for (int cpu = 0; cpu < registry->CpuCount; cpu++)
        {
            Invariant.Holds(Atomic.Load(Cache.WordOf(cache, cpu)) == SlotWord.None);
            *Cache.CpuSlotOf(cache, cpu) = default;
        }

        cache->State = CacheState.Unused;
        RankedLock.Exit(&registry->Lock, LockRank.Registry);
    }

    /// <summary>The CPU that this thread runs on as the slots count them; may be none of them.</summary>
    public static int CurrentCpu(CacheRegistry* registry) =>
        registry->Restartable ? RestartableSequence.CurrentCpu() : CpuHint(registry);

    /// <summary>Some CPU, most likely the current one.</summary>
    public static int CpuHint(CacheRegistry* registry) => (int)((uint)Face.CurrentCpuHint() % (uint)registry->CpuCount);

    public static Magazine* AllocateMagazine(CacheRegistry* registry, int capacity, int cpu)
    {
        int sizeClass = MagazineSizing.SizeClassFor(capacity);
        nuint memory;
        if (SlabLists.TakeObjects(&At(registry, 1 + sizeClass)->Slabs, &memory, 1, cpu) == 0)
        {
            return null;
        }

        Magazine* magazine = (Magazine*)memory;
        Magazine.Initialize(magazine, capacity, sizeClass);
        return magazine;
    }

    public static void FreeMagazine(CacheRegistry* registry, Magazine* magazine, int cpu)
    {
        nuint memory = (nuint)magazine;
        SlabFault fault = default;
        SlabLists.ReturnObjects(&At(registry, 1 + magazine->SizeClass)->Slabs, &memory, 1, cpu, &fault);
        Invariant.Check(fault.Count == 0);
    }

    public static void NoteDoubleFree(CacheRegistry* registry, Cache* cache, SlabFault fault)
    {
        if (Atomic.CompareExchange(&registry->FirstDoubleFree, 0, fault.Object))
        {
            Atomic.Store(&registry->FirstDoubleFreeOwner, cache->Index);
        }

        _ = Atomic.Add(&registry->DoubleFrees, fault.Count);
    }

    /// <summary>Bytes committed for the table, the areas and the fronts.</summary>
    public static nuint CommittedBytes(CacheRegistry* registry) =>
        ((nuint)registry->Committed * (CacheBytes + ((nuint)registry->CpuCount * CpuSlot.SizeBytes)))
        + ((nuint)registry->CpuCount * Address.AlignUp((nuint)registry->Committed * 8, Address.PageSizeBytes))
        + registry->Guards.TableBytes
        + ThreadFronts.CommittedBytes(registry);

    public static nuint ReservedBytes(CacheRegistry* registry) => TableBytes + AreaBytes(registry->CpuCount) + registry->Guards.TableReservedBytes + ThreadFronts.ReservedBytes(registry);

    private static nuint TableBytes => CachesMax * CacheBytes;

    private static nuint AreaBytes(int cpuCount) => (nuint)cpuCount << RestartableSequence.CpuAreaShift;

    private static int FindUnused(CacheRegistry* registry)
    {
        for (int index = 1; index < registry->Count; index++)
        {
            if (At(registry, index)->State == CacheState.Unused)
            {
                return index;
            }
        }

        return registry->Count;
    }

    /// <summary>Commits table and areas for so many caches. A failure leaves what is committed unused, for the next try.</summary>
    private static bool CommitTo(CacheRegistry* registry, int count)
    {
        OsTable* os = registry->Os;
        while (registry->Committed < count)
        {
            nuint from = (nuint)registry->Committed;
            if (!os->Commit(os->Context, registry->Table + (from * CacheBytes), CommitStep * CacheBytes))
            {
                return false;
            }

            for (int cpu = 0; cpu < registry->CpuCount; cpu++)
            {
                byte* area = registry->Areas + ((nuint)cpu << RestartableSequence.CpuAreaShift);
                bool needsWords = from % WordsOfPage == 0;
                if ((needsWords && !os->Commit(os->Context, area + (from * 8), Address.PageSizeBytes))
                    || !os->Commit(os->Context, area + CpuSlotsOffset + (from * CpuSlot.SizeBytes), CommitStep * CpuSlot.SizeBytes))
                {
                    return false;
                }
            }

            registry->Committed += CommitStep;
        }

        return true;
    }
}
