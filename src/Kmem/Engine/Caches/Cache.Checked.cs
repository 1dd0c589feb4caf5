using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Caches;

// Theory of checked caches.
//
// Checks of a cache are switched on and off while it is in use. Its objects cannot change their layout, so a cache whose objects are to be
// checked gets a *twin*: a cache of its own, with the checked layout, without magazines. The cache allocates from the twin while the checks are
// on; an object is freed to the cache that its page names. So what was allocated before drains from the slabs that it is in, and nothing is looked up.
//
//      checks on     CheckedBy = twin, the magazines of the cache are emptied: from now on every rung finds nothing and every call is slow
//      checks off    CheckedBy = 0
//
// Other letters are another twin. Twins live as long as their cache; what they have in slabs goes back to the pages as from any cache.
//
// The inlined rungs do not know of checks: where a cache has no magazines they find nothing, as ever.
//
// Freed objects of a twin wait in a queue, the oldest first, before they go to their slab: a write after free finds its object free, and a second
// free finds what the first has left. They count as the twin's depot, whose lock guards the queue.
//
//      state     Free → Live → Leaving → Free            each step by one exchange: of two frees one is the second
//                any → SetAside                          damaged: stays out of the slab for good

/// <summary>Allocation and free of checked objects.</summary>
internal unsafe partial struct Cache
{
    /// <summary>Damaged objects that an allocation passes over before it gives up.</summary>
    private const int DamagedTriesMax = 64;

    public readonly bool IsTwin => (Flags & CacheFlags.Twin) != 0;

    /// <summary>Index of the cache as its user knows it.</summary>
    public readonly int UserIndex => IsTwin ? TwinOf : Index;

    /// <summary>Bytes that a caller may use of an object: of a size class all of it.</summary>
    public readonly uint CapacityBytes => IsTwin ? Checked.CapacityBytes
        : (Flags & CacheFlags.SizeClass) != 0 ? Slabs.Layout.StrideBytes
        : Slabs.Layout.ObjectSizeBytes;

    private static void* AllocateChecked(Cache* cache, Cache* twin, nuint requestedBytes)
    {
        if ((twin->Checks & CacheChecks.Faults) != 0 && (FaultPlan.Fails(&cache->Plan) || FailsInSweep(cache->Registry)))
        {
            Face.NoteInjectedFault();
            return null;
        }

        if (((twin->Checks & CacheChecks.Guard) != 0 || GuardPool.IsOpen(cache->Registry)) && TryAllocateGuarded(cache, twin, requestedBytes, out void* guarded))
        {
            return guarded;
        }

        CheckedLayout* layout = &twin->Checked;
        for (int tries = 0; tries < DamagedTriesMax; tries++)
        {
            nuint address = TakeChecked(twin);
            if (address == 0)
            {
                return null;
            }

            Damage damage = default;
            if (!CheckedObject.IsFreeObjectWhole(layout, address, &damage) || !IsSlabWhole(twin, address, &damage))
            {
                if (!Repairs(twin, &damage))
                {
                    continue;
                }

                CheckedObject.MakeFree(layout, address);
            }

            if (layout->HasTrack)
            {
                CheckedObject.SetState(layout, address, TrackState.Leaving);
            }

            CheckedObject.MakeLive(layout, address, requestedBytes < layout->CapacityBytes ? requestedBytes : layout->CapacityBytes);
            NoteAllocated(layout, cache, address);
            if (twin->Constructor != null && !twin->Constructor((void*)address, twin->Context))
            {
                CheckedObject.MakeFree(layout, address);
                ReturnChecked(twin, address);
                return null;
            }

            if ((twin->Checks & CacheChecks.Trace) != 0)
            {
                Face.TraceAllocated(cache, (void*)address, requestedBytes);
            }

            if ((twin->Checks & CacheChecks.Faults) != 0)
            {
                NoteAllocatedInSweep(cache->Registry, address, requestedBytes);
            }

            return (void*)address;
        }

        return null;
    }

    /// <summary>What waits longest, if enough waits, else from the slabs; before memory is out, all that waits goes there first.</summary>
    private static nuint TakeChecked(Cache* twin)
    {
        nuint address = TakeOldest(twin);
        if (address != 0)
        {
            return address;
        }

        if (SlabLists.TakeObjects(&twin->Slabs, &address, 1, 0) == 0)
        {
            EmptyQueue(twin);
            if (SlabLists.TakeObjects(&twin->Slabs, &address, 1, 0) == 0)
            {
                return 0;
            }
        }

        _ = Atomic.Add(&twin->DirectAllocs, 1);
        return address;
    }

