using Kmem.Engine.Slabs;

namespace Kmem.Engine.Caches;

/// <summary>Guarded objects among the checked ones. See the theory in <c>GuardPool.cs</c>.</summary>
internal unsafe partial struct Cache
{
    /// <summary>Whether somebody has an object of which something is known.</summary>
    public static bool IsLive(Cache* twin, nuint address) => (twin->Checks & CacheChecks.Guarded) != 0
        ? GuardPool.IsLive(GuardPool.SlotOf(twin->Registry, address))
        : CheckedObject.StateOf(&twin->Checked, address) == TrackState.Live;

    /// <summary>What is known of an object; null where nothing is.</summary>
    public static ObjectTrack* TrackOf(Cache* twin, nuint address) =>
        (twin->Checks & CacheChecks.Guarded) != 0 ? &GuardPool.SlotOf(twin->Registry, address)->Track
        : twin->Checked.HasTrack ? CheckedObject.TrackOf(&twin->Checked, address)
        : null;

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
