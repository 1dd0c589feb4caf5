using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Text;
using Kmem.Tool.Hosting;

namespace Kmem.Tool.Traces;

/// <summary>
/// Turns events, in file order, into a <see cref="TracePlan"/>. A trace starts in the middle of things and may have gaps, so
/// frees are matched to allocations here, once:
/// an allocation at an address that is taken frees the old object first (its free was not recorded);
/// a free of an address that is not taken is counted and left out.
/// </summary>
internal sealed class TracePlanBuilder
{
    private const int PageShift = 12;

    // What every object is aligned to, and the largest that a heap takes.
    private const int UsualAlignmentShift = 3;
    private const int AlignmentShiftMax = 30;

    // A cache's name may have 63 bytes; this leaves room for what makes it unique.
    private const int NameBytes = 52;

    private readonly List<ReplayStep>[] _threads;
    private readonly bool _skipPages;
    private readonly HashSet<int> _cpus = [];
    private readonly Dictionary<ulong, LivingObject> _objects = [];
    private readonly Dictionary<ulong, LivingObject> _blocks = [];

    // Objects that a realloc of a thread has taken and not given back yet.
    private readonly Dictionary<int, LivingObject> _inRealloc = [];

    // Addresses of what is too large.
    private readonly HashSet<ulong> _oversized = [];
    private readonly List<PlannedCache> _caches = [];
    private readonly HashSet<string> _cacheNames = [];

    // Cache of a name by the bytes of the name: the one for its largest size so far.
    private readonly Dictionary<byte[], short> _cacheByName = new(Utf8NameComparer.Instance);
    private readonly Dictionary<byte[], short>.AlternateLookup<ReadOnlySpan<byte>> _cacheByNameSpan;

    private int _objectCount;
    private long _allocs;
    private long _frees;
    private long _implicitFrees;
    private long _unmatchedFrees;
    private long _nullAllocs;
    private long _oversizedAllocs;
    private long _reallocs;
    private long _zeroedAllocs;
    private long _alignedAllocs;
    private long _requestedBytes;
    private long _peakRequestedBytes;
    private long _pageAllocs;
    private long _pageFrees;
    private long _implicitPageFrees;
    private long _unmatchedPageFrees;
    private long _livePages;

    /// <param name="threads">Threads of the replay; the events of CPU <c>c</c> go to thread <c>c % threads</c>.</param>
    /// <param name="skipPages">Leave out the events of pages.</param>
    public TracePlanBuilder(int threads, bool skipPages)
    {
        _threads = new List<ReplayStep>[threads];
        for (int thread = 0; thread < threads; thread++)
        {
            _threads[thread] = [];
        }

        _skipPages = skipPages;
        _cacheByNameSpan = _cacheByName.GetAlternateLookup<ReadOnlySpan<byte>>();
    }

    /// <summary>Adds the next event of the file.</summary>
    public void Add(in TraceEvent added)
    {
        _cpus.Add(added.Cpu);
        List<ReplayStep> steps = _threads[added.Cpu % _threads.Length];
        switch (added.Kind)
        {
            case TraceEventKind.SizedAlloc or TraceEventKind.CacheAlloc:
                AddAlloc(added, steps);
                break;
            case TraceEventKind.SizedFree or TraceEventKind.CacheFree:
                AddFree(added, steps);
                break;
            case TraceEventKind.ReallocBegin:
                BeginRealloc(added);
                break;
            case TraceEventKind.ReallocEnd:
                EndRealloc(added, steps);
                break;
            case TraceEventKind.PageAlloc when !_skipPages:
                AddPageAlloc(added, steps);
                break;
            case TraceEventKind.PageFree when !_skipPages:
                AddPageFree(added, steps);
                break;
        }
    }

