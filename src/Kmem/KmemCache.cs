using System;
using System.Runtime.CompilerServices;
using System.Text;
using Kmem.Diagnostics;
using Kmem.Engine;
using Kmem.Engine.Caches;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Sized;
using Kmem.Engine.Slabs;

namespace Kmem;

/// <summary>
/// A cache of objects of one size: the kernel's <c>kmem_cache</c>. Freed objects wait in magazines, constructed, for the
/// next allocation: in those of the thread for caches on the shared heap with objects up to 8 KiB, else in those of the CPU.
/// </summary>
/// <remarks>
/// <para>Thread-safe; an object may be freed by another thread than the one that allocated it. Objects live until they are freed;
/// the garbage collector never sees them.</para>
/// <para>Source: Bonwick 1994, Bonwick and Adams 2001, Linux mm/slub.c for layout and retention.</para>
/// </remarks>
public sealed unsafe partial class KmemCache : IDisposable
{
    /// <summary>The largest object: 4 MiB.</summary>
    public const int ObjectSizeBytesMax = (int)SlabLayout.ObjectSizeBytesMax;

    /// <summary>The largest alignment: a page.</summary>
    public const int AlignmentBytesMax = (int)SlabLayout.AlignmentBytesMax;

    private readonly KmemHeap _heap;
    private readonly ConstructorBridge? _bridge;
    private readonly bool _clearsOnAlloc;
    private readonly nuint _emptySlot;

    // What rung 1 needs, copied here to be one load away. Rung 0 has it in SharedFronts.
    private readonly byte* _firstBase;
    private readonly Page* _memoryMap;
    private readonly bool _restartable;

    /// <summary>Whether threads keep objects of this cache for themselves.</summary>
    private readonly bool _hasFronts;

    /// <summary>Points to 0 once the heap is disposed.</summary>
    private nuint* _frontier;

    /// <summary>Its number in the descriptors of its slabs; no page's once disposed.</summary>
    private int _index;

    /// <summary>The cache's word on CPU 0; the empty slot once disposed, so that every call takes the slow rung.</summary>
    private nuint _slot;

    /// <summary>The same for allocation; the empty slot also where objects are cleared on the way.</summary>
    private nuint _allocSlot;

    /// <summary>Number of the entry in a thread's front; 0 where it finds nothing.</summary>
    private nuint _allocEntry;

    private Cache* _core;