    private static void NoteAllocated(CheckedLayout* layout, Cache* cache, nuint address)
    {
        if (!layout->HasTrack)
        {
            return;
        }

        ObjectTrack* track = CheckedObject.TrackOf(layout, address);
        track->NextOrScope = 0;
        if ((layout->Checks & CacheChecks.Users) != 0)
        {
            track->AllocMilliseconds = Face.CoarseMilliseconds();
            track->FreeThread = 0;
            track->AllocThread = Face.CurrentThreadNumber();
            track->AllocStack = Face.CaptureStack();
            track->NextOrScope = Face.CurrentScope(cache);
        }

        CheckedObject.SetState(layout, address, TrackState.Live);
    }

    // ------------------------------------------------------------------ free, the mirror

    /// <summary>The caller has checked that the address starts an object of this twin. False: it is free already.</summary>
    public static bool FreeChecked(Cache* twin, void* pointer)
    {
        if ((twin->Checks & CacheChecks.Guarded) != 0)
        {
            return GuardPool.Free(twin, pointer);
        }

        nuint address = (nuint)pointer;
        CheckedLayout* layout = &twin->Checked;
        Damage damage = default;
        bool isWhole = CheckedObject.IsLiveObjectWhole(layout, address, &damage);
        if (layout->HasTrack && !CheckedObject.TryChangeState(layout, address, TrackState.Live, TrackState.Leaving))
        {
            TrackState state = CheckedObject.StateOf(layout, address);
            if (state is TrackState.Free or TrackState.Leaving or TrackState.SetAside || SlabLists.IsInSlab(&twin->Slabs, pointer))
            {
                return false;
            }

            isWhole = CheckedObject.TellOfTrack(layout, address, &damage);
            CheckedObject.SetState(layout, address, TrackState.Leaving);
        }
        else if (!layout->HasTrack && SlabLists.IsInSlab(&twin->Slabs, pointer))
        {
            return false;
        }

        isWhole = isWhole && IsSlabWhole(twin, address, &damage);
        if (!isWhole && !Repairs(twin, &damage))
        {
            return true;
        }

        if ((twin->Checks & CacheChecks.Trace) != 0)
        {
            Face.TraceFreed(twin, pointer);
        }

        if ((twin->Checks & CacheChecks.Faults) != 0)
        {
            NoteFreedInSweep(twin->Registry, address);
        }

        if (twin->Destructor != null)
        {
            twin->Destructor(pointer, twin->Context);
        }

        if ((layout->Checks & CacheChecks.Sampled) != 0)
        {
            Sampling.NoteFreed(twin, address);
            ReturnSampled(twin, address);
            return true;
        }

        CheckedObject.MakeFree(layout, address);
        if (!layout->HasTrack)
        {
            _ = Atomic.Add(&twin->DirectFrees, 1);
            ReturnChecked(twin, address);
            return true;
        }

        if ((layout->Checks & CacheChecks.Users) != 0)
        {
            ObjectTrack* track = CheckedObject.TrackOf(layout, address);
            track->FreeMilliseconds = Face.CoarseMilliseconds();
            track->FreeThread = Face.CurrentThreadNumber();
            track->FreeStack = Face.CaptureStack();
        }

        LetWait(twin, address);
        return true;
    }

    private static void ReturnCheckedBulk(Cache* twin, nuint* objects, int count)
    {
        if (twin->SetAsideSlabs[0] == 0 && count != 0)
        {
            SlabFault fault = default;
            SlabLists.ReturnObjects(&twin->Slabs, objects, count, 0, &fault);
            if (fault.Count != 0)
            {
                CacheRegistry.NoteDoubleFree(twin->Registry, twin, fault);
            }

            return;
        }

        for (int index = 0; index < count; index++)
        {
            ReturnChecked(twin, objects[index]);
        }
    }

    private static void ReturnChecked(Cache* twin, nuint address)
    {
        if (IsInSetAsideSlab(twin, address))
        {
            SetAside(twin, address);
            return;
        }

        if (twin->Checked.HasTrack)
        {
            CheckedObject.SetState(&twin->Checked, address, TrackState.Free);
        }

        SlabFault fault = default;
        SlabLists.ReturnObjects(&twin->Slabs, &address, 1, 0, &fault);
        if (fault.Count != 0)
        {
            CacheRegistry.NoteDoubleFree(twin->Registry, twin, fault);
        }
    }
}
