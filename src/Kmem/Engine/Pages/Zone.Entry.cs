using Kmem.Engine.Os;
using Kmem.Engine.Primitives;

namespace Kmem.Engine.Pages;

/// <summary>What the layers above call. Each pair of ladders stands side by side, a sentence a rung.</summary>
internal unsafe partial struct Zone
{
    /// <summary>Other threads may take what a drain brings back, or list it again: after so many tries memory counts as out.</summary>
    private const int ReclaimAttempts = 4;

    /// <summary>Makes a zone in zeroed or old memory. False when the OS refuses even the smallest; then nothing is left behind.</summary>
    public static bool Initialize(Zone* zone, OsTable* os, ZoneOptions* options) => ZoneSetup.Initialize(zone, os, options);

    /// <summary>Gives back everything, also what is still allocated.</summary>
    public static void Destroy(Zone* zone) => ZoneSetup.Destroy(zone);

    /// <summary>
    /// A block of 2^order pages, or null when memory is out. Its head says Kind Block, its order and mobility, and in Flags whether it
    /// reads as zero. The contents are else what the last owner left.
    /// </summary>
    /// <param name="zone">The zone.</param>
    /// <param name="order">0..10.</param>
    /// <param name="mobility">How long the contents will live.</param>
    /// <param name="cpu">The CPU whose list to try: any number, a hint.</param>
    public static Page* AllocateBlock(Zone* zone, int order, Mobility mobility, int cpu)
    {
        Invariant.Holds((uint)order <= Order.Max);

        // 1. The CPU's list, refilled from the zone when it is empty.
        if (order <= Order.ListedMax)
        {
            Page* head = PageLists.TryTake(zone, order, mobility, cpu);
            if (head != null)
            {
                return head;
            }
        }

        return AllocateBlockSlow(zone, order, mobility);
    }

    /// <summary>Gives a block back. What its owner wrote to descriptors is undone but for the head's Kind: see the remarks on states.</summary>
    public static void FreeBlock(Zone* zone, Page* head, int cpu)
    {
        Invariant.Holds(head->Kind is PageKind.Block or PageKind.SlabHead && head->CacheIndex == 0);

        // 1. The CPU's list.
        if (head->Order <= Order.ListedMax && PageLists.TryGive(zone, head, cpu))
        {
            return;
        }

        // 2. A large block, or another thread has the list.
        long now = zone->Os->NowMilliseconds(zone->Os->Context);
        RankedLock.Enter(&zone->Lock, LockRank.Zone);
        BuddyAllocator.PutLocked(zone, HeadLookup.IndexOf(zone, head), head->Order, PageFlags.None, now);
        RankedLock.Exit(&zone->Lock, LockRank.Zone);
    }

    /// <summary>A run of any number of pages at any power-of-two alignment from a page up, or null. Kind is Run, the length is in Payload.Pages.</summary>
    public static Page* AllocateRun(Zone* zone, nuint pages, nuint alignmentBytes, Mobility mobility)
    {
        Invariant.Holds(pages != 0 && Address.IsPowerOfTwo(alignmentBytes));
        alignmentBytes = alignmentBytes < Address.PageSizeBytes ? Address.PageSizeBytes : alignmentBytes;
        Page* head = TryAllocateRun(zone, pages, alignmentBytes, mobility);
        for (int attempt = 0; head == null && attempt < ReclaimAttempts && ReclaimSlow(zone); attempt++)
        {
            head = TryAllocateRun(zone, pages, alignmentBytes, mobility);
        }

        return head;
    }

    /// <summary>Gives a run back.</summary>
    public static void FreeRun(Zone* zone, Page* head)
    {
        long now = zone->Os->NowMilliseconds(zone->Os->Context);
        RankedLock.Enter(&zone->Lock, LockRank.Zone);
        LargeRuns.PutLocked(zone, HeadLookup.IndexOf(zone, head), now);
        RankedLock.Exit(&zone->Lock, LockRank.Zone);
    }

