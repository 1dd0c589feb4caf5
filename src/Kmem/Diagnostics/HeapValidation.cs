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

        heap.ThrowIfDamage();
    }

    /// <summary><paramref name="isAlone"/>: its twins are looked at with it.</summary>
    public static void ValidateCache(Cache* cache, string name, bool isAlone = false)
    {
        SlabListsFault fault = Cache.Validate(cache, out bool depotIsValid);
        if (fault != SlabListsFault.None)
        {
            throw new InvalidOperationException($"Kmem: the slabs of the cache '{name}' are broken: {fault}.");
        }

        if (cache->IsTwin)
        {
            const int FoundMax = 16;
            Damage* found = stackalloc Damage[FoundMax];
            DamagedBytes* kept = stackalloc DamagedBytes[FoundMax];
            int count = Cache.FindDamage(cache, found, kept, FoundMax);
            for (int index = 0; index < count; index++)
            {
                DamageReport.Raise(cache, &found[index], DamageReport.PolicyFor(cache), &kept[index]);
            }
        }

        for (int twin = cache->FirstTwin; isAlone && twin != 0; twin = CacheRegistry.At(cache->Registry, twin)->NextTwin)
        {
            ValidateCache(CacheRegistry.At(cache->Registry, twin), name);
        }

        if (!depotIsValid)
        {
            throw new InvalidOperationException($"Kmem: the depot of the cache '{name}' is broken: its counts do not match its lists.");
        }
    }
}
