using Kmem.Engine.Os;
using Kmem.Engine.Primitives;

namespace Kmem.Engine.Pages;

/// <summary>Moves frontiers up and adds ranges. All under the zone lock.</summary>
/// <remarks>
/// Descriptors first, then the memory, then the heads, then the frontier: whoever sees an address below the frontier may
/// read its descriptor. What is new is purged (it costs nothing until touched) and movable, as in the kernel.
/// </remarks>
internal static unsafe class Growth
{
    /// <summary>Blocks that a growth adds at most when fewer were needed: 64 MiB.</summary>
    private const uint StepBlocksMax = 16;

    /// <summary>
    /// Adds at least one block to some range. The step is an eighth of the range so far, so that the number of calls
    /// to the OS grows with the logarithm of the memory at first.
    /// </summary>
    public static bool GrowLocked(Zone* zone)
    {
        Invariant.Holds(RankedLock.IsHeld(&zone->Lock));
        for (int index = 0; index < zone->ArenaCount; index++)
        {
            Arena* arena = zone->Arenas + index;
            uint room = arena->CapacityBlocks - arena->FrontierBlocks;
            if (room == 0)
            {
                continue;
            }

            uint step = arena->FrontierBlocks / 8;
            step = step > StepBlocksMax ? StepBlocksMax : step;
            step = step > room ? room : step;

            // A refusal means that memory is short, not address space: a further range would not help.
            return (step > 1 && GrowArenaLocked(zone, arena, step)) || GrowArenaLocked(zone, arena, 1);
        }

        Arena* added = AddArenaLocked(zone, 1, Arena.BlockBytes);
        return added != null && GrowArenaLocked(zone, added, 1);
    }

    /// <summary>Moves a range's frontier by exactly so many blocks, or not at all.</summary>
    public static bool GrowArenaLocked(Zone* zone, Arena* arena, uint blocks)
    {
        Invariant.Holds(RankedLock.IsHeld(&zone->Lock));
        uint first = arena->FrontierBlocks;
        if (blocks == 0 || blocks > arena->CapacityBlocks - first)
        {
            return false;
        }

        if (!DescribeLocked(zone, arena, first + blocks))
        {
            return false;
        }

        OsTable* os = zone->Os;
        if (!os->Commit(os->Context, arena->Base + arena->FrontierBytes, (nuint)blocks << Arena.BlockShift))
        {
            return false;
        }

        // The heads are in place before the frontier shows them.
        for (uint block = first; block < first + blocks; block++)
        {
            PageIndex page = arena->PageOfBlock(block);
            Pageblocks.SetMobility(zone, page, Order.Max, Mobility.Movable);
            BuddyAllocator.InsertLocked(zone, page, Order.Max, Mobility.Movable, PageFlags.Purged, 0);
        }

        zone->TotalPages += (long)blocks << Order.Max;
        zone->Growths++;
        nuint frontier = (nuint)(first + blocks) << Arena.BlockShift;
        Atomic.Store(&arena->FrontierBytes, frontier);
        if (arena == zone->Arenas)
        {
            Atomic.Store(&zone->FirstFrontierBytes, frontier);
        }

        return true;
    }

    /// <summary>Reserves a further range that holds at least so many blocks, or null.</summary>
    public static Arena* AddArenaLocked(Zone* zone, uint blocks, nuint alignment)
    {
        Invariant.Holds(RankedLock.IsHeld(&zone->Lock));
        Invariant.Holds(alignment >= Arena.BlockBytes);
        if (!zone->Growable || zone->ArenaCount == Arena.CountMax)
        {
            return null;
        }

        nuint needed = (nuint)blocks << Arena.BlockShift;
        nuint left = (nuint)(zone->PageNumberLimit - ZoneSetup.NextPageNumber(zone)) << Address.PageShift;
        if (needed > left)
        {
            return null;
        }

        // At least what all ranges so far hold together, so that sixteen are enough for any heap; less when the OS refuses.
        nuint bytes = 0;
        for (int index = 0; index < zone->ArenaCount; index++)
        {
            bytes += zone->Arenas[index].CapacityBytes;
        }

        bytes = bytes > left ? left : bytes;
        OsTable* os = zone->Os;
        for (; ; bytes = Address.AlignDown(bytes / 2, Arena.BlockBytes))
        {
            bytes = bytes < needed ? needed : bytes;
            byte* start = (byte*)os->Reserve(os->Context, bytes, alignment);
            if (start != null)
            {
                if (ZoneSetup.AddArena(zone, start, bytes))
                {
                    return zone->Arenas + (zone->ArenaCount - 1);
                }

                os->Release(os->Context, start, bytes);
                return null;
            }

            if (bytes == needed)
            {
                return null;
            }
        }
    }

    /// <summary>Commits the descriptors of a range up to so many blocks.</summary>
    private static bool DescribeLocked(Zone* zone, Arena* arena, uint blocks)
    {
        if (blocks <= arena->DescribedBlocks)
        {
            return true;
        }

        byte* start = (byte*)(zone->MemoryMap + arena->PageOfBlock(arena->DescribedBlocks).Number);
        nuint bytes = (blocks - arena->DescribedBlocks) * ZoneSetup.MetadataUnitBytes;
        Invariant.Holds(start + bytes <= zone->MetadataBase + zone->MetadataReservedBytes);
        if (!zone->Os->Commit(zone->Os->Context, start, bytes))
        {
            return false;
        }

        arena->DescribedBlocks = blocks;
        zone->MemoryMapCommittedBytes += bytes;
        return true;
    }
}