    /// <summary>The finished plan.</summary>
    public TracePlan Build()
    {
        ReplayStep[][] threads = new ReplayStep[_threads.Length][];
        for (int thread = 0; thread < threads.Length; thread++)
        {
            threads[thread] = _threads[thread].ToArray();
            _threads[thread].Clear();
        }

        List<LivingObject> living = [.. _objects.Values, .. _blocks.Values];
        living.Sort(static (left, right) => left.Object.CompareTo(right.Object));
        return new TracePlan
        {
            Threads = threads,
            ObjectCount = _objectCount,
            Caches = _caches,
            Living = living,
            Cpus = _cpus.Count,
            Allocs = _allocs,
            Frees = _frees,
            ImplicitFrees = _implicitFrees,
            UnmatchedFrees = _unmatchedFrees,
            NullAllocs = _nullAllocs,
            OversizedAllocs = _oversizedAllocs,
            Reallocs = _reallocs,
            ZeroedAllocs = _zeroedAllocs,
            AlignedAllocs = _alignedAllocs,
            LiveObjects = _objects.Count,
            RequestedBytes = _requestedBytes,
            PeakRequestedBytes = _peakRequestedBytes,
            PageAllocs = _pageAllocs,
            PageFrees = _pageFrees,
            ImplicitPageFrees = _implicitPageFrees,
            UnmatchedPageFrees = _unmatchedPageFrees,
            LivePages = _livePages,
        };
    }

    private void AddAlloc(in TraceEvent added, List<ReplayStep> steps)
    {
        if (added.IsNull)
        {
            _nullAllocs++;
            return;
        }

        if (added.IsTooLarge)
        {
            _oversizedAllocs++;
            _oversized.Add(added.Pointer);
            return;
        }

        short cache = added.Kind == TraceEventKind.CacheAlloc ? FindCache(added.CacheName, added.SizeBytes) : (short)-1;
        byte alignment = added.AlignmentShift > UsualAlignmentShift ? Math.Min(added.AlignmentShift, (byte)AlignmentShiftMax) : (byte)0;
        ReplayAction action = cache >= 0 ? ReplayAction.AllocFromCache
            : alignment > 0 ? ReplayAction.AllocAligned
            : added.IsZeroed ? ReplayAction.AllocZeroed
            : ReplayAction.AllocSized;
        _alignedAllocs += action == ReplayAction.AllocAligned ? 1 : 0;
        _zeroedAllocs += action == ReplayAction.AllocZeroed ? 1 : 0;
        LivingObject made = AddObject(added, cache, alignment, steps);
        steps.Add(new ReplayStep(made.Object, made.SizeBytes, cache, alignment, default, action));
    }

    /// <summary>Gives an object its number and its address, freeing what was there before.</summary>
    private LivingObject AddObject(in TraceEvent added, short cache, byte alignment, List<ReplayStep> steps)
    {
        _allocs++;
        ref LivingObject slot = ref CollectionsMarshal.GetValueRefOrAddDefault(_objects, added.Pointer, out bool taken);
        if (taken)
        {
            _implicitFrees++;
            AddObjectFree(slot, steps, sized: true);
        }

        slot = new LivingObject(NextObject(), added.SizeBytes, cache, IsPages: false, alignment);
        _requestedBytes += added.SizeBytes;
        _peakRequestedBytes = Math.Max(_peakRequestedBytes, _requestedBytes);
        return slot;
    }

    /// <summary>From here on the address may be handed out again. The object itself lives until the replay's own realloc.</summary>
    private void BeginRealloc(in TraceEvent added)
    {
        if (_objects.Remove(added.Pointer, out LivingObject taken))
        {
            _inRealloc.Add(added.Cpu, taken);
        }
        else if (!_oversized.Remove(added.Pointer))
        {
            _unmatchedFrees++;
        }
    }

    /// <summary>A realloc of an object that is not known is an allocation, and one to a size that is too large is a free.</summary>
    private void EndRealloc(in TraceEvent added, List<ReplayStep> steps)
    {
        if (!_inRealloc.Remove(added.Cpu, out LivingObject old))
        {
            AddAlloc(added, steps);
            return;
        }

        _frees++;
        if (added.IsTooLarge)
        {
            AddObjectFree(old, steps, sized: true);
            AddAlloc(added, steps);
            return;
        }

        _reallocs++;
        _requestedBytes -= old.SizeBytes;
        LivingObject made = AddObject(added, -1, 0, steps);
        steps.Add(new ReplayStep(old.Object, old.SizeBytes, old.Cache, old.AlignmentShift, default, ReplayAction.ReallocFrom));
        steps.Add(new ReplayStep(made.Object, made.SizeBytes, -1, 0, default, ReplayAction.ReallocTo));
    }