    /// <summary>
    /// Changes the length of a run in place. To shrink always works; to grow works when the pages that follow are free. What is added
    /// may hold anything, so the head no longer says that the run reads as zero.
    /// </summary>
    public static bool ResizeRun(Zone* zone, Page* head, nuint pages)
    {
        Invariant.Holds(pages != 0 && head->Kind == PageKind.Run);
        long now = zone->Os->NowMilliseconds(zone->Os->Context);
        PageIndex page = HeadLookup.IndexOf(zone, head);
        bool done = true;
        RankedLock.Enter(&zone->Lock, LockRank.Zone);
        if (pages <= head->Payload.Pages)
        {
            LargeRuns.ShrinkLocked(zone, page, pages, now);
        }
        else
        {
            done = LargeRuns.TryExtendLocked(zone, page, pages);
        }

        RankedLock.Exit(&zone->Lock, LockRank.Zone);
        return done;
    }

    /// <inheritdoc cref="HeadLookup.PageOf"/>
    public static Page* PageOf(Zone* zone, void* address) => HeadLookup.PageOf(zone, address);

    /// <summary>The address of the page that a descriptor stands for.</summary>
    public static void* AddressOf(Zone* zone, Page* page) => HeadLookup.AddressOf(zone, page);

    /// <inheritdoc cref="HeadLookup.HeadOf"/>
    public static Page* HeadOf(Zone* zone, Page* page) => HeadLookup.HeadOf(zone, page);

    /// <summary>Gives the blocks in all CPUs' lists back to the buddy allocator, so that they can merge and be purged.</summary>
    public static void DrainPageLists(Zone* zone) => PageLists.Drain(zone);

    /// <summary>Gives the contents of blocks that have been free for at least so long back to the OS; returns bytes. <paramref name="nowMilliseconds"/> is the OS table's clock.</summary>
    public static nuint Purge(Zone* zone, long nowMilliseconds, long minimumAgeMilliseconds) =>
        Purger.Purge(zone, nowMilliseconds, minimumAgeMilliseconds);

    /// <inheritdoc cref="ZoneStatistics.Read"/>
    public static void ReadStatistics(Zone* zone, ZoneStatistics* statistics) => ZoneStatistics.Read(zone, statistics);

    /// <inheritdoc cref="ZoneValidation"/>
    public static ZoneFault Validate(Zone* zone) => ZoneValidation.Validate(zone);

    private static Page* AllocateBlockSlow(Zone* zone, int order, Mobility mobility)
    {
        // 2. The zone: the block is large, or another thread has the list.
        Page* head = TryAllocateFromZone(zone, order, mobility);

        // 3. What other CPUs' lists and a purge under way hold back.
        for (int attempt = 0; head == null && attempt < ReclaimAttempts && ReclaimSlow(zone); attempt++)
        {
            head = TryAllocateFromZone(zone, order, mobility);
        }

        return head;
    }

    private static Page* TryAllocateFromZone(Zone* zone, int order, Mobility mobility)
    {
        Page* head = null;
        RankedLock.Enter(&zone->Lock, LockRank.Zone);
        PageIndex page = BuddyAllocator.TakeLocked(zone, order, mobility);
        if (!page.IsNone)
        {
            head = zone->MemoryMap + page.Number;
            head->Kind = PageKind.Block;
        }

        RankedLock.Exit(&zone->Lock, LockRank.Zone);
        return head;
    }

    private static Page* TryAllocateRun(Zone* zone, nuint pages, nuint alignment, Mobility mobility)
    {
        RankedLock.Enter(&zone->Lock, LockRank.Zone);
        PageIndex page = LargeRuns.TakeLocked(zone, pages, alignment, mobility);
        RankedLock.Exit(&zone->Lock, LockRank.Zone);
        return page.IsNone ? null : zone->MemoryMap + page.Number;
    }

    /// <summary>
    /// Memory is out, but some may be between owners. True when there was something to wait for or to give back: then it is worth another try.
    /// </summary>
    private static bool ReclaimSlow(Zone* zone)
    {
        bool listed = false;
        for (int cpu = 0; cpu < zone->CpuCount; cpu++)
        {
            listed |= Atomic.Load(&zone->CpuLists[cpu].Pages) != 0;
        }

        if (listed)
        {
            PageLists.Drain(zone);
            return true;
        }

        // A purge has at most a batch in hand, and its lock is below every lock that we may be holding.
        bool isolated = Atomic.Load(&zone->IsolatedPages) != 0;
        if (isolated)
        {
            RankedLock.Enter(&zone->PurgeLock, LockRank.Purge);
            RankedLock.Exit(&zone->PurgeLock, LockRank.Purge);
        }

        return isolated;
    }
}
