using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Threading;
using Kmem.Engine;
using Kmem.Engine.Caches;

namespace Kmem.Diagnostics;

/// <summary>One run of a sweep's body: counts its allocations, lets one fail, and knows which of them are live.</summary>
/// <remarks>It flows as <see cref="AsyncLocal{T}"/> does: allocations of other threads are not counted, those of tasks that the body starts are.</remarks>
internal sealed unsafe class SweepFlow(KmemHeap heap, long failing)
{
    private static readonly AsyncLocal<SweepFlow?> s_current = new();

    /// <summary>What the runs allocated and nobody freed, by address: of whichever heap, an address is live once.</summary>
    private static readonly ConcurrentDictionary<nuint, (SweepFlow Flow, nuint Bytes, uint Stack)> s_live = [];

    private readonly KmemHeap _heap = heap;

    /// <summary>Number of the allocation that fails, from 1; 0: none.</summary>
    private readonly long _failing = failing;

    private long _count;
    private KnownStack? _failed;

    /// <summary>Allocations so far.</summary>
    public long Count => Interlocked.Read(ref _count);

    /// <summary>Where the allocation was made that failed; null if it did not come to that.</summary>
    public KnownStack? Failed => Volatile.Read(ref _failed);

    /// <summary>Enters and leaves the flow; returns what was current before.</summary>
    public static SweepFlow? Enter(SweepFlow? flow)
    {
        SweepFlow? before = s_current.Value;
        s_current.Value = flow;
        return before;
    }

    public static bool Fails(CacheRegistry* registry)
    {
        SweepFlow? flow = Current(registry);
        if (flow == null || Interlocked.Increment(ref flow._count) != flow._failing)
        {
            return false;
        }

        Volatile.Write(ref flow._failed, new KnownStack { Frames = WithinBody(StackDepot.Now().Frames) });
        return true;
    }

    public static void NoteAllocated(CacheRegistry* registry, void* address, nuint bytes)
    {
        SweepFlow? flow = Current(registry);
        if (flow != null)
        {
            s_live[(nuint)address] = (flow, bytes, StackDepot.Capture());
        }
    }

    public static void NoteFreed(void* address) => s_live.TryRemove((nuint)address, out _);

    /// <summary>What the run allocated and nobody freed. It is forgotten.</summary>
    public List<KmemSweepLeak> TakeLeaks()
    {
        List<KmemSweepLeak> leaks = [];
        foreach ((nuint address, (SweepFlow flow, nuint bytes, uint stack)) in s_live)
        {
            if (flow == this && s_live.TryRemove(address, out _))
            {
                leaks.Add(new KmemSweepLeak(address, bytes, WithinBody((StackDepot.Get(stack) ?? KnownStack.None).Frames)));
            }
        }

        leaks.Sort((left, right) => left.Address.CompareTo(right.Address));
        return leaks;
    }

    /// <summary>Without the frames from the sweep outwards.</summary>
    private static string[] WithinBody(string[] frames)
    {
        int end = Array.FindIndex(frames, frame => frame.StartsWith(typeof(KmemFaultSweep).FullName!, StringComparison.Ordinal));
        return end < 0 ? frames : frames[..end];
    }

    private static SweepFlow? Current(CacheRegistry* registry)
    {
        SweepFlow? flow = s_current.Value;
        return flow != null && &flow._heap.Core->Registry == registry ? flow : null;
    }
}
