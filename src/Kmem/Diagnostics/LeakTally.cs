using System;
using System.Collections.Generic;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using Kmem.Engine.Caches;
using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Diagnostics;

/// <summary>
/// Counts the live objects of twins with the letter U by who allocated them. A twin is walked under the lock of its slabs, so that its threads wait meanwhile: there it is
/// only added up, by the numbers of stacks; names are looked for afterwards.
/// </summary>
internal sealed unsafe class LeakTally
{
    /// <summary>An object that was allocated since the clock was read has an age just below 0.</summary>
    private const uint AgeOfFuture = uint.MaxValue - 600_000;

    private readonly Dictionary<uint, Sum> _byStack = [];
    private readonly Dictionary<string, Site> _sites = new(StringComparer.Ordinal);
    private OutOfMemoryException? _failure;
    private Cache* _twin;
    private uint _now;

    /// <summary>In milliseconds; what is younger is left out.</summary>
    public uint LeastAge { get; init; }

    /// <summary>Only objects of the scope with this number; 0: all.</summary>
    public nuint Scope { get; init; }

    public long Objects { get; private set; }

    public long Bytes { get; private set; }

    public long LeftOutObjects { get; private set; }

    public long LeftOutBytes { get; private set; }

    /// <summary>Some object that was counted.</summary>
    public nuint First { get; private set; }

    /// <summary>Whether the objects of a cache say who allocated them.</summary>
    public static bool HasUsers(Cache* cache) => cache->IsTwin && ((cache->Checked.Checks & CacheChecks.Users) != 0 || (cache->Checks & CacheChecks.Guarded) != 0);

    public void Add(Cache* twin)
    {
        _byStack.Clear();
        _twin = twin;
        _now = Engine.Face.CoarseMilliseconds();
        GCHandle handle = GCHandle.Alloc(this);
        Cache.VisitLive(twin, &Visit, (void*)GCHandle.ToIntPtr(handle));
        handle.Free();
        if (_failure != null)
        {
            ExceptionDispatchInfo.Throw(_failure);
        }

        if (_byStack.Count != 0)
        {
            AddSites(AddressDescription.NameOf(twin));
        }
    }

    private void AddSites(string name)
    {
        foreach ((uint number, Sum sum) in _byStack)
        {
            string[] frames = WithoutPlumbing((StackDepot.Get(number) ?? KnownStack.None).Frames);
            ref Site? site = ref CollectionsMarshal.GetValueRefOrAddDefault(_sites, LeakText.Key(frames), out _);
            site ??= new Site { Frames = frames };
            site.Names.Add(name);
            Join(ref site.Sum, sum);
        }
    }

    /// <summary>Large allocations.</summary>
    public void Add(RunTracks runs)
    {
        _byStack.Clear();
        _now = Engine.Face.CoarseMilliseconds();
        foreach ((nuint address, RunTrack track) in runs.All())
        {
            if (Scope == 0 || track.Scope == Scope)
            {
                Note(address, (long)track.RequestedBytes, track.Stack, track.Milliseconds);
            }
        }

        AddSites(RunTracks.Name);
    }

    /// <summary>All twins of a cache with the letter U.</summary>
    public void AddTwinsOf(Cache* cache)
    {
        for (int index = Atomic.Load(&cache->FirstTwin); index != 0; index = CacheRegistry.At(cache->Registry, index)->NextTwin)
        {
            Cache* twin = CacheRegistry.At(cache->Registry, index);
            if (HasUsers(twin))
            {
                Add(twin);
            }
        }
    }

    /// <summary>Sites with so many objects, most bytes first. Objects of others count as left out from now on.</summary>
    public IReadOnlyList<KmemLeakSite> TakeSites(long leastCount)
    {
        List<KmemLeakSite> sites = [];
        foreach (Site site in _sites.Values)
        {
            Sum sum = site.Sum;
            if (sum.Count < leastCount)
            {
                LeftOutObjects += sum.Count;
                LeftOutBytes += sum.Bytes;
                continue;
            }

            sites.Add(new KmemLeakSite
            {
                Objects = sum.Count,
                RequestedBytes = sum.Bytes,
                OldestAge = TimeSpan.FromMilliseconds(sum.Oldest),
                YoungestAge = TimeSpan.FromMilliseconds(sum.Youngest),
                CacheNames = [.. site.Names],
                Stack = site.Frames,
            });
        }

        sites.Sort(static (left, right) => left.RequestedBytes != right.RequestedBytes ? right.RequestedBytes.CompareTo(left.RequestedBytes)
            : left.Objects != right.Objects ? right.Objects.CompareTo(left.Objects)
            : string.CompareOrdinal(LeakText.Key(left.Stack), LeakText.Key(right.Stack)));
        return sites;
    }

    /// <summary>No exception may pass the engine, which holds a lock: it is thrown when that is free.</summary>
    private static void Visit(void* context, nuint address)
    {
        LeakTally tally = (LeakTally)GCHandle.FromIntPtr((nint)context).Target!;
        try
        {
            if (tally._failure == null)
            {
                tally.Note(address);
            }
        }
        catch (OutOfMemoryException exception)
        {
            tally._failure = exception;
        }
    }

    /// <summary>Runs under the lock of the slabs. The object may be freed and even handed out again meanwhile: then it is counted as one or the other.</summary>
    private void Note(nuint address)
    {
        ObjectTrack* track = Cache.TrackOf(_twin, address);
        if (Scope != 0 && Atomic.Load(&track->NextOrScope) != Scope)
        {
            return;
        }

        Note(address, track->RequestedBytes, track->AllocStack, track->AllocMilliseconds);
    }

    private void Note(nuint address, long bytes, uint stack, uint milliseconds)
    {
        uint age = _now - milliseconds;
        age = age > AgeOfFuture ? 0 : age;
        if (age < LeastAge)
        {
            LeftOutObjects++;
            LeftOutBytes += bytes;
            return;
        }

        First = First == 0 ? address : First;
        Objects++;
        Bytes += bytes;
        ref Sum sum = ref CollectionsMarshal.GetValueRefOrAddDefault(_byStack, stack, out _);
        Join(ref sum, new Sum { Count = 1, Bytes = bytes, Oldest = age, Youngest = age });
    }

    /// <summary>How a task came to go on differs from time to time: that makes no other site.</summary>
    private static string[] WithoutPlumbing(string[] frames)
    {
        string[] own = Array.FindAll(frames, static frame => !IsPlumbing(frame));
        return own.Length == 0 ? frames : own;
    }

    private static bool IsPlumbing(string frame) => frame == "?"
        || frame.StartsWith("System.Threading.", StringComparison.Ordinal)
        || frame.StartsWith("System.Runtime.CompilerServices.Async", StringComparison.Ordinal);

    private static void Join(ref Sum sum, Sum other)
    {
        sum.Oldest = Math.Max(sum.Oldest, other.Oldest);
        sum.Youngest = sum.Count == 0 ? other.Youngest : Math.Min(sum.Youngest, other.Youngest);
        sum.Count += other.Count;
        sum.Bytes += other.Bytes;
    }

    private struct Sum
    {
        public long Count;
        public long Bytes;
        public uint Oldest;
        public uint Youngest;
    }

    private sealed class Site
    {
        public required string[] Frames;
        public readonly SortedSet<string> Names = new(StringComparer.Ordinal);
        public Sum Sum;
    }
}
