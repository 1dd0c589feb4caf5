using Kmem.Engine.Primitives;

namespace Kmem.Engine.Pages;

/// <summary>The state of a zone at one moment, in numbers.</summary>
/// <remarks>
/// <c>FreePages + ListedPages + AllocatedPages == TotalPages</c>; <c>FreePages == sum of FreeBlocks[k] &lt;&lt; k + IsolatedPages</c>;
/// <c>ListedPages == sum of ListedBlocks[k] &lt;&lt; k</c> when no other thread is at work;
/// <c>MetadataBytes + MemoryMapBytes</c> is all that the zone commits beside the pages themselves.
/// </remarks>
internal unsafe struct ZoneStatistics
{
    /// <summary>Pages on the buddy allocator's lists or in a purge's hand.</summary>
    public long FreePages;

    /// <summary>Pages in CPUs' lists: free too, but the buddy allocator does not know them.</summary>
    public long ListedPages;

    /// <summary>Pages handed out.</summary>
    public long AllocatedPages;

    /// <summary>Pages below the frontiers.</summary>
    public long TotalPages;

    /// <summary>Of <see cref="FreePages"/>: in blocks that cost no memory as a whole. What is in a block with a dirty page counts as dirty.</summary>
    public long PurgedPages;

    /// <summary>Of <see cref="FreePages"/>: in a purge's hand.</summary>
    public long IsolatedPages;

    /// <summary>Free blocks of each order on the buddy allocator's lists, all mobilities.</summary>
    public fixed long FreeBlocks[Order.Count];

    /// <summary>The same by mobility: index mobility × 11 + order.</summary>
    public fixed long FreeBlocksByMobility[Order.Count * Zone.MobilityCount];

    /// <summary>Blocks of each order in CPUs' lists; 0 from order 4 on.</summary>
    public fixed long ListedBlocks[Order.Count];

    /// <summary>2 MiB pageblocks of each mobility.</summary>
    public fixed long PageblocksByMobility[Zone.MobilityCount];

    /// <summary>Committed page descriptors in bytes.</summary>
    public nuint MemoryMapBytes;

    /// <summary>Committed pageblock bytes and tables: ranges, free lists, CPU lists.</summary>
    public nuint MetadataBytes;

    /// <summary>Address space of all ranges in bytes, without the metadata's.</summary>
    public nuint ReservedBytes;

    /// <summary>Address space of the metadata in bytes.</summary>
    public nuint MetadataReservedBytes;

    /// <summary>Ranges, the first one included.</summary>
    public int Ranges;

    /// <summary>Times that a frontier moved.</summary>
    public long Growths;

    /// <summary>Pageblocks that changed their mobility to serve a request.</summary>
    public long PageblocksClaimed;

    /// <summary>Blocks taken from a pageblock of another mobility.</summary>
    public long BlocksStolen;

    /// <summary>Pages that went back to the OS, ever.</summary>
    public long PagesPurgedEver;

    /// <summary>Reads all at one moment of the zone lock. The CPUs' lists go on meanwhile: what moves between a list and an owner counts as one or the other.</summary>
    public static void Read(Zone* zone, ZoneStatistics* statistics)
    {
        *statistics = default;
        RankedLock.Enter(&zone->Lock, LockRank.Zone);
        statistics->IsolatedPages = zone->IsolatedPages;
        statistics->FreePages = zone->FreePages + zone->IsolatedPages;
        statistics->PurgedPages = zone->PurgedPages;
        statistics->TotalPages = zone->TotalPages;
        ReadFreeLists(zone, statistics);
        ReadCpuLists(zone, statistics);
        ReadArenas(zone, statistics);

        // A block that passed from a list already counted to one not yet counted is in both: the sum stays true all the same.
        long notFree = statistics->TotalPages - statistics->FreePages;
        statistics->ListedPages = statistics->ListedPages > notFree ? notFree : statistics->ListedPages;
        statistics->AllocatedPages = notFree - statistics->ListedPages;
        statistics->MemoryMapBytes = zone->MemoryMapCommittedBytes;
        statistics->MetadataBytes = zone->TablesCommittedBytes + zone->PageblocksCommittedBytes;
        statistics->MetadataReservedBytes = zone->MetadataReservedBytes;
        statistics->Growths = zone->Growths;
        statistics->PageblocksClaimed = zone->PageblocksClaimed;
        statistics->BlocksStolen = zone->BlocksStolen;
        statistics->PagesPurgedEver = zone->PagesPurgedEver;
        RankedLock.Exit(&zone->Lock, LockRank.Zone);
        Invariant.Holds(statistics->AllocatedPages >= 0);
    }

    private static void ReadFreeLists(Zone* zone, ZoneStatistics* statistics)
    {
        for (int mobility = 0; mobility < Zone.MobilityCount; mobility++)
        {
            for (int order = 0; order < Order.Count; order++)
            {
                long count = Zone.FreeList(zone, order, (Mobility)mobility)->Count;
                statistics->FreeBlocks[order] += count;
                statistics->FreeBlocksByMobility[(mobility * Order.Count) + order] = count;
            }
        }
    }

    private static void ReadCpuLists(Zone* zone, ZoneStatistics* statistics)
    {
        for (int cpu = 0; cpu < zone->CpuCount; cpu++)
        {
            CpuPageLists* lists = zone->CpuLists + cpu;
            statistics->ListedPages += Atomic.Load(&lists->Pages);
            for (int index = 0; index < CpuPageLists.ListCount; index++)
            {
                statistics->ListedBlocks[index / Zone.MobilityCount] += Atomic.Load(&CpuPageLists.List(lists, index)->Count);
            }
        }
    }

    private static void ReadArenas(Zone* zone, ZoneStatistics* statistics)
    {
        statistics->Ranges = zone->ArenaCount;
        for (int index = 0; index < zone->ArenaCount; index++)
        {
            Arena* arena = zone->Arenas + index;
            statistics->ReservedBytes += arena->CapacityBytes;
            for (uint page = 0; page < arena->FrontierPages; page += Pageblocks.BlockPages)
            {
                statistics->PageblocksByMobility[(int)Pageblocks.MobilityOf(zone, new(arena->FirstPage + page))]++;
            }
        }
    }
}
