using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Caches;

/// <summary>Looking at all objects of a twin while others allocate and free.</summary>
/// <remarks>
/// What is in its slab does not change under the lock of the slabs, and what waits in the queue not under that of the depot. An object in somebody's hands may be freed
/// while it is looked at: what seems damaged counts only if it is live and damaged at a second look.
/// </remarks>
internal unsafe partial struct Cache
{
    /// <summary>
    /// Finds damaged objects, as many as there is room for, and makes them whole again, so that each is told of once; returns how many. What they
    /// looked like is kept.
    /// </summary>
    public static int FindDamage(Cache* twin, Damage* found, DamagedBytes* kept, int room)
    {
        if ((twin->Checks & CacheChecks.Guarded) != 0)
        {
            return GuardPool.FindDamage(twin, found, kept, room);
        }

        DamageWalk walk = new() { Twin = twin, Found = found, Kept = kept, Room = room };
        RankedLock.Enter(&twin->Depot.Lock, LockRank.Depot);
        nuint address = twin->QueueHead;
        for (long left = twin->QueueLength; left > 0 && walk.Count < room; left--)
        {
            nuint next = NextInQueueLocked(twin, address, &left);
            LookAtFree(&walk, address);
            address = next;
        }

        RankedLock.Exit(&twin->Depot.Lock, LockRank.Depot);

        // Last, so that what waits has a state that makes sense: a nonsensical one is that of an object in somebody's hands.
        SlabLists.VisitObjects(&twin->Slabs, &LookAt, &walk);
        return walk.Count;
    }

    /// <summary>Calls <paramref name="visit"/>(context, object) for each object that somebody has. The visitor must not call back.</summary>
    public static void VisitLive(Cache* cache, delegate*<void*, nuint, void> visit, void* context)
    {
        if ((cache->Checks & CacheChecks.Guarded) != 0)
        {
            GuardPool.VisitLive(cache, visit, context);
            return;
        }

        LiveWalk walk = new() { Cache = cache, Visit = visit, Context = context };
        SlabLists.VisitObjects(&cache->Slabs, &PassLive, &walk);
    }

    private static void PassLive(void* context, nuint address, bool isInSlab)
    {
        LiveWalk* walk = (LiveWalk*)context;
        CheckedLayout* layout = &walk->Cache->Checked;
        if (!isInSlab && (!layout->HasTrack || CheckedObject.StateOf(layout, address) == TrackState.Live))
        {
            walk->Visit(walk->Context, address);
        }
    }

    private static void LookAt(void* context, nuint address, bool isInSlab)
    {
        DamageWalk* walk = (DamageWalk*)context;
        CheckedLayout* layout = &walk->Twin->Checked;
        if (isInSlab)
        {
            LookAtFree(walk, address);
        }
        else if (layout->HasTrack && walk->Count < walk->Room)
        {
            Damage* damage = &walk->Found[walk->Count];
            for (int look = 0; look < 2; look++)
            {
                TrackState state = CheckedObject.StateOf(layout, address);
                if ((state != TrackState.Live && CheckedObject.IsState(state)) || CheckedObject.IsLiveObjectWhole(layout, address, damage))
                {
                    return;
                }
            }

            CheckedObject.Keep(layout, damage, &walk->Kept[walk->Count++]);
            CheckedObject.RepairLive(layout, address);
        }
    }

    private static void LookAtFree(DamageWalk* walk, nuint address)
    {
        CheckedLayout* layout = &walk->Twin->Checked;
        if (walk->Count < walk->Room && !CheckedObject.IsFreeObjectWhole(layout, address, &walk->Found[walk->Count]))
        {
            CheckedObject.Keep(layout, &walk->Found[walk->Count], &walk->Kept[walk->Count]);
            walk->Count++;
            CheckedObject.MakeFree(layout, address);
            if (layout->HasTrack)
            {
                CheckedObject.SetState(layout, address, TrackState.Free);
            }
        }
    }

    private struct DamageWalk
    {
        public Cache* Twin;
        public Damage* Found;
        public DamagedBytes* Kept;
        public int Room;
        public int Count;
    }

    private struct LiveWalk
    {
        public Cache* Cache;
        public delegate*<void*, nuint, void> Visit;
        public void* Context;
    }
}
