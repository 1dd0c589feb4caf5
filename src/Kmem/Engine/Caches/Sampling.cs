using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Caches;

// Theory of sampling.
//
// The profile wants to know of some objects who has them, one for about so many bytes (the *interval*), without a word on the inlined rungs. So what is counted is
// what comes to a thread or CPU from beyond its own magazines, by magazines: rung 3 and 4, and rung 0 where it takes the CPU's. Each such *refill* is charged to a
// countdown of the CPU. When that is over, the next length is drawn from an exponential distribution, so that every byte has the same chance,
// and the cache owes a *run*: its next allocations that come to a slow rung are served from its *sampled twin*, without a refill, and are told to the face. Objects of the twin
// are freed on the slow rungs, as those of a checked one are (Cache.Checked.cs), and told again.
//
//      refill of R rounds → countdown over: with the chance p = 1 − e^(−R × stride / interval)
//      run                → until Room objects more were taken than given back; Room = 8
//      weight of each     → 1 + (R / Room) / p: what an object of the run stands for. On the average p runs with Room objects stand for R + p × Room
//
// Why a run and not one object: a magazine falls empty when most objects are out, so the allocation that finds it empty is too often one that is given back at once. Objects that
// are given back while the run lasts make room again, so that a run ends with what stays. What remains of the error: of a run as many objects as the
// program holds for a moment may be such ones. A cache without magazines has no such trouble: each of its allocations is charged, and Room is 1.
//
// What is not seen: what is allocated and freed within a thread's or CPU's own magazines. It needs no memory beyond them.
//
// A large run of pages is charged its own bytes and sampled at once: weight 1 / p. The word of its owner is the sample's number.
//
// Nothing here is exact between threads: a lost charge does no harm.

/// <summary>Which objects are told to the face. See the theory above.</summary>
internal static unsafe class Sampling
{
    /// <summary>The largest interval in bytes: draws stay within a word.</summary>
    public const long IntervalBytesMax = 1L << 40;

    /// <summary>Objects of a run. More: less of them are such as are given back at once, and each run costs more.</summary>
    private const uint RunLength = 8;

    /// <summary>ln 2 in 1/65536.</summary>
    private const ulong NaturalOfTwo = 45426;

    private const int FractionBits = 16;

    /// <summary>0 switches it off. Objects that were sampled remain so.</summary>
    public static void SetInterval(CacheRegistry* registry, long intervalBytes, ulong seed)
    {
        Atomic.Store(&registry->SampleIntervalBytes, 0);
        Atomic.Store(&registry->SampleRandom, (seed * 0x9E3779B97F4A7C15) | 1);
        for (int cpu = 0; intervalBytes != 0 && cpu < registry->CpuCount; cpu++)
        {
            Atomic.Store(CountdownOf(registry, cpu), Draw(registry, intervalBytes));
        }

        Atomic.Store(&registry->SampleIntervalBytes, intervalBytes);
    }

    /// <summary>So many rounds came from beyond the thread's or CPU's own magazines. May be called under the locks of the rungs.</summary>
    public static void Charge(Cache* cache, int rounds)
    {
        if (Atomic.Load(&cache->Registry->SampleIntervalBytes) != 0 && rounds != 0 && cache->SampledBy >= 0)
        {
            ChargeSlow(cache, (uint)rounds);
        }
    }

    private static void ChargeSlow(Cache* cache, uint rounds)
    {
        if (IsDue(cache->Registry, (nuint)rounds * cache->Slabs.Layout.StrideBytes) && Atomic.Load(&cache->SampleRoom) == 0)
        {
            cache->SampleRounds = rounds;
            cache->SampleRunLength = cache->Capacity == 0 ? 1 : RunLength;
            cache->SampleRun++;
            Atomic.Store(&cache->SampleRoom, cache->SampleRunLength);
        }
    }

