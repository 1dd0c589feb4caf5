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
    private readonly SortedList<ulong, string> _classes;
    private readonly Dictionary<(int SizeBytes, byte AlignmentShift), string?> _classOfSize = [];

    // Objects that a realloc left where they were, and with them their class: the object before.
    private readonly Dictionary<int, int> _keptFrom = [];

    // Of the first of such objects: what it was allocated as.
    private readonly Dictionary<int, (int SizeBytes, byte AlignmentShift)> _origins = [];
    private readonly Dictionary<string, OperationCount> _sizeClasses = [];
    private OperationCount _large;

    public OperationCounter(TracePlan plan, ReplayTable table, KmemHeap heap, KmemStatistics statistics)
    {
        _plan = plan;
        _table = table;
        _heap = heap;
        _classes = new(statistics.Caches.Where(static cache => cache.IsSizeClass).ToDictionary(static cache => cache.ObjectSizeBytes, static cache => cache.Name));
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
        FindKept();
        foreach (ReplayStep[] steps in _plan.Threads)
        {
            foreach (ref readonly ReplayStep step in steps.AsSpan())
            {
                if (step.Action is ReplayAction.AllocPages or ReplayAction.FreePages || _table.Get(step.Object) == ReplayTable.Failed)
                {
                    continue;
                }

                ref OperationCount count = ref FindCount(step);
                if (IsAlloc(step.Action))
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

    /// <summary>Name of the size class that an object is of, or null where it has pages of its own.</summary>
    public string? SizeClassOf(in LivingObject living) => SizeClassOf(living.Object, living.SizeBytes, living.AlignmentShift);

    private static bool IsAlloc(ReplayAction action) => action is ReplayAction.AllocSized or ReplayAction.AllocFromCache
        or ReplayAction.AllocZeroed or ReplayAction.AllocAligned or ReplayAction.ReallocTo;

    private string? SizeClassOf(int number, int sizeBytes, byte alignmentShift)
    {
        if (_keptFrom.ContainsKey(number))
        {
            (sizeBytes, alignmentShift) = _origins[OriginOf(number)];
        }

        ref string? name = ref CollectionsMarshal.GetValueRefOrAddDefault(_classOfSize, (sizeBytes, alignmentShift), out bool known);
        if (!known)
        {
            name = FindClass(sizeBytes, alignmentShift);
        }

        return name;
    }

    /// <summary>An aligned object is of the first class that is large enough and whose objects all lie so.</summary>
    private string? FindClass(int sizeBytes, byte alignmentShift)
    {
        ulong rounded = _heap.RoundUpSize(ReplayWorker.HeapSizeOf(sizeBytes));
        if (alignmentShift == 0 || !_classes.ContainsKey(rounded))
        {
            return _classes.GetValueOrDefault(rounded);
        }

        ulong alignment = 1ul << alignmentShift;
        return alignment > PageAllocator.PageSizeBytes ? null
            : _classes.FirstOrDefault(each => each.Key >= rounded && each.Key % alignment == 0).Value;
    }

    /// <summary>The first of the objects that stayed in one place. The ways to it are shortened, as a buffer may be reallocated a million times.</summary>
    private int OriginOf(int number)
    {
        int origin = number;
        while (_keptFrom.TryGetValue(origin, out int before))
        {
            origin = before;
        }

        while (_keptFrom.TryGetValue(number, out int before) && before != origin)
        {
            _keptFrom[number] = origin;
            number = before;
        }

        return origin;
    }

    /// <summary>What stayed in place is of the class that its first allocation led to, however small it has become.</summary>
    private void FindKept()
    {
        foreach (ReplayStep[] steps in _plan.Threads)
        {
            for (int index = 1; index < steps.Length; index++)
            {
                if (steps[index].Action == ReplayAction.ReallocTo && _table.IsKept(steps[index].Object))
                {
                    _keptFrom.Add(steps[index].Object, steps[index - 1].Object);
                    _origins.TryAdd(steps[index - 1].Object, default);
                }
            }
        }

        if (_keptFrom.Count == 0)
        {
            return;
        }

        foreach (ReplayStep[] steps in _plan.Threads)
        {
            foreach (ref readonly ReplayStep step in steps.AsSpan())
            {
                if (IsAlloc(step.Action) && _origins.ContainsKey(step.Object))
                {
                    _origins[step.Object] = (step.SizeBytes, step.Action == ReplayAction.AllocAligned ? step.Order : (byte)0);
                }
            }
        }
    }

    private ref OperationCount FindCount(in ReplayStep step)
    {
        if (step.Cache >= 0)
        {
            return ref Caches[step.Cache];
        }

        string? name = SizeClassOf(step.Object, step.SizeBytes, step.Order);
        if (name == null)
        {
            return ref _large;
        }

        return ref CollectionsMarshal.GetValueRefOrAddDefault(_sizeClasses, name, out _);
    }
}
