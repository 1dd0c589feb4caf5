using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Caches;

// Theory of sampling.
//
// The profile wants to know who has the memory, without a word on the inlined rungs. What is sampled is not calls of allocate, which nobody counts, but *places*: of the
// objects that slabs hand to magazines, one for about so many bytes (the *interval*) is *watched*. It is from a twin (Cache.Checked.cs), so that its free comes to a
// slow rung, and it goes where an object that nobody watches would go: to whoever allocates at its place in the stack of magazines. Each who gets it is told to the face. So a
// site has its share of the watched places, as it has of all, whether its objects live long or briefly, and also where each allocation takes the place of a free.
//
//      slabs → magazine       charged to a countdown of the CPU; each time it is over, one more place is watched, *hot*
//      hot                    on top for this CPU: its next allocation on a slow rung gets it
//      free of a watched one  hot; and the rounds that lie below it in magazines are hidden (put away as previous), so that the next allocation does come to a slow rung
//      free on a slow rung    a magazine's worth came on top: hot ones of the CPU become *cold*, at the level that the magazines have now (ColdPlaces.cs)
//      allocation, slow rung  gets a cold one when no more rounds are left than there were then
//      magazine → slabs       takes its part of the cold ones with it; what empties all magazines takes all
//
//      watched == hot + cold + live samples          for each cache about (objects out of slabs) × stride / interval
//      weight of a sample = 1 + interval / stride    objects that each stands for; 1: the place itself was not charged
//
// The lengths of the countdown are drawn from an exponential distribution: every byte has the same chance. Objects larger than the interval are charged as if they had its size.
// A cache without magazines takes each object from its slabs: there a free ends the watch.
//
// What is not seen: objects that are out when sampling begins, and what takes their places by way of magazines. And what only ever goes to and fro between a thread and its
// magazines shows as the one magazine that it needs.
//
// A large run of pages is charged its own bytes and sampled at once: its weight is one over the chance, 1 − e^(−bytes / interval). The word of its owner is the sample's number.
//
// Nothing here is exact between threads: a lost charge does no harm.

/// <summary>Which objects are told to the face. See the theory above.</summary>
internal static unsafe class Sampling
{
    /// <summary>The largest interval in bytes: draws stay within a word.</summary>
    public const long IntervalBytesMax = 1L << 40;

    /// <summary>ln 2 in 1/65536.</summary>
    private const ulong NaturalOfTwo = 45426;

    private const int FractionBits = 16;

    /// <summary>0 switches it off. Objects that were sampled remain so, but nobody takes their places.</summary>
    public static void SetInterval(CacheRegistry* registry, long intervalBytes, ulong seed)
    {
        Atomic.Store(&registry->SampleIntervalBytes, 0);
        Atomic.Store(&registry->SampleRandom, (seed * 0x9E3779B97F4A7C15) | 1);
        Atomic.Store(&registry->SampleEpoch, registry->SampleEpoch + 1);
        for (int index = 1; index < Atomic.Load(&registry->Count); index++)
        {
            Forget(CacheRegistry.At(registry, index));
        }

        for (int cpu = 0; intervalBytes != 0 && cpu < registry->CpuCount; cpu++)
        {
            Atomic.Store(CountdownOf(registry, cpu), Draw(registry, intervalBytes));
        }

        Atomic.Store(&registry->SampleIntervalBytes, intervalBytes);
    }

    /// <summary>All magazines are empty: no place is watched but those of live objects.</summary>
    public static void Forget(Cache* cache)
    {
        ColdPlaces.Clear(cache);
        for (int cpu = 0; cpu < cache->Registry->CpuCount; cpu++)
        {
            Atomic.Store(&Cache.CpuSlotOf(cache, cpu)->HotSamples, 0);
        }
    }

    // ------------------------------------------------------------------ places

    private static bool IsOn(Cache* cache) => Atomic.Load(&cache->Registry->SampleIntervalBytes) != 0 && cache->SampledBy >= 0;

    /// <summary>So many rounds left the slabs. May be called under the locks of the rungs.</summary>
    public static void Charge(Cache* cache, int rounds)
    {
        if (IsOn(cache))
        {
            ChargeSlow(cache, (uint)rounds);
        }
    }

