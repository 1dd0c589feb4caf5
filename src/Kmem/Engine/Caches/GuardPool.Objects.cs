using Kmem.Engine.Os;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Caches;

/// <summary>Allocating, freeing and looking at guarded objects.</summary>
internal unsafe partial struct GuardPool
{
    // ------------------------------------------------------------------ allocate

    /// <summary>
    /// For an allocation on a slow rung, while the gate is open: passes it, once. False: the rungs are to serve. True and null: the constructor refused.
    /// </summary>
    public static bool TryPassGate(Cache* cache, nuint requestedBytes, out void* result)
    {
        result = null;
        return TwinOf(cache) != null
            && Atomic.CompareExchange(&cache->Registry->Guards._gate, GateOpen, GateShut)
            && TryAllocate(cache, requestedBytes, out result);
    }

    /// <summary>An object on a page of its own, constructed. False and true as above.</summary>
    public static bool TryAllocate(Cache* cache, nuint requestedBytes, out void* result)
    {
        result = null;
        CacheRegistry* registry = cache->Registry;
        Cache* twin = TwinOf(cache);
        if (twin == null || !IsReadyOrMade(registry))
        {
            return false;
        }

        GuardSlot* slot = TakeSlot(registry);
        if (slot == null)
        {
            _ = Atomic.Add(&registry->Guards.Skipped, 1);
            return false;
        }

        nuint page = PageOf(registry, slot);
        if (!TrySetAccessible(registry, page, true))
        {
            PutSlot(registry, slot);
            return false;
        }

        Atomic.Store(&slot->State, (uint)GuardState.Unused);
        uint capacity = twin->Checked.CapacityBytes;
        Place(twin, slot, page, requestedBytes < capacity ? requestedBytes : capacity);
        if (twin->Constructor != null && !twin->Constructor((void*)slot->Object, twin->Context))
        {
            Zone.PageOf(registry->Zone, (void*)page)->CacheIndex = 0;
            _ = TrySetAccessible(registry, page, false);
            PutSlot(registry, slot);
            return true;
        }

        NoteAllocated(cache, twin, slot);
        result = (void*)slot->Object;
        return true;
    }

    /// <summary>Chooses where the object is, reddens what is beside it, and makes the descriptor of its page say so.</summary>
    private static void Place(Cache* twin, GuardSlot* slot, nuint page, nuint requestedBytes)
    {
        CacheRegistry* registry = twin->Registry;
        bool isRight = (Atomic.NextRandom(&registry->Guards._random) >> 32 & 1) != 0;
        nuint alignment = CheckedLayout.NaturalAlignment(twin->Slabs.Layout);
        nuint address = isRight ? Address.AlignDown(page + Address.PageSizeBytes - requestedBytes, alignment) : page;
        slot->Object = address;
        slot->CacheIndex = twin->Index;
        slot->Track = default;
        slot->Track.RequestedBytes = (uint)requestedBytes;
        Memory.Fill((void*)page, Address.PageSizeBytes, CheckedObject.ZoneOfLive);
        Memory.Fill((void*)address, requestedBytes, CheckedObject.Poison);

        Page* descriptor = Zone.PageOf(registry->Zone, (void*)page);
        descriptor->SlabLow = (uint)address;
        descriptor->ObjectUnits = 1;
        descriptor->StrideReciprocal = 1;
        descriptor->FrontEntry = 0;
        descriptor->PageInSlab = 0;
        descriptor->FreeObjects = 0;
        descriptor->FreeBits[0] = 0;
        descriptor->CacheIndex = twin->Index;
    }

