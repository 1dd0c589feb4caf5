using System;
using System.Collections.Generic;
using System.Numerics;
using System.Threading;
using Kmem.Engine;
using Kmem.Engine.Caches;

namespace Kmem.Diagnostics;

/// <summary>What the samples of a heap add up to, by the stack that allocated. See the theory in <c>Sampling.cs</c>.</summary>
/// <remarks>The engine calls with no lock held; nothing here calls back. In the long run only a new stack allocates managed memory.</remarks>
internal sealed unsafe class SiteProfile
{
    /// <summary>Classes of ages and lifetimes: below 1, 2, 4 … ms; the last is without end.</summary>
    public const int TimeClasses = 33;

    private const int NumberBits = 32;

    private readonly Lock _lock = new();
    private readonly Dictionary<uint, SiteTally> _sites = [];

    /// <summary>Live samples; those that are free are linked.</summary>
    private Sample[] _samples = new Sample[64];

    private int _used;
    private int _firstFree = -1;
    private long _count;

    /// <summary>Samples that were ever taken.</summary>
    public long Samples
    {
        get
        {
            lock (_lock)
            {
                return _count;
            }
        }
    }

    private struct Sample
    {
        public SiteTally? Site;

        /// <summary>Objects that this one stands for.</summary>
        public double Weight;

        public nuint CapacityBytes;
        public nuint RequestedBytes;
        public uint Milliseconds;

        /// <summary>Goes up with each use, so that an old number is known as such.</summary>
        public uint Generation;

        public int NextFree;
    }

    /// <summary>The profile of the heap that a registry is of; null while that is being made or taken apart.</summary>
    public static SiteProfile? Of(CacheRegistry* registry) => HeapDirectory.Of(registry)?.Profile;

    /// <summary>The number of a new sample, not 0.</summary>
    public nuint Add(SampleFacts* facts, long intervalBytes)
    {
        double weight = WeightOf(facts, intervalBytes);
        lock (_lock)
        {
            _count++;
            if (!_sites.TryGetValue(facts->Stack, out SiteTally? site))
            {
                _sites.Add(facts->Stack, site = new SiteTally());
            }

            int index = _firstFree;
            if (index >= 0)
            {
                _firstFree = _samples[index].NextFree;
            }
            else
            {
                index = _used++;
                if (index == _samples.Length)
                {
                    Array.Resize(ref _samples, index * 2);
                }
            }

            ref Sample sample = ref _samples[index];
            sample.Site = site;
            sample.Weight = weight;
            sample.CapacityBytes = facts->CapacityBytes;
            sample.RequestedBytes = facts->RequestedBytes;
            sample.Milliseconds = Face.CoarseMilliseconds();
            sample.Generation++;
            site.Count(sample.Weight, sample.CapacityBytes);
            return ((nuint)sample.Generation << NumberBits) | (uint)(index + 1);
        }
    }

    /// <summary>The object has other bytes from now on. What was allocated in total remains.</summary>
    public void Resize(nuint number, nuint capacityBytes, nuint requestedBytes)
    {
        lock (_lock)
        {
            int index = Find(number);
            if (index >= 0)
            {
                ref Sample sample = ref _samples[index];
                sample.CapacityBytes = capacityBytes;
                sample.RequestedBytes = requestedBytes;
            }
        }
    }

    public void Remove(nuint number)
    {
        lock (_lock)
        {
            int index = Find(number);
            if (index >= 0)
            {
                ref Sample sample = ref _samples[index];
                sample.Site!.Lifetimes[TimeClassOf(Face.CoarseMilliseconds() - sample.Milliseconds)] += sample.Weight;
                sample.Site = null;
                sample.NextFree = _firstFree;
                _firstFree = index;
            }
        }
    }

