using System.Collections.Generic;
using Kmem.Engine.Pages;

namespace Kmem.Diagnostics;

/// <summary>Turns the engine's numbers about pages into the public record.</summary>
internal static unsafe class PageStatisticsReader
{
    public static KmemPageStatistics Read(Zone* zone)
    {
        ZoneStatistics statistics;
        Zone.ReadStatistics(zone, &statistics);
        return Convert(&statistics);
    }

    public static KmemPageStatistics Convert(ZoneStatistics* statistics)
    {
        long[] freeBlocks = new long[Order.Count];
        int[] fragmentation = new int[Order.Count];
        int[] unusable = new int[Order.Count];
        for (int order = 0; order < Order.Count; order++)
        {
            freeBlocks[order] = statistics->FreeBlocks[order] + statistics->ListedBlocks[order];

            // Like the kernel, by what the buddy allocator has: a listed block cannot serve another order.
            fragmentation[order] = FragmentationIndex.Of(statistics->FreeBlocks, order);
            unusable[order] = FragmentationIndex.UnusableOf(statistics->FreeBlocks, order);
        }

        return new KmemPageStatistics
        {
            FreeBlocks = freeBlocks,
            FreeBlocksByMobility = ByMobility(statistics),
            PageblocksByMobility = Copy(statistics->PageblocksByMobility, Zone.MobilityCount),
            FreePages = statistics->FreePages + statistics->ListedPages,
            ListedPages = statistics->ListedPages,
            PurgedPages = statistics->PurgedPages,
            AllocatedPages = statistics->AllocatedPages,
            TotalPages = statistics->TotalPages,
            FragmentationIndex = fragmentation,
            UnusableFreeIndex = unusable,
        };
    }

    private static IReadOnlyList<long>[] ByMobility(ZoneStatistics* statistics)
    {
        IReadOnlyList<long>[] rows = new IReadOnlyList<long>[Zone.MobilityCount];
        for (int mobility = 0; mobility < rows.Length; mobility++)
        {
            rows[mobility] = Copy(statistics->FreeBlocksByMobility + (mobility * Order.Count), Order.Count);
        }

        return rows;
    }

    private static long[] Copy(long* source, int count)
    {
        long[] copy = new long[count];
        for (int index = 0; index < count; index++)
        {
            copy[index] = source[index];
        }

        return copy;
    }
}
