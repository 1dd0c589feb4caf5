using System;
using System.Collections.Generic;
using Kmem.Tool.Traces;

namespace Kmem.Tool.Bench.Workloads;

/// <summary>An allocation, or a free where the size is 0, or one of the two parts of a realloc.</summary>
/// <param name="Slot">Where the object stands while it lives.</param>
/// <param name="SizeBytes">Of an allocation.</param>
/// <param name="Type">The number of its type, or <see cref="Untyped"/>; <see cref="Realloc"/> with the old size, and then the new one as of an allocation.</param>
internal readonly record struct ScriptEvent(int Slot, int SizeBytes, int Type)
{
    /// <summary>An object that has only a size.</summary>
    public const int Untyped = -1;

    /// <summary>An object is to have the size of the next event.</summary>
    public const int Realloc = -2;
}

/// <summary>
/// The slab events of a kernel's trace, or the events of a program's, ready for any allocator: every object is freed in the end, and knows its type when it is. Slots are
/// used again as soon as they are free, so that the table of live objects costs little beside them.
/// </summary>
internal sealed class ReplayScript
{
    /// <summary>The smallest that the kernel's own kmalloc hands out; a mark has room in it.</summary>
    private const int SizeBytesMin = 8;

    private readonly List<ScriptEvent> _events = [];
    private readonly Stack<int> _freeSlots = [];
    private readonly Dictionary<int, (int Slot, int SizeBytes, int Type)> _living = [];
    private long _bytes;

    public ScriptEvent[] Events { get; private set; } = [];

    /// <summary>The most objects that live at a time.</summary>
    public int Slots { get; private set; }

    public int[] TypeSizes { get; private set; } = [];

    /// <summary>The most bytes that live at a time.</summary>
    public long PeakBytes { get; private set; }

    public static ReplayScript Read(string path)
    {
        TracePlanBuilder builder = new(threads: 1, skipPages: true);
        using (TraceSource source = TraceSource.Open(path))
        {
            TraceReader.Read(source, TraceSource.NameOf(path), builder);
        }

        ReplayScript script = new();
        script.Add(builder.Build());

        // What reading leaves behind is no part of any allocator's memory.
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        return script;
    }

    private void Add(TracePlan plan)
    {
        TypeSizes = new int[plan.Caches.Count];
        for (int type = 0; type < TypeSizes.Length; type++)
        {
            TypeSizes[type] = Math.Max(SizeBytesMin, plan.Caches[type].ObjectSizeBytes);
        }

        int taken = 0;
        foreach (ReplayStep step in plan.Threads[0])
        {
            switch (step.Action)
            {
                case ReplayAction.AllocSized or ReplayAction.AllocFromCache or ReplayAction.AllocZeroed or ReplayAction.AllocAligned:
                    AddAlloc(step);
                    break;
                case ReplayAction.ReallocFrom:
                    taken = step.Object;
                    break;
                case ReplayAction.ReallocTo:
                    AddRealloc(taken, step);
                    break;
                default:
                    AddFree(step.Object);
                    break;
            }
        }

        foreach (LivingObject living in plan.Living)
        {
            AddFree(living.Object);
        }

        Events = [.. _events];
        _events.Clear();
        _events.TrimExcess();
        _freeSlots.TrimExcess();
        _living.TrimExcess();
    }

    private void AddAlloc(in ReplayStep step)
    {
        if (!_freeSlots.TryPop(out int slot))
        {
            slot = Slots++;
        }

        // An object of a cache has the size of the cache, whatever the event says.
        int size = step.Cache < 0 ? Math.Max(SizeBytesMin, step.SizeBytes) : TypeSizes[step.Cache];
        _living.Add(step.Object, (slot, size, step.Cache));
        _events.Add(new ScriptEvent(slot, size, step.Cache));
        _bytes += size;
        PeakBytes = Math.Max(PeakBytes, _bytes);
    }

    /// <summary>Two events for one, as an allocation and a free are.</summary>
    private void AddRealloc(int taken, in ReplayStep step)
    {
        _ = _living.Remove(taken, out (int Slot, int SizeBytes, int Type) old);
        int size = Math.Max(SizeBytesMin, step.SizeBytes);
        _living.Add(step.Object, old with { SizeBytes = size });
        _events.Add(new ScriptEvent(old.Slot, old.SizeBytes, ScriptEvent.Realloc));
        _events.Add(new ScriptEvent(old.Slot, size, ScriptEvent.Untyped));
        _bytes += size - old.SizeBytes;
        PeakBytes = Math.Max(PeakBytes, _bytes);
    }

    private void AddFree(int number)
    {
        if (_living.Remove(number, out (int Slot, int SizeBytes, int Type) living))
        {
            _events.Add(new ScriptEvent(living.Slot, 0, living.Type));
            _freeSlots.Push(living.Slot);
            _bytes -= living.SizeBytes;
        }
    }
}