    /// <summary>Charges bytes, and says whether a sample is to be taken for them.</summary>
    public static bool IsDue(CacheRegistry* registry, nuint bytes)
    {
        long* countdown = CountdownOf(registry, CacheRegistry.CpuHint(registry));
        long left = Atomic.Load(countdown) - (long)bytes;
        bool isDue = left < 0;
        Atomic.Store(countdown, isDue ? Draw(registry, Atomic.Load(&registry->SampleIntervalBytes)) : left);
        return isDue;
    }

    /// <summary>Whether allocations that come to a slow rung are sampled now.</summary>
    public static bool IsRunning(Cache* cache) => Atomic.Load(&cache->SampleRoom) != 0 && Atomic.Load(&cache->Registry->SampleIntervalBytes) != 0;

    /// <summary>
    /// An object of the sampled twin, constructed and told. False: there is none to be had so, and the rungs are to serve. True and null: the constructor refused.
    /// </summary>
    public static bool TryAllocate(Cache* cache, nuint requestedBytes, out void* result)
    {
        result = null;
        Cache* twin = TwinOf(cache);
        nuint address;
        if (twin == null || !TryChangeRoom(cache, -1) || SlabLists.TakeObjects(&twin->Slabs, &address, 1, 0) == 0)
        {
            return false;
        }

        CheckedLayout* layout = &twin->Checked;
        if (!Cache.IsWholeOrRepaired(twin, address))
        {
            return false;
        }

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
        track->FreeStack = cache->SampleRun;
        track->FreeThread = 0;
        SampleFacts facts = new()
        {
            Stack = track->AllocStack,
            RefillBytes = (nuint)cache->SampleRounds * cache->Slabs.Layout.StrideBytes,
            RoundsOfEach = (double)cache->SampleRounds / cache->SampleRunLength,
            CapacityBytes = layout->CapacityBytes,
            RequestedBytes = track->RequestedBytes,
        };
        track->NextOrScope = Face.NoteSampled(cache->Registry, &facts);
        CheckedObject.SetState(layout, address, TrackState.Live);
        _ = Atomic.Add(&twin->DirectAllocs, 1);
        result = (void*)address;
        return true;
    }

    /// <summary>The mirror, for an object that is leaving. What is freed in the run that it is of makes room there.</summary>
    public static void NoteFreed(Cache* twin, nuint address)
    {
        ObjectTrack* track = CheckedObject.TrackOf(&twin->Checked, address);
        Cache* cache = CacheRegistry.At(twin->Registry, twin->TwinOf);
        if (track->FreeStack == cache->SampleRun)
        {
            _ = TryChangeRoom(cache, 1);
        }

        Face.NoteSampleFreed(twin->Registry, track->NextOrScope);
    }

    /// <summary>From an open run only.</summary>
    private static bool TryChangeRoom(Cache* cache, int change)
    {
        uint room;
        do
        {
            room = Atomic.Load(&cache->SampleRoom);
            if (room == 0)
            {
                return false;
            }
        }
        while (!Atomic.CompareExchange(&cache->SampleRoom, room, (uint)((int)room + change)));

        return true;
    }

    /// <summary>Null where there is no memory for one, the reaper is at work, or objects of the cache cannot be sampled.</summary>
    private static Cache* TwinOf(Cache* cache)
    {
        if (Atomic.Load(&cache->SampledBy) == 0)
        {
            Atomic.Store(&cache->SampledBy, CheckSwitch.TryMakeSampledTwin(cache));
        }

        int twin = Atomic.Load(&cache->SampledBy);
        return twin <= 0 ? null : CacheRegistry.At(cache->Registry, twin);
    }

    // ------------------------------------------------------------------ chance

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

/// <summary>What the face is told of a sampled object or large run.</summary>
internal struct SampleFacts
{
    public uint Stack;

    /// <summary>Bytes that were charged when the sample became due.</summary>
    public nuint RefillBytes;

    /// <summary>Rounds of the refill for each object of the run; 0: it is a large run of pages, which stands for itself.</summary>
    public double RoundsOfEach;

    public nuint CapacityBytes;
    public nuint RequestedBytes;
}