    private static void NoteAllocated(Cache* cache, Cache* twin, GuardSlot* slot)
    {
        GuardPool* pool = &twin->Registry->Guards;
        slot->Track.AllocMilliseconds = Face.CoarseMilliseconds();
        slot->Track.AllocThread = Face.CurrentThreadNumber();
        slot->Track.AllocStack = Face.CaptureStack();
        slot->Track.NextOrScope = Face.CurrentScope(cache);
        slot->TextBytes = Face.DescribeGuarded(twin, slot, isFreed: false);
        _ = Atomic.Add(&pool->Allocated, 1);
        _ = Atomic.Add(&pool->Live, 1);
        _ = Atomic.Add(&twin->LiveGuarded, 1);
        _ = Atomic.Add(&twin->DirectAllocs, 1);
        Atomic.Store(&slot->State, (uint)GuardState.Live);
    }

    // ------------------------------------------------------------------ free, the mirror

    /// <summary>The caller has checked that the address starts an object of this twin. False: it is free already.</summary>
    public static bool Free(Cache* twin, void* pointer)
    {
        CacheRegistry* registry = twin->Registry;
        nuint address = (nuint)pointer;
        GuardSlot* slot = SlotOf(registry, address);
        while (!Atomic.CompareExchange(&slot->State, (uint)GuardState.Live, (uint)GuardState.Leaving))
        {
            if (Atomic.Load(&slot->State) is (uint)GuardState.Leaving or (uint)GuardState.Freed)
            {
                return false;
            }

            Face.SpinPause();
        }

        Damage damage = default;
        if (!IsWhole(registry, slot, &damage))
        {
            Face.ReportDamage(twin, &damage, Face.PolicyFor(twin));
        }

        if ((CheckSwitch.Get(CacheRegistry.At(registry, twin->TwinOf)) & CacheChecks.Trace) != 0)
        {
            Face.TraceFreed(twin, pointer);
        }

        Cache.NoteFreedInSweep(registry, address);
        if (twin->Destructor != null)
        {
            twin->Destructor(pointer, twin->Context);
        }

        slot->Track.FreeMilliseconds = Face.CoarseMilliseconds();
        slot->Track.FreeThread = Face.CurrentThreadNumber();
        slot->Track.FreeStack = Face.CaptureStack();
        slot->TextBytes = Face.DescribeGuarded(twin, slot, isFreed: true);
        Zone.PageOf(registry->Zone, pointer)->FreeBits[0] = 1;
        Atomic.Store(&slot->State, (uint)GuardState.Freed);

        // Where the OS refuses, the page stays accessible: less is found.
        _ = TrySetAccessible(registry, PageOf(registry, slot), false);
        _ = Atomic.Add(&registry->Guards.Live, -1);
        _ = Atomic.Add(&twin->LiveGuarded, -1);
        _ = Atomic.Add(&twin->DirectFrees, 1);
        PutSlot(registry, slot);
        return true;
    }

    /// <summary>A live object has fewer bytes in use from now on: what is beyond them is red. False: somebody wrote there.</summary>
    public static bool TryResize(Cache* twin, void* pointer, nuint requestedBytes)
    {
        GuardSlot* slot = SlotOf(twin->Registry, (nuint)pointer);
        Damage damage = default;
        if (!IsWhole(twin->Registry, slot, &damage))
        {
            return false;
        }

        nuint end = PageOf(twin->Registry, slot) + Address.PageSizeBytes;
        slot->Track.RequestedBytes = (uint)requestedBytes;
        Memory.Fill((byte*)pointer + requestedBytes, end - (nuint)pointer - requestedBytes, CheckedObject.ZoneOfLive);
        slot->TextBytes = Face.DescribeGuarded(twin, slot, isFreed: false);
        return true;
    }

    // ------------------------------------------------------------------ looking

    /// <summary>Bounds of the page that an object has for itself.</summary>
    public static void PageOf(CacheRegistry* registry, nuint address, out nuint start, out nuint end)
    {
        start = Address.AlignDown(address, Address.PageSizeBytes);
        end = start + Address.PageSizeBytes;
        Invariant.Holds(Contains(registry, address));
    }

    public static bool IsLive(GuardSlot* slot) => (GuardState)Atomic.Load(&slot->State) is GuardState.Live or GuardState.LookedAt;