    private void AddFree(in TraceEvent added, List<ReplayStep> steps)
    {
        if (!_objects.Remove(added.Pointer, out LivingObject freed))
        {
            _unmatchedFrees += _oversized.Remove(added.Pointer) ? 0 : 1;
            return;
        }

        _frees++;
        AddObjectFree(freed, steps, sized: added.Kind == TraceEventKind.SizedFree);
    }

    /// <summary>A free by kmem_cache_free names the cache; a kfree, also of a cache's object, does not, and neither does an implicit free.</summary>
    private void AddObjectFree(LivingObject freed, List<ReplayStep> steps, bool sized)
    {
        bool toCache = freed.Cache >= 0 && !sized;
        steps.Add(new ReplayStep(freed.Object, freed.SizeBytes, freed.Cache, freed.AlignmentShift, default, toCache ? ReplayAction.FreeToCache : ReplayAction.Free));
        _requestedBytes -= freed.SizeBytes;
    }

    private void AddPageAlloc(in TraceEvent added, List<ReplayStep> steps)
    {
        if (added.IsNull)
        {
            _nullAllocs++;
            return;
        }

        _pageAllocs++;
        ref LivingObject slot = ref CollectionsMarshal.GetValueRefOrAddDefault(_blocks, added.Frame, out bool taken);
        if (taken)
        {
            _implicitPageFrees++;
            AddBlockFree(slot, steps);
        }

        int pages = 1 << added.Order;
        slot = new LivingObject(NextObject(), pages << PageShift, -1, IsPages: true);
        steps.Add(new ReplayStep(slot.Object, slot.SizeBytes, -1, (byte)added.Order, added.Mobility, ReplayAction.AllocPages));
        _livePages += pages;
    }

    private void AddPageFree(in TraceEvent added, List<ReplayStep> steps)
    {
        if (!_blocks.Remove(added.Frame, out LivingObject freed))
        {
            _unmatchedPageFrees++;
            return;
        }

        _pageFrees++;
        AddBlockFree(freed, steps);
    }

    private void AddBlockFree(LivingObject freed, List<ReplayStep> steps)
    {
        steps.Add(new ReplayStep(freed.Object, freed.SizeBytes, -1, 0, default, ReplayAction.FreePages));
        _livePages -= freed.SizeBytes >> PageShift;
    }

    private int NextObject()
    {
        if (_objectCount == Array.MaxLength - 1)
        {
            throw new ToolException($"the trace has more than {Array.MaxLength:N0} allocations");
        }

        return _objectCount++;
    }

    /// <summary>A name that a cache can have (no white space, not too long) and no other cache has.</summary>
    private string MakeUnique(string name)
    {
        StringBuilder allowed = new();
        foreach (Rune rune in name.EnumerateRunes())
        {
            allowed.Append(Rune.IsWhiteSpace(rune) || Rune.IsControl(rune) ? new Rune('_') : rune);
            if (Encoding.UTF8.GetByteCount(allowed.ToString()) >= NameBytes)
            {
                break;
            }
        }

        string unique = allowed.ToString();
        for (int number = 2; !_cacheNames.Add(unique); number++)
        {
            unique = $"{allowed}~{number}";
        }

        return unique;
    }

    /// <summary>
    /// The cache of a name. Its objects have the size that the first event asks for; an event that asks for more makes a
    /// cache of its own, which later events of the name then use.
    /// </summary>
    private short FindCache(ReadOnlySpan<byte> name, int sizeBytes)
    {
        // Older kernels do not print the name: objects of one size are then taken for objects of one cache.
        if (name.IsEmpty)
        {
            name = Encoding.UTF8.GetBytes($"unnamed-{sizeBytes}");
        }

        if (_cacheByNameSpan.TryGetValue(name, out short known) && sizeBytes <= _caches[known].ObjectSizeBytes)
        {
            return known;
        }

        if (_caches.Count == short.MaxValue)
        {
            throw new ToolException($"the trace has more than {short.MaxValue:N0} caches");
        }

        bool again = _cacheByNameSpan.ContainsKey(name);
        string traceName = Encoding.UTF8.GetString(name);
        short added = (short)_caches.Count;
        _caches.Add(new PlannedCache
        {
            Name = MakeUnique(again ? $"{traceName}-{sizeBytes}" : traceName),
            TraceName = traceName,
            ObjectSizeBytes = sizeBytes,
        });
        _cacheByNameSpan[name] = added;
        return added;
    }
}
