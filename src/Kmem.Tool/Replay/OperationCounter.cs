using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using Kmem.Tool.Traces;

namespace Kmem.Tool.Replay;

/// <summary>Allocations and frees of something that took place.</summary>
internal record struct OperationCount
{
    /// <summary>Allocations that gave an object.</summary>
    public long Allocs { get; set; }

    /// <summary>Frees of those.</summary>
    public long Frees { get; set; }

    /// <summary>Objects that are left.</summary>
    public readonly long Live => Allocs - Frees;
}

/// <summary>
/// Counts what a replay did, after it: the heap counts nothing on its fast path, and neither does the replay, so that
/// both are as fast as they are without being watched.
/// </summary>
internal sealed class OperationCounter
{
    private readonly TracePlan _plan;
    private readonly ReplayTable _table;
    private readonly KmemHeap _heap;
    private readonly Dictionary<ulong, string> _classes;
    private readonly Dictionary<int, string?> _classOfSize = [];
    private readonly Dictionary<string, OperationCount> _sizeClasses = [];
    private OperationCount _large;

    public OperationCounter(TracePlan plan, ReplayTable table, KmemHeap heap, KmemStatistics statistics)
    {
        _plan = plan;
        _table = table;
        _heap = heap;
        _classes = statistics.Caches.Where(static cache => cache.IsSizeClass).ToDictionary(static cache => cache.ObjectSizeBytes, static cache => cache.Name);
        Caches = new OperationCount[plan.Caches.Count];
    }

    /// <summary>By cache of the trace.</summary>
    public OperationCount[] Caches { get; }

    /// <summary>By name of size class.</summary>
    public IReadOnlyDictionary<string, OperationCount> SizeClasses => _sizeClasses;

    /// <summary>Of kmalloc beyond the size classes.</summary>
    public OperationCount Large => _large;

    /// <summary>Goes through all steps; a step whose object could not be allocated did not take place.</summary>
    public void Count()
    {
        foreach (ReplayStep[] steps in _plan.Threads)
        {
            foreach (ref readonly ReplayStep step in steps.AsSpan())
            {
                if (step.Action is ReplayAction.AllocPages or ReplayAction.FreePages || _table.Get(step.Object) == ReplayTable.Failed)
                {
                    continue;
                }

                ref OperationCount count = ref FindCount(step);
                if (step.Action is ReplayAction.AllocSized or ReplayAction.AllocFromCache)
                {
                    count.Allocs++;
                }
                else
                {
                    count.Frees++;
                }
            }
        }
    }

    /// <summary>Name of the size class of a size, or null where it has pages of its own.</summary>
    public string? SizeClassOf(int sizeBytes)
    {
        ref string? name = ref CollectionsMarshal.GetValueRefOrAddDefault(_classOfSize, sizeBytes, out bool known);
        if (!known)
        {
            name = _classes.GetValueOrDefault(_heap.RoundUpSize(ReplayWorker.HeapSizeOf(sizeBytes)));
        }

        return name;
    }

    private ref OperationCount FindCount(in ReplayStep step)
    {
        if (step.Cache >= 0)
        {
            return ref Caches[step.Cache];
        }

        string? name = SizeClassOf(step.SizeBytes);
        if (name == null)
        {
            return ref _large;
        }

        return ref CollectionsMarshal.GetValueRefOrAddDefault(_sizeClasses, name, out _);
    }
}