    /// <summary>Makes a cache.</summary>
    /// <param name="name">Name in reports and tables; not empty, no white space or control characters. Need not be unique.</param>
    /// <param name="objectSizeBytes">Size of an object in bytes, 1 to 4 MiB.</param>
    /// <param name="options">Settings; null takes the defaults.</param>
    /// <exception cref="ArgumentException">The name, the size or a setting is out of range.</exception>
    /// <exception cref="OutOfMemoryException">No memory, or the heap has 8192 caches already.</exception>
    public KmemCache(string name, nuint objectSizeBytes, KmemCacheOptions? options = null)
    {
        ThrowIfNotName(name);
        if (objectSizeBytes is 0 or > SlabLayout.ObjectSizeBytesMax)
        {
            throw new ArgumentOutOfRangeException(
                nameof(objectSizeBytes),
                objectSizeBytes,
                $"An object of the cache '{name}' has 1 to {SlabLayout.ObjectSizeBytesMax} bytes.");
        }

        options ??= new KmemCacheOptions();
        if (options.AlignmentBytes != 0)
        {
            KmemHeap.ThrowIfNotAlignment(options.AlignmentBytes, SlabLayout.AlignmentBytesMax, nameof(options));
        }

        ArgumentOutOfRangeException.ThrowIfNegative(options.MagazineCapacity, nameof(options));
        if ((options.Flags & ~KnownFlags) != 0)
        {
            throw new ArgumentException($"The cache '{name}' has unknown flags: {options.Flags & ~KnownFlags}.", nameof(options));
        }

        if (options.SlabRule is KmemSlabRule chosen)
        {
            KmemHeap.ThrowIfUnknown(chosen, nameof(options));
        }

        if (options.Constructor != null && (options.Flags & KmemCacheFlags.ZeroOnAlloc) != 0)
        {
            throw new ArgumentException($"The cache '{name}' cannot both construct its objects and clear them on allocation.", nameof(options));
        }

        _heap = options.Heap ?? KmemHeap.Shared;
        ObjectDisposedException.ThrowIf(_heap.IsDisposed, _heap);
        Name = name;
        _bridge = options.Constructor != null || options.Destructor != null ? new ConstructorBridge(name, options) : null;
        _clearsOnAlloc = (options.Flags & KmemCacheFlags.ZeroOnAlloc) != 0;
        KmemSlabRule rule = options.SlabRule ?? (_heap.Core->SlabRule == SlabRule.Kernel ? KmemSlabRule.Kernel : KmemSlabRule.Default);
        CacheDefinition definition = new()
        {
            Layout = SlabLayout.Compute(
                (uint)objectSizeBytes,
                (uint)options.AlignmentBytes,
                rule == KmemSlabRule.Kernel ? SlabRule.Kernel : SlabRule.Default,
                Environment.ProcessorCount,
                (options.Flags & KmemCacheFlags.CacheLineAligned) != 0),
            Mobility = (options.Flags & KmemCacheFlags.Reclaimable) != 0 ? Mobility.Reclaimable : Mobility.Unmovable,
            HasMagazines = (options.Flags & KmemCacheFlags.NoMagazines) == 0,
            MagazineCapacity = options.MagazineCapacity,
        };
        _bridge?.Fill(&definition, options);
        byte[] utf8 = Encoding.UTF8.GetBytes(name);
        fixed (byte* bytes = utf8)
        {
            definition.Name = bytes;
            definition.NameBytes = utf8.Length;
            _core = CacheRegistry.Create(&_heap.Core->Registry, &definition);
        }

        if (_core == null)
        {
            _bridge?.Dispose();
            throw _heap.OutOfMemory($"the cache '{name}' ({CacheRegistry.CachesMax} caches at most)");
        }

        _firstBase = _heap.FirstBase;
        _frontier = _heap.Frontier;
        _memoryMap = _heap.MemoryMap;
        _restartable = _heap.Restartable;
        _emptySlot = EmptySlot.For(_restartable);
        _slot = _core->Slot;
        _index = _core->Index;
        _hasFronts = _core->FrontOffset != 0;
        LetAllocate(_core);
        Layout = new KmemSlabLayout(_core->Slabs.Layout);
        _heap.SetPolicy(_index, options.MisusePolicy);
        _heap.Register(this);
        _heap.ApplyDebug(_core);
    }

    /// <summary>Name of the cache.</summary>
    public string Name { get; }

    /// <summary>The heap that its slabs come from.</summary>
    public KmemHeap Heap => _heap;

    /// <summary>Geometry of its slabs.</summary>
    public KmemSlabLayout Layout { get; }

    /// <summary>Size of an object in bytes, as asked for.</summary>
    public nuint ObjectSizeBytes => Layout.ObjectSizeBytes;

    /// <summary>Distance of two objects in bytes.</summary>
    public nuint StrideBytes => Layout.StrideBytes;

    /// <summary>A slab has 2^Order pages.</summary>
    public int Order => Layout.Order;

    /// <summary>Objects in one slab.</summary>
    public int ObjectsPerSlab => Layout.ObjectsPerSlab;

    private const KmemCacheFlags KnownFlags =
        KmemCacheFlags.CacheLineAligned | KmemCacheFlags.Reclaimable | KmemCacheFlags.ZeroOnAlloc | KmemCacheFlags.NoMagazines;