    /// <summary>Sites by their text: numbers of stacks with the same names are one.</summary>
    public List<KmemProfileSite> Sites()
    {
        Dictionary<string, SiteTally> byText = [];
        lock (_lock)
        {
            uint now = Face.CoarseMilliseconds();
            foreach (SiteTally site in _sites.Values)
            {
                site.ClearLive();
            }

            for (int index = 0; index < _used; index++)
            {
                ref Sample sample = ref _samples[index];
                sample.Site?.CountLive(sample.Weight, sample.CapacityBytes, sample.RequestedBytes, TimeClassOf(now - sample.Milliseconds));
            }

            foreach ((uint stack, SiteTally site) in _sites)
            {
                KnownStack known = StackDepot.Get(stack) ?? KnownStack.None;
                if (!byText.TryGetValue(known.Text, out SiteTally? sum))
                {
                    byText.Add(known.Text, sum = new SiteTally { Frames = known.Frames });
                }

                sum.Add(site);
            }
        }

        List<KmemProfileSite> sites = [];
        foreach (SiteTally sum in byText.Values)
        {
            sites.Add(sum.ToSite());
        }

        sites.Sort((left, right) => left.LiveBytes != right.LiveBytes ? right.LiveBytes.CompareTo(left.LiveBytes) : right.TotalBytes.CompareTo(left.TotalBytes));
        return sites;
    }

    private int Find(nuint number)
    {
        int index = (int)(uint)number - 1;
        return (uint)index < (uint)_used && _samples[index].Site != null && _samples[index].Generation == (uint)(number >> NumberBits) ? index : -1;
    }

    private static double WeightOf(SampleFacts* facts, long intervalBytes)
    {
        // Switched off since the sample became due.
        double interval = Math.Max(intervalBytes, 1);
        return facts->StrideBytes == 0 ? 1 / (1 - Math.Exp(-(double)facts->CapacityBytes / interval)) : 1 + Math.Max(interval / facts->StrideBytes, 1);
    }

    private static int TimeClassOf(uint milliseconds) => milliseconds == 0 ? 0 : BitOperations.Log2(milliseconds) + 1;
}

/// <summary>Sums of one site. Guarded by its profile's lock.</summary>
internal sealed class SiteTally
{
    public string[] Frames { get; init; } = [];

    public double[] Ages { get; } = new double[SiteProfile.TimeClasses];

    public double[] Lifetimes { get; } = new double[SiteProfile.TimeClasses];

    private long _samples;
    private long _liveSamples;
    private double _totalObjects;
    private double _totalBytes;
    private double _liveObjects;
    private double _liveBytes;
    private double _liveWaste;

    public void Count(double weight, nuint capacityBytes)
    {
        _samples++;
        _totalObjects += weight;
        _totalBytes += weight * capacityBytes;
    }

    public void ClearLive()
    {
        (_liveSamples, _liveObjects, _liveBytes, _liveWaste) = (0, 0, 0, 0);
        Array.Clear(Ages);
    }

    public void CountLive(double weight, nuint capacityBytes, nuint requestedBytes, int age)
    {
        _liveSamples++;
        _liveObjects += weight;
        _liveBytes += weight * capacityBytes;
        _liveWaste += weight * (capacityBytes - requestedBytes);
        Ages[age] += weight;
    }

    public void Add(SiteTally other)
    {
        _samples += other._samples;
        _liveSamples += other._liveSamples;
        _totalObjects += other._totalObjects;
        _totalBytes += other._totalBytes;
        _liveObjects += other._liveObjects;
        _liveBytes += other._liveBytes;
        _liveWaste += other._liveWaste;
        for (int each = 0; each < SiteProfile.TimeClasses; each++)
        {
            Ages[each] += other.Ages[each];
            Lifetimes[each] += other.Lifetimes[each];
        }
    }

    public KmemProfileSite ToSite() => new()
    {
        Frames = Frames,
        Samples = _samples,
        LiveSamples = _liveSamples,
        LiveObjects = Rounded(_liveObjects),
        LiveBytes = Rounded(_liveBytes),
        LiveRoundingBytes = Rounded(_liveWaste),
        TotalObjects = Rounded(_totalObjects),
        TotalBytes = Rounded(_totalBytes),
        Ages = Rounded(Ages),
        Lifetimes = Rounded(Lifetimes),
    };

    private static long Rounded(double value) => (long)Math.Round(value);

    /// <summary>Without the empty classes at the end.</summary>
    private static long[] Rounded(double[] values)
    {
        int length = values.Length;
        while (length > 0 && values[length - 1] < 0.5)
        {
            length--;
        }

        long[] rounded = new long[length];
        for (int index = 0; index < length; index++)
        {
            rounded[index] = Rounded(values[index]);
        }

        return rounded;
    }
}
