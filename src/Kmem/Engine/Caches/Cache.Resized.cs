using Kmem.Engine.Slabs;

namespace Kmem.Engine.Caches;

/// <summary>Checked objects that change their size in place.</summary>
internal unsafe partial struct Cache
{
    /// <summary>
    /// A live object has another number of bytes in use from now on: what is beyond them is red. False: somebody wrote there, which the free finds that ends a move.
    /// </summary>
    public static bool TryResize(Cache* cache, void* pointer, nuint requestedBytes)
    {
        if (!cache->IsTwin)
        {
            return true;
        }

        if ((cache->Checks & CacheChecks.Guarded) != 0)
        {
            return GuardPool.TryResize(cache, pointer, requestedBytes);
        }

        CheckedLayout* layout = &cache->Checked;
        nuint address = (nuint)pointer;
        Damage damage = default;
        if (!CheckedObject.IsLiveObjectWhole(layout, address, &damage))
        {
            return false;
        }

        bool isLive = layout->HasTrack && CheckedObject.TryChangeState(layout, address, TrackState.Live, TrackState.Leaving);
        CheckedObject.MakeLive(layout, address, requestedBytes < layout->CapacityBytes ? requestedBytes : layout->CapacityBytes);
        if (isLive)
        {
            CheckedObject.SetState(layout, address, TrackState.Live);
        }

        if ((layout->Checks & CacheChecks.Sampled) != 0)
        {
            Face.NoteSampleResized(cache->Registry, CheckedObject.TrackOf(layout, address)->NextOrScope, layout->CapacityBytes, requestedBytes);
        }

        return true;
    }

    /// <summary>Whether nobody has an object of this twin any more, as far as can be told: a damaged track tells nothing.</summary>
    public static bool IsFreed(Cache* twin, nuint address)
    {
        if ((twin->Checks & CacheChecks.Guarded) != 0)
        {
            return !GuardPool.IsLive(GuardPool.SlotOf(twin->Registry, address));
        }

        return SlabLists.IsInSlab(&twin->Slabs, (void*)address)
            || (twin->Checked.HasTrack && CheckedObject.StateOf(&twin->Checked, address) is TrackState.Free or TrackState.Leaving or TrackState.SetAside);
    }
}