    /// <summary>An object: constructed where the cache has a constructor, else not initialised.</summary>
    /// <returns>The object. Never null.</returns>
    /// <exception cref="OutOfMemoryException">Memory is out.</exception>
    /// <exception cref="InvalidOperationException">The constructor refused. What it throws itself comes through as it is.</exception>
    /// <safety>The caller accesses no more than <see cref="ObjectSizeBytes"/> bytes and does not use the object after freeing it.</safety>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void* Alloc()
    {
        byte here;
        if (_hasFronts)
        {
            if (ThreadFronts.TryFind(SharedFronts.Windows, &here, out ThreadFront* front) && ThreadFront.TryPop(front, ThreadFront.EntryOf(front, _allocEntry), out void* own))
            {
                return own;
            }
        }
        else
        {
            void* round = FastPath.Pop(_allocSlot, _restartable);
            if (round != null)
            {
                return round;
            }
        }

        return AllocSlow(&here);
    }

    /// <summary>Like <see cref="Alloc"/>, but returns null when memory is out or the constructor returned false.</summary>
    /// <returns>The object, or null.</returns>
    /// <safety>As for <see cref="Alloc"/>.</safety>
    public void* TryAlloc()
    {
        void* round = _hasFronts ? null : FastPath.Pop(_allocSlot, _restartable);
        return round != null ? round : TryAllocSlow();
    }

    /// <summary>Like <see cref="Alloc"/>, with every byte of the object zero. Not for caches with a constructor, whose objects it would undo.</summary>
    /// <returns>The object. Never null.</returns>
    /// <exception cref="InvalidOperationException">The cache has a constructor.</exception>
    /// <exception cref="OutOfMemoryException">Memory is out.</exception>
    /// <safety>As for <see cref="Alloc"/>.</safety>
    public void* AllocZeroed()
    {
        if (_bridge is { HasConstructor: true })
        {
            throw new InvalidOperationException($"The cache '{Name}' constructs its objects: clearing one would undo that.");
        }

        void* round = Alloc();
        Memory.Clear(round, ObjectSizeBytes);
        return round;
    }

    /// <summary>Gives an object back, in constructed state where the cache has a constructor. Null is not allowed.</summary>
    /// <param name="pointer">An object of this cache.</param>
    /// <exception cref="KmemMisuseException">The pointer is foreign, inside an object, of another cache, or free already.</exception>
    /// <exception cref="ObjectDisposedException">The cache was disposed.</exception>
    /// <safety>The object is not used afterwards by anyone.</safety>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Free(void* pointer)
    {
        byte here;
        if (_hasFronts)
        {
            if (FastPath.TryFindObject(SharedFronts.FirstBase, SharedFronts.Frontier, SharedFronts.MemoryMap, pointer, out Page* page)
                && page->CacheIndex == _index
                && ThreadFronts.TryFind(SharedFronts.Windows, &here, out ThreadFront* front)
                && ThreadFront.TryPush(front, ThreadFront.EntryOf(front, page->FrontEntry), pointer))
            {
                return;
            }
        }
        else if (FastPath.TryFreeOf(_index, _slot, _firstBase, _frontier, _memoryMap, _restartable, pointer))
        {
            return;
        }

        FreeSlow(pointer, &here);
    }

    /// <summary>Fills the span with objects: all or none.</summary>
    /// <param name="objects">Receives the objects' addresses.</param>
    /// <returns>False when memory ran out or the constructor refused; then nothing was allocated.</returns>
    /// <exception cref="ObjectDisposedException">The cache was disposed.</exception>
    public bool AllocBulk(Span<nint> objects)
    {
        ThrowIfDisposed();
        _ = ConstructorBridge.TakeRefusal();
        fixed (nint* start = objects)
        {
            bool done = Cache.AllocateBulk(_core, (nuint*)start, objects.Length);
            if (!done && !ConstructorBridge.Refused && !Face.TakeInjectedFault())
            {
                SizedHeap.ReclaimUnused(_heap.Core);
                done = Cache.AllocateBulk(_core, (nuint*)start, objects.Length);
            }

            if (!done)
            {
                objects.Clear();
                ConstructorBridge.ThrowPending();
                _heap.ThrowIfDamage();
                return false;
            }

            if (DamageReport.HasPending)
            {
                // What was found on the way: the caller gets none of what is whole either.
                KmemMisuseException? damage = DamageReport.TakePending();
                Cache.FreeBulk(_core, (nuint*)start, objects.Length, null);
                objects.Clear();
                throw damage!;
            }
        }

        if (_clearsOnAlloc)
        {
            foreach (nint each in objects)
            {
                Memory.Clear((void*)each, ObjectSizeBytes);
            }
        }

        return true;
    }

