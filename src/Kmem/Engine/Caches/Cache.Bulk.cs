using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Caches;

/// <summary>
/// Many objects at a time: from and to the thread's own magazine where it has one, else whole runs of rounds of the CPU's move in one sequence; large
/// requests go past the magazines.
/// </summary>
internal unsafe partial struct Cache
{
    /// <summary>All of <paramref name="count"/> objects, or none when memory is out or a constructor refused.</summary>
    public static bool AllocateBulk(Cache* cache, nuint* objects, int count)
    {
        int done = 0;
        while (done < count)
        {
            int taken = PopBulk(cache, objects + done, count - done);
            if (taken == 0)
            {
                taken = AllocateRunSlow(cache, objects + done, count - done);
            }

            if (taken == 0)
            {
                FreeBulk(cache, objects, done, null);
                return false;
            }

            done += taken;
        }

        return true;
    }

    /// <summary>
    /// Takes all objects back; each was checked to be one of this cache. Those that are free already are left out; the first is
    /// told in <paramref name="fault"/>, which may be null.
    /// </summary>
    public static void FreeBulk(Cache* cache, nuint* objects, int count, SlabFault* fault)
    {
        if (cache->FirstTwin != 0)
        {
            FreeEachToItsOwn(cache, objects, count, fault);
            return;
        }

        FreeOwn(cache, objects, count, fault);
    }

    private static void FreeOwn(Cache* cache, nuint* objects, int count, SlabFault* fault)
    {
        int done = 0;
        while (done < count)
        {
            int put = PushBulk(cache, objects + done, count - done);
            if (put == 0)
            {
                put = 1;
                if (!FreeSlow(cache, (void*)objects[done]) && fault != null && fault->Count++ == 0)
                {
                    fault->Object = objects[done];
                }
            }

            done += put;
        }
    }

    /// <summary>Some of the objects may be a twin's. Those between them go together.</summary>
    private static void FreeEachToItsOwn(Cache* cache, nuint* objects, int count, SlabFault* fault)
    {
        int own = 0;
        for (int index = 0; index < count; index++)
        {
            ushort owner = Zone.PageOf(cache->Registry->Zone, (void*)objects[index])->CacheIndex;
            if (owner == cache->Index)
            {
                own++;
                continue;
            }

            FreeOwn(cache, objects + index - own, own, fault);
            own = 0;
            if (!Free(CacheRegistry.At(cache->Registry, owner), (void*)objects[index]) && fault != null && fault->Count++ == 0)
            {
                fault->Object = objects[index];
            }
        }

        FreeOwn(cache, objects + count - own, own, fault);
    }

    /// <summary>
    /// More than a magazine's worth where the depot has none: straight from the slabs. Else one object by the ladder, which loads or fills a
    /// magazine of the CPU for the next pop, or of the thread in a heap with fronts.
    /// </summary>
    private static int AllocateRunSlow(Cache* cache, nuint* objects, int count)
    {
        if (cache->IsPlain && cache->CheckedBy == 0 && count > cache->Capacity && Atomic.Load(&cache->Depot.FullCount) == 0)
        {
            int taken = SlabLists.TakeObjects(&cache->Slabs, objects, count, 0);
            _ = Atomic.Add(&cache->DirectAllocs, taken);
            Sampling.Charge(cache, taken);
            return taken;
        }

        objects[0] = (nuint)AllocateSlow(cache);
        return objects[0] != 0 ? 1 : 0;
    }

    private static int PopBulk(Cache* cache, nuint* objects, int count)
    {
        if (cache->FrontOffset != 0)
        {
            ThreadFront* front = Face.CurrentFront();
            int taken = 0;
            while (front != null && taken < count && ThreadFront.TryPop(front, ThreadFront.EntryOf(front, cache), out void* round))
            {
                objects[taken++] = (nuint)round;
            }

            return taken;
        }

        return cache->Registry->Restartable
            ? RestartableSequence.PopBulk(cache->Slot, objects, count)
            : TryLockFrontEnd.PopBulk(WordOf(cache, CacheRegistry.CpuHint(cache->Registry)), objects, count);
    }

    private static int PushBulk(Cache* cache, nuint* objects, int count)
    {
        if (cache->FrontOffset != 0)
        {
            ThreadFront* front = Face.CurrentFront();
            int put = 0;
            while (front != null && put < count && ThreadFront.TryPush(front, ThreadFront.EntryOf(front, cache), (void*)objects[put]))
            {
                put++;
            }

            return put;
        }

        return cache->Registry->Restartable
            ? RestartableSequence.PushBulk(cache->Slot, objects, count)
            : TryLockFrontEnd.PushBulk(WordOf(cache, CacheRegistry.CpuHint(cache->Registry)), objects, count);
    }
}