    private static void ChargeSlow(Cache* cache, uint rounds)
    {
        CacheRegistry* registry = cache->Registry;
        int cpu = CpuOf(registry);
        long interval = Atomic.Load(&registry->SampleIntervalBytes);
        long stride = cache->Slabs.Layout.StrideBytes;
        long* countdown = CountdownOf(registry, cpu);
        long left = Atomic.Load(countdown) - (rounds * (stride < interval ? stride : interval));
        uint watched = 0;
        for (; left < 0 && watched < rounds; left += Draw(registry, interval))
        {
            watched++;
        }

        Atomic.Store(countdown, left);
        if (watched != 0)
        {
            _ = Change(&Cache.CpuSlotOf(cache, cpu)->HotSamples, (int)watched);
        }
    }

    /// <summary>An object was freed to the magazines on a slow rung: what was on top is below it.</summary>
    public static void NoteSlowFree(Cache* cache)
    {
        if (IsOn(cache))
        {
            uint* hot = &Cache.CpuSlotOf(cache, CpuOf(cache->Registry))->HotSamples;
            uint count = Atomic.Load(hot);
            if (count != 0 && Atomic.CompareExchange(hot, count, 0))
            {
                ColdPlaces.Push(cache, count, Cache.CountBelow(cache));
            }
        }
    }

    /// <summary>So many rounds went from magazines to the slabs.</summary>
    public static void NoteFlushed(Cache* cache, int rounds)
    {
        ulong cold = Atomic.Load(&cache->Cold.Count);
        if (cold != 0 && IsOn(cache))
        {
            ulong all = (ulong)(Atomic.Load(&cache->Depot.Rounds) + rounds + (2 * cache->Capacity));
            ulong gone = ((cold * (ulong)rounds) + (NextRandom(cache) % all)) / all;
            while (gone-- != 0 && ColdPlaces.TryPop(cache, 0))
            {
            }
        }
    }

    /// <summary>Whether this allocation, which came to a slow rung, gets a watched place: that is taken.</summary>
    public static bool TryTakePlace(Cache* cache)
    {
        if (!IsOn(cache))
        {
            return false;
        }

        CpuSlot* slot = Cache.CpuSlotOf(cache, CpuOf(cache->Registry));
        if (Atomic.Load(&slot->HotSamples) != 0)
        {
            return Change(&slot->HotSamples, -1);
        }

        return Atomic.Load(&cache->Cold.Count) != 0 && ColdPlaces.TryPop(cache, Cache.CountBelow(cache));
    }

    /// <summary>Never below 0: then false.</summary>
    private static bool Change(uint* count, int change)
    {
        uint before;
        do
        {
            before = Atomic.Load(count);
            if (change < 0 && before == 0)
            {
                return false;
            }
        }
        while (!Atomic.CompareExchange(count, before, before + (uint)change));

        return true;
    }

    // ------------------------------------------------------------------ objects

    /// <summary>Charges bytes, and says whether a sample is to be taken for them.</summary>
    public static bool IsDue(CacheRegistry* registry, nuint bytes)
    {
        long* countdown = CountdownOf(registry, CpuOf(registry));
        long left = Atomic.Load(countdown) - (long)bytes;
        bool isDue = left < 0;
        Atomic.Store(countdown, isDue ? Draw(registry, Atomic.Load(&registry->SampleIntervalBytes)) : left);
        return isDue;
    }

    /// <summary>
    /// An object of the sampled twin, constructed and told. False: there is none to be had so, and the rungs are to serve. True and null: the constructor refused.
    /// </summary>
    public static bool TryAllocate(Cache* cache, nuint requestedBytes, out void* result)
    {
        result = null;
        Cache* twin = TwinOf(cache);
        nuint address;
        if (twin == null || SlabLists.TakeObjects(&twin->Slabs, &address, 1, 0) == 0)
        {
            return false;
        }

        CheckedLayout* layout = &twin->Checked;
        if (!Cache.IsWholeOrRepaired(twin, address))
        {
            return false;
        }

        CheckedObject.SetState(layout, address, TrackState.Leaving);
        CheckedObject.MakeLive(layout, address, requestedBytes < layout->CapacityBytes ? requestedBytes : layout->CapacityBytes);
        if (twin->Constructor != null && !twin->Constructor((void*)address, twin->Context))
        {
            Cache.ReturnSampled(twin, address);
            return true;
        }

        ObjectTrack* track = CheckedObject.TrackOf(layout, address);
        track->AllocMilliseconds = Face.CoarseMilliseconds();
        track->AllocThread = Face.CurrentThreadNumber();
        track->AllocStack = Face.CaptureStack();
        track->FreeStack = cache->Registry->SampleEpoch;
        track->FreeThread = 0;
        SampleFacts facts = new()
        {
            Stack = track->AllocStack,
            StrideBytes = cache->Slabs.Layout.StrideBytes,
            CapacityBytes = layout->CapacityBytes,
            RequestedBytes = track->RequestedBytes,
        };
        track->NextOrScope = Face.NoteSampled(cache->Registry, &facts);
        CheckedObject.SetState(layout, address, TrackState.Live);
        _ = Atomic.Add(&twin->DirectAllocs, 1);
        result = (void*)address;
        return true;
    }