    /// <summary>Gives many objects back.</summary>
    /// <param name="objects">Addresses of objects of this cache. All are checked before the first is freed.</param>
    /// <exception cref="KmemMisuseException">One is not a live object of this cache: then nothing was freed, unless it was freed twice, which is found on the way.</exception>
    /// <exception cref="ObjectDisposedException">The cache was disposed.</exception>
    public void FreeBulk(ReadOnlySpan<nint> objects)
    {
        ThrowIfDisposed();
        foreach (nint each in objects)
        {
            ThrowIfMisuse(SizedHeap.CheckForCache(_heap.Core, _core, (void*)each), (void*)each, nameof(FreeBulk));
        }

        SlabFault fault = default;
        fixed (nint* start = objects)
        {
            Cache.FreeBulk(_core, (nuint*)start, objects.Length, &fault);
        }

        if (fault.Count != 0)
        {
            ThrowIfMisuse(Misuse.AlreadyFree, (void*)fault.Object, nameof(FreeBulk));
        }

        _heap.ThrowIfDoubleFree();
        _heap.ThrowIfDamage();
    }

    /// <summary>What is checked in this cache. May be changed at any time: objects that are live keep the layout that they were allocated with.</summary>
    /// <exception cref="OutOfMemoryException">There is no memory for the checks: nothing has changed.</exception>
    /// <exception cref="ObjectDisposedException">The cache was disposed.</exception>
    public KmemChecks Checks
    {
        get
        {
            ThrowIfDisposed();
            return (KmemChecks)CheckSwitch.Get(_core);
        }

        set
        {
            ThrowIfDisposed();
            _heap.SetChecks(_core, value);
        }
    }

    /// <summary>What fails while <see cref="KmemChecks.Faults"/> is on. Counting starts anew.</summary>
    /// <param name="plan">The plan; null: nothing fails.</param>
    /// <exception cref="ObjectDisposedException">The cache was disposed.</exception>
    public void SetFaults(KmemFaultPlan? plan)
    {
        ThrowIfDisposed();
        KmemHeap.SetFaults(_core, plan);
    }

    /// <summary>Empties the magazines and gives every empty slab back to the page allocator.</summary>
    /// <returns>Slabs given back.</returns>
    /// <exception cref="KmemMisuseException">An object that was freed twice was found on the way.</exception>
    /// <exception cref="ObjectDisposedException">The cache was disposed.</exception>
    public int Shrink()
    {
        ThrowIfDisposed();
        int slabs = Cache.Shrink(_core);
        _heap.ThrowIfDoubleFree();
        _heap.ThrowIfDamage();
        return slabs;
    }

    /// <summary>Walks and recounts the cache's structures.</summary>
    /// <exception cref="InvalidOperationException">A structure is broken; the message says which.</exception>
    /// <exception cref="ObjectDisposedException">The cache was disposed.</exception>
    public void Validate()
    {
        ThrowIfDisposed();
        HeapValidation.ValidateCache(_core, Name, isAlone: true);
        _heap.ThrowIfDamage();
    }

    /// <summary>Figures of this moment.</summary>
    /// <returns>The figures.</returns>
    /// <exception cref="ObjectDisposedException">The cache was disposed.</exception>
    public KmemCacheStatistics GetStatistics()
    {
        ThrowIfDisposed();
        return HeapSnapshot.OfCache(_core);
    }

