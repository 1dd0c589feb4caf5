using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Caches;

/// <summary>Switching the checks of a cache on, off and over while it is in use. See the theory in <c>Cache.Checked.cs</c>.</summary>
internal static unsafe class CheckSwitch
{
    /// <summary>Whether a cache can have checks: one that callers know, and whose objects can be accessed.</summary>
    public static bool MayHaveChecks(Cache* cache) =>
        cache->State == CacheState.Live && (cache->Flags & (CacheFlags.Internal | CacheFlags.Inaccessible | CacheFlags.Twin)) == 0;

    /// <summary>The letters that are on.</summary>
    public static CacheChecks Get(Cache* cache)
    {
        int twin = Atomic.Load(&cache->CheckedBy);
        return twin == 0 ? CacheChecks.None : CacheRegistry.At(cache->Registry, twin)->Checks;
    }

    /// <summary>
    /// From the return on every allocation is checked so, but for calls under way in other threads, whose magazines the next maintenance empties. False when memory or the
    /// table of caches is out: then nothing has changed.
    /// </summary>
    public static bool TrySet(Cache* cache, CacheChecks checks)
    {
        Invariant.Holds(MayHaveChecks(cache));
        CacheRegistry* registry = cache->Registry;
        RankedLock.Enter(&registry->ReaperLock, LockRank.Reaper);
        Cache* twin = checks == CacheChecks.None ? null : FindOrCreate(cache, checks);
        bool isSet = twin != null || checks == CacheChecks.None;
        if (isSet)
        {
            Atomic.Store(&cache->CheckedBy, twin == null ? 0 : twin->Index);
            if (twin != null)
            {
                Cache.Drain(cache);
            }
        }

        RankedLock.Exit(&registry->ReaperLock, LockRank.Reaper);
        return isSet;
    }

    /// <summary>Index of a twin beside those that are switched; 0 when memory is out or the reaper is at work, and −1 where the cache cannot have one.</summary>
    public static int TryMakeTwin(Cache* cache, CacheChecks checks)
    {
        if (!MayHaveChecks(cache))
        {
            return -1;
        }

        // The caller may be in a destructor that runs under the lock.
        if (!RankedLock.TryEnter(&cache->Registry->ReaperLock, LockRank.Reaper))
        {
            return 0;
        }

        Cache* twin = FindOrCreate(cache, checks);
        RankedLock.Exit(&cache->Registry->ReaperLock, LockRank.Reaper);
        bool isAsWanted = twin != null && (!IsSampled(checks) || twin->Checked.HasTrack);
        return twin == null ? 0 : isAsWanted ? twin->Index : -1;
    }

    private static Cache* FindOrCreate(Cache* cache, CacheChecks checks)
    {
        for (int index = cache->FirstTwin; index != 0; index = CacheRegistry.At(cache->Registry, index)->NextTwin)
        {
            Cache* existing = CacheRegistry.At(cache->Registry, index);
            if (existing->Checks == checks)
            {
                return existing;
            }
        }

        CheckedLayout layout = CheckedLayout.Compute(cache->Slabs.Layout, cache->CapacityBytes, checks, RuleOf(checks), IsSampled(checks) ? 1 : cache->Registry->CpuCount);
        CacheDefinition definition = new()
        {
            Layout = layout.Slab,
            Mobility = cache->Slabs.Mobility,
            Flags = CacheFlags.Twin,
            Constructor = cache->Constructor,
            Destructor = cache->Destructor,
            Context = cache->Context,
            Name = cache->Name,
            NameBytes = NameBytes(cache),
            Checked = &layout,
            Checks = checks,
            TwinOf = cache->Index,
        };
        Cache* twin = CacheRegistry.Create(cache->Registry, &definition);
        if (twin != null)
        {
            twin->NextTwin = cache->FirstTwin;
            Atomic.Store(&cache->FirstTwin, twin->Index);
        }

        return twin;
    }

    private static bool IsSampled(CacheChecks checks) => (checks & CacheChecks.Sampled) != 0;

    /// <summary>Of a sampled twin few objects are live: small slabs.</summary>
    private static SlabRule RuleOf(CacheChecks checks) => IsSampled(checks) ? SlabRule.Kernel : SlabRule.Default;

    private static int NameBytes(Cache* cache)
    {
        int length = 0;
        while (cache->Name[length] != 0)
        {
            length++;
        }

        return length;
    }
}
