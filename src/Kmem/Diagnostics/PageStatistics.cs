using Kmem.Engine.Pages;

namespace Kmem.Diagnostics;

/// <summary>Turns the engine's figures of a zone into the public ones.</summary>
internal static unsafe class PageStatistics
{
    public static KmemPageStatistics From(ZoneStatistics* zone)
    {
        long[] free = new long[Order.Count];
        int[] fragmentation = new int[Order.Count];
        int[] unusable = new int[Order.Count];
        long[][] byMobility = new long[Zone.MobilityCount][];
        for (int mobility = 0; mobility < Zone.MobilityCount; mobility++)
        {
            byMobility[mobility] = new long[Order.Count];
            for (int order = 0; order < Order.Count; order++)
            {
                byMobility[mobility][order] = zone->FreeBlocksByMobility[(mobility * Order.Count) + order];
            }
        }

        for (int order = 0; order < Order.Count; order++)
        {
            free[order] = zone->FreeBlocks[order] + zone->ListedBlocks[order];
            fragmentation[order] = FragmentationIndex.Of(zone->FreeBlocks, order);
            unusable[order] = FragmentationIndex.UnusableOf(zone->FreeBlocks, order);
        }

        return new KmemPageStatistics
        {
            FreeBlocks = free,
            FreeBlocksByMobility = byMobility,
            PageblocksByMobility = [zone->PageblocksByMobility[0], zone->PageblocksByMobility[1], zone->PageblocksByMobility[2]],
            FreePages = zone->FreePages + zone->ListedPages,
            ListedPages = zone->ListedPages,
            PurgedPages = zone->PurgedPages,
            AllocatedPages = zone->AllocatedPages,
            TotalPages = zone->TotalPages,
            FragmentationIndex = fragmentation,
            UnusableFreeIndex = unusable,
        };
    }
}