    /// <summary>Calls <paramref name="visit"/>(context, object) for each object of the twin that somebody has. Takes no lock: an object may be freed meanwhile.</summary>
    public static void VisitLive(Cache* twin, delegate*<void*, nuint, void> visit, void* context)
    {
        GuardPool* pool = &twin->Registry->Guards;
        for (int index = 0; index < Atomic.Load(&pool->_used); index++)
        {
            GuardSlot* slot = pool->_table + index;
            if (IsLive(slot) && slot->CacheIndex == twin->Index)
            {
                visit(context, slot->Object);
            }
        }
    }

    /// <summary>Finds live objects of the twin beside which somebody wrote, as many as there is room for, and makes that red again; returns how many.</summary>
    public static int FindDamage(Cache* twin, Damage* found, DamagedBytes* kept, int room)
    {
        GuardPool* pool = &twin->Registry->Guards;
        int count = 0;
        for (int index = 0; index < Atomic.Load(&pool->_used) && count < room; index++)
        {
            // Whoever frees it must wait for us: the page is shut then.
            GuardSlot* slot = pool->_table + index;
            if (slot->CacheIndex != twin->Index || !Atomic.CompareExchange(&slot->State, (uint)GuardState.Live, (uint)GuardState.LookedAt))
            {
                continue;
            }

            if (!IsWhole(twin->Registry, slot, &found[count]))
            {
                nuint page = PageOf(twin->Registry, slot);
                CheckedObject.Keep(&found[count], page, page + Address.PageSizeBytes, &kept[count]);
                Memory.Fill((void*)found[count].Address, found[count].Bytes, CheckedObject.ZoneOfLive);
                count++;
            }

            Atomic.Store(&slot->State, (uint)GuardState.Live);
        }

        return count;
    }

    /// <summary>The cache ends: no page says any more that it is its.</summary>
    public static void Forget(Cache* twin)
    {
        GuardPool* pool = &twin->Registry->Guards;
        for (int index = 0; index < Atomic.Load(&pool->_used); index++)
        {
            GuardSlot* slot = pool->_table + index;
            if (slot->CacheIndex == twin->Index)
            {
                Invariant.Holds(slot->State != (uint)GuardState.Live);
                Zone.PageOf(twin->Registry->Zone, (void*)PageOf(twin->Registry, slot))->CacheIndex = 0;
                Atomic.Store(&slot->State, (uint)GuardState.Unused);
            }
        }
    }

    private static bool IsWhole(CacheRegistry* registry, GuardSlot* slot, Damage* damage)
    {
        nuint page = PageOf(registry, slot);
        nuint end = slot->Object + slot->Track.RequestedBytes;
        return CheckedObject.Is(page, slot->Object - page, CheckedObject.ZoneOfLive, DamageKind.LeftZone, slot->Object, damage)
            && CheckedObject.Is(end, page + Address.PageSizeBytes - end, CheckedObject.ZoneOfLive, DamageKind.RightZone, slot->Object, damage);
    }

    private static bool TrySetAccessible(CacheRegistry* registry, nuint page, bool accessible)
    {
        OsTable* os = registry->Os;
        return os->Protect(os->Context, (void*)page, Address.PageSizeBytes, accessible);
    }

    /// <summary>Null where the cache cannot have guarded objects, there is no memory for a twin, or the reaper is at work.</summary>
    private static Cache* TwinOf(Cache* cache)
    {
        if (Atomic.Load(&cache->GuardedBy) == 0)
        {
            SlabLayout* layout = &cache->Slabs.Layout;
            bool fits = cache->CapacityBytes <= Address.PageSizeBytes && !Slab.UsesBitTable(layout);
            Atomic.Store(&cache->GuardedBy, fits ? CheckSwitch.TryMakeTwin(cache, CacheChecks.Guarded) : -1);
        }

        int twin = Atomic.Load(&cache->GuardedBy);
        return twin <= 0 ? null : CacheRegistry.At(cache->Registry, twin);
    }
}
