using System;
using Kmem.Engine.Caches;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Diagnostics;

/// <summary>Checks every structure of a heap.</summary>
internal static unsafe class HeapValidation
{
    public static void Validate(KmemHeap heap)
    {
        heap.ThrowIfDoubleFree();
        ZoneFault zone = Zone.Validate(&heap.Core->Zone);
        if (zone != ZoneFault.None)
        {
            throw new InvalidOperationException($"Kmem: the pages of the heap '{heap.Name}' are broken: {zone}.");
        }

        CacheRegistry* registry = &heap.Core->Registry;
        RankedLock.Enter(&registry->ReaperLock, LockRank.Reaper);
        try
        {
            for (int index = 1; index < Atomic.Load(&registry->Count); index++)
            {
                Cache* cache = CacheRegistry.At(registry, index);
                if (cache->State == CacheState.Live)
                {
                    ValidateCache(cache, AddressDescription.NameOf(cache));
                }
            }
        }
        finally
        {
            RankedLock.Exit(&registry->ReaperLock, LockRank.Reaper);
        }
    }

    public static void ValidateCache(Cache* cache, string name)
    {
        SlabListsFault fault = Cache.Validate(cache, out bool depotIsValid);
        if (fault != SlabListsFault.None)
        {
            throw new InvalidOperationException($"Kmem: the slabs of the cache '{name}' are broken: {fault}.");
        }

        if (!depotIsValid)
        {
            throw new InvalidOperationException($"Kmem: the depot of the cache '{name}' is broken: its counts do not match its lists.");
        }
    }
}