    /// <summary>The mirror, for an object that is leaving: its place goes on being watched.</summary>
    public static void NoteFreed(Cache* twin, nuint address)
    {
        CacheRegistry* registry = twin->Registry;
        ObjectTrack* track = CheckedObject.TrackOf(&twin->Checked, address);
        Cache* cache = CacheRegistry.At(registry, twin->TwinOf);
        if (IsOn(cache) && track->FreeStack == registry->SampleEpoch && cache->Capacity != 0 && Atomic.Load(&cache->CheckedBy) == 0)
        {
            if (Cache.TryHideRounds(cache))
            {
                _ = Change(&Cache.CpuSlotOf(cache, CpuOf(registry))->HotSamples, 1);
            }
            else
            {
                ColdPlaces.Push(cache, 1, Cache.CountBelow(cache));
            }
        }

        Face.NoteSampleFreed(registry, track->NextOrScope);
    }

    /// <summary>Null where there is no memory for one, the reaper is at work, or objects of the cache cannot be sampled.</summary>
    private static Cache* TwinOf(Cache* cache)
    {
        if (Atomic.Load(&cache->SampledBy) == 0)
        {
            Atomic.Store(&cache->SampledBy, CheckSwitch.TryMakeTwin(cache, CacheChecks.Sampled));
        }

        int twin = Atomic.Load(&cache->SampledBy);
        return twin <= 0 ? null : CacheRegistry.At(cache->Registry, twin);
    }

    // ------------------------------------------------------------------ chance

    private static ulong NextRandom(Cache* cache) => Atomic.NextRandom(&cache->Registry->SampleRandom) >> 16;

    /// <summary>The CPU whose magazines the caller uses. Not the hint, which may be of a moment ago: levels of another CPU mean nothing.</summary>
    public static int CpuOf(CacheRegistry* registry)
    {
        int cpu = CacheRegistry.CurrentCpu(registry);
        return (uint)cpu < (uint)registry->CpuCount ? cpu : 0;
    }

    /// <summary>The word of the cache "none", which has no magazines, on a CPU: its line has the words of caches without any.</summary>
    private static long* CountdownOf(CacheRegistry* registry, int cpu) => (long*)(registry->Areas + ((nuint)cpu << RestartableSequence.CpuAreaShift));

    /// <summary>Bytes until the next sample: −ln u × interval for a u from the chance.</summary>
    private static long Draw(CacheRegistry* registry, long intervalBytes) =>
        (long)(((ulong)intervalBytes * ((NegativeLog2(Atomic.NextRandom(&registry->SampleRandom)) * NaturalOfTwo) >> FractionBits)) >> FractionBits);

    /// <summary>−log₂ of value / 2⁶⁴ in 1/65536. <paramref name="value"/> is not 0.</summary>
    public static ulong NegativeLog2(ulong value)
    {
        int whole = Bits.Log2((nuint)value);
        ulong mantissa = (value << (63 - whole)) >> 32;
        ulong fraction = 0;
        for (int bit = 0; bit < FractionBits; bit++)
        {
            // Squaring doubles the logarithm: what passes 2 is its next bit.
            ulong square = mantissa * mantissa;
            ulong next = square >> 63;
            fraction = (fraction << 1) | next;
            mantissa = square >> (31 + (int)next);
        }

        return ((ulong)(64 - whole) << FractionBits) - fraction;
    }
}
