using Kmem.Engine.Slabs;

namespace Kmem.Engine.Caches;

/// <summary>What is known of a checked object, wherever that is kept: behind it, or beside the pool of guarded ones (<c>GuardPool.cs</c>).</summary>
internal unsafe partial struct Cache
{
    /// <summary>Whether somebody has an object of this twin, as far as can be told: a damaged track tells nothing.</summary>
    public static bool IsLive(Cache* twin, nuint address) => (twin->Checks & CacheChecks.Guarded) != 0
        ? GuardPool.IsLive(GuardPool.SlotOf(twin->Registry, address))
        : !SlabLists.IsInSlab(&twin->Slabs, (void*)address)
            && (!twin->Checked.HasTrack || CheckedObject.StateOf(&twin->Checked, address) is not (TrackState.Free or TrackState.Leaving or TrackState.SetAside));

    /// <summary>What is known of an object; null where nothing is.</summary>
    public static ObjectTrack* TrackOf(Cache* twin, nuint address) =>
        (twin->Checks & CacheChecks.Guarded) != 0 ? &GuardPool.SlotOf(twin->Registry, address)->Track
        : twin->Checked.HasTrack ? CheckedObject.TrackOf(&twin->Checked, address)
        : null;

    /// <summary>
    /// A live object has another number of bytes in use from now on: what is beyond them is red. False: somebody wrote there, which the free finds that ends a move.
    /// </summary>
    public static bool TryResize(Cache* cache, void* pointer, nuint requestedBytes)
    {
        if ((cache->Checks & CacheChecks.Guarded) != 0)
        {
            return GuardPool.TryResize(cache, pointer, requestedBytes);
        }

        if (cache->IsTwin)
        {
            CheckedLayout* layout = &cache->Checked;
            Damage damage = default;
            if (!CheckedObject.IsLiveObjectWhole(layout, (nuint)pointer, &damage))
            {
                return false;
            }

            bool isLive = layout->HasTrack && CheckedObject.TryChangeState(layout, (nuint)pointer, TrackState.Live, TrackState.Leaving);
            CheckedObject.MakeLive(layout, (nuint)pointer, requestedBytes < layout->CapacityBytes ? requestedBytes : layout->CapacityBytes);
            if (isLive)
            {
                CheckedObject.SetState(layout, (nuint)pointer, TrackState.Live);
            }

            if ((layout->Checks & CacheChecks.Sampled) != 0)
            {
                Face.NoteSampleResized(cache->Registry, CheckedObject.TrackOf(layout, (nuint)pointer)->NextOrScope, layout->CapacityBytes, requestedBytes);
            }
        }

        return true;
    }

    /// <summary>For a checked cache: on guarded pages with the letter G, or where the gate is open. False: the twin is to serve.</summary>
    private static bool TryAllocateGuarded(Cache* cache, Cache* twin, nuint requestedBytes, out void* result)
    {
        bool isDone = (twin->Checks & CacheChecks.Guard) != 0
            ? GuardPool.TryAllocate(cache, requestedBytes, out result)
            : GuardPool.TryPassGate(cache, requestedBytes, out result);
        if (isDone && result != null)
        {
            if ((twin->Checks & CacheChecks.Trace) != 0)
            {
                Face.TraceAllocated(cache, result, requestedBytes);
            }

            NoteAllocatedInSweep(cache->Registry, (nuint)result, requestedBytes);
        }

        return isDone;
    }
}