    /// <summary>Ends the cache: objects in magazines are destroyed, and its slabs go back to the page allocator.</summary>
    /// <exception cref="KmemMisuseException">
    /// Objects are out: the message lists them, with the letter U by who allocated them, and the cache lives on. Or something was found on the way that was freed twice or damaged:
    /// then the cache has ended all the same.
    /// </exception>
    public void Dispose()
    {
        if (_core == null || _heap.IsDisposed)
        {
            return;
        }

        Cache* core = _core;
        (_slot, _allocSlot, _allocEntry, _index) = (_emptySlot, _emptySlot, 0, -1);
        if (!Cache.TryDestroy(core))
        {
            _slot = core->Slot;
            _index = core->Index;
            LetAllocate(core);
            MisuseReport.RaiseLiveObjects(_heap, core, Name);
            return;
        }

        _core = null;
        _heap.Unregister(this);
        _bridge?.Dispose();
        _heap.ThrowIfDoubleFree();
        _heap.ThrowIfDamage();
    }

    /// <summary>The heap goes and takes the cache along: from here on every call takes the slow rung and finds it disposed.</summary>
    internal void Detach()
    {
        (_slot, _allocSlot, _allocEntry, _index) = (_emptySlot, _emptySlot, 0, -1);
        _frontier = EmptySlot.Frontier;
        _core = null;
        _bridge?.Dispose();
    }

    /// <summary>The first rung of allocation works, unless objects are cleared on the way. Entry 0 of a front never has a magazine.</summary>
    private void LetAllocate(Cache* core)
    {
        _allocSlot = _clearsOnAlloc ? _emptySlot : _slot;
        _allocEntry = _clearsOnAlloc || core->FrontOffset == 0 ? 0 : (nuint)core->Index;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void* AllocSlow(void* stackAddress)
    {
        LetFindFront(stackAddress);
        void* round = TryAllocSlow();
        if (round == null)
        {
            throw ConstructorBridge.TakeRefusal()
                ? new InvalidOperationException($"The constructor of the cache '{Name}' refused.")
                : _heap.OutOfMemory($"an object of the cache '{Name}' ({ObjectSizeBytes} bytes)");
        }

        return round;
    }

    private void* TryAllocSlow()
    {
        ThrowIfDisposed();
        _ = ConstructorBridge.TakeRefusal();
        void* round = Cache.Allocate(_core);
        ConstructorBridge.ThrowPending();
        if (round == null && !ConstructorBridge.Refused && !Face.TakeInjectedFault())
        {
            SizedHeap.ReclaimUnused(_heap.Core);
            round = Cache.Allocate(_core);
            ConstructorBridge.ThrowPending();
        }

        round = _heap.ThrowIfDamage(round);

        if (round != null && _clearsOnAlloc)
        {
            Memory.Clear(round, ObjectSizeBytes);
        }

        return round;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void FreeSlow(void* pointer, void* stackAddress)
    {
        ThrowIfDisposed();
        LetFindFront(stackAddress);
        ThrowIfMisuse(SizedHeap.FreeToCache(_heap.Core, _core, pointer), pointer, nameof(Free));
        _heap.ThrowIfDoubleFree();
        _heap.ThrowIfDamage();
    }

    /// <summary>From where the caller looked for its thread's front, it finds it the next time.</summary>
    private void LetFindFront(void* stackAddress)
    {
        if (_hasFronts && _core != null)
        {
            ThreadFronts.LetFind(&_heap.Core->Registry, stackAddress);
        }
    }

    /// <summary>The text is made only for a mistake: slow rungs allocate nothing managed.</summary>
    private void ThrowIfMisuse(Misuse misuse, void* pointer, string operation)
    {
        if (misuse != Misuse.None)
        {
            _heap.ThrowIfMisuse(misuse, pointer, $"{operation} to the cache '{Name}'", _core);
        }
    }

    private void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(_core == null || _heap.IsDisposed, this);

    internal static void ThrowIfNotName(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        foreach (char character in name)
        {
            if (char.IsWhiteSpace(character) || char.IsControl(character))
            {
                throw new ArgumentException($"The name '{name}' has white space or control characters, which would break tables.", nameof(name));
            }
        }

        if (Encoding.UTF8.GetByteCount(name) > Cache.NameBytesMax)
        {
            throw new ArgumentException($"The name '{name}' has more than {Cache.NameBytesMax} bytes in UTF-8.", nameof(name));
        }
    }
}
