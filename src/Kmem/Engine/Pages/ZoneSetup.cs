using Kmem.Engine.Os;
using Kmem.Engine.Primitives;

namespace Kmem.Engine.Pages;

/// <summary>Makes a zone and takes it apart: the reservations and the layout of the metadata.</summary>
/// <remarks>
/// The metadata is one reservation, sized for every page number that the zone may ever use:
/// <code>
/// | tables: Arena × 16, PageList × 33, CpuPageLists × CPUs | pageblock bytes | descriptors |
/// </code>
/// Tables are committed at once, pageblock bytes when a range is added, descriptors when a frontier moves.
/// </remarks>
internal static unsafe class ZoneSetup
{
    /// <summary>256 GiB.</summary>
    private const int DefaultReserveShift = 38;

    /// <summary>A growable zone has page numbers for at least this much (1 TiB), however small its first range is.</summary>
    private const int GrowableCapacityShiftMin = 40;

    /// <summary>The largest machine page of any system here, and the descriptors of one 4 MiB block: pieces of metadata are committed in multiples of it.</summary>
    public const nuint MetadataUnitBytes = 64 * 1024;

    public static bool Initialize(Zone* zone, OsTable* os, ZoneOptions* options)
    {
        Invariant.Holds(options->CpuCount >= 1);
        Invariant.Holds(sizeof(Page) == Page.SizeBytesOfDescriptor && sizeof(Page) << Order.Max == (int)MetadataUnitBytes);
        *zone = default;
        zone->Os = os;
        zone->Growable = options->Growable;
        zone->CpuCount = options->CpuCount;
        nuint bytes = options->ReserveBytes == 0 ? (nuint)1 << DefaultReserveShift : Address.AlignDown(options->ReserveBytes, Arena.BlockBytes);
        if (bytes == 0)
        {
            bytes = Arena.BlockBytes;
        }

        // Where address space is short (ulimit -v, a small machine), half is better than nothing.
        for (; bytes != 0; bytes = Address.AlignDown(bytes / 2, Arena.BlockBytes))
        {
            byte* first = (byte*)os->Reserve(os->Context, bytes, Arena.BlockBytes);
            if (first == null)
            {
                continue;
            }

            if (TryBuild(zone, first, bytes, options->CapacityBytes))
            {
                return true;
            }

            os->Release(os->Context, first, bytes);
        }

        *zone = default;
        return false;
    }

    /// <summary>Everything that <see cref="Initialize"/> and growth took. Nobody may be using the zone.</summary>
    public static void Destroy(Zone* zone)
    {
        OsTable* os = zone->Os;
        Invariant.Holds(os != null && !RankedLock.IsHeld(&zone->Lock));
        for (int index = 0; index < zone->ArenaCount; index++)
        {
            Arena* arena = zone->Arenas + index;
            os->Release(os->Context, arena->Base, arena->CapacityBytes);
        }

        os->Release(os->Context, zone->MetadataBase, zone->MetadataReservedBytes);
        *zone = default;
    }

    private static bool TryBuild(Zone* zone, byte* first, nuint firstBytes, nuint capacityBytes)
    {
        OsTable* os = zone->Os;
        if (!TryReserveMetadata(zone, firstBytes, capacityBytes))
        {
            return false;
        }

        if (os->Commit(os->Context, zone->MetadataBase, zone->TablesCommittedBytes) && AddArena(zone, first, firstBytes))
        {
            zone->FirstBase = first;
            zone->MemoryMapOfFirst = zone->MemoryMap + PageIndex.First;
            Invariant.Holds(zone->Arenas->FirstPage == PageIndex.First && zone->FirstFrontierBytes == 0);
            return true;
        }

        os->Release(os->Context, zone->MetadataBase, zone->MetadataReservedBytes);
        return false;
    }

    private static bool TryReserveMetadata(Zone* zone, nuint firstBytes, nuint capacityBytes)
    {
        nuint capacity = firstBytes;
        if (zone->Growable)
        {
            nuint least = (nuint)1 << GrowableCapacityShiftMin;
            capacity = firstBytes * Arena.CountMax;
            capacity = capacity / Arena.CountMax != firstBytes || capacity < least ? least : capacity;
            capacity = capacityBytes >= firstBytes ? capacityBytes : capacity;
        }

        nuint listsOffset = (nuint)((sizeof(Arena) * Arena.CountMax) + (sizeof(PageList) * Order.Count * Zone.MobilityCount));
        listsOffset = Address.AlignUp(listsOffset, CpuPageLists.SizeBytes);
        nuint tables = Address.AlignUp(listsOffset + ((nuint)zone->CpuCount * CpuPageLists.SizeBytes), MetadataUnitBytes);
        for (; capacity >= firstBytes; capacity /= 2)
        {
            // One block more than the capacity: page numbers start at 1024.
            nuint pages = (capacity >> Address.PageShift) + PageIndex.First;
            if (pages > uint.MaxValue)
            {
                continue;
            }

            nuint pageblocks = Address.AlignUp(pages >> Pageblocks.BlockOrder, MetadataUnitBytes);
            nuint bytes = tables + pageblocks + (pages << Page.DescriptorShift);
            byte* start = (byte*)zone->Os->Reserve(zone->Os->Context, bytes, MetadataUnitBytes);
            if (start != null)
            {
                zone->MetadataBase = start;
                zone->MetadataReservedBytes = bytes;
                zone->TablesCommittedBytes = tables;
                zone->Arenas = (Arena*)start;
                zone->FreeLists = (PageList*)(zone->Arenas + Arena.CountMax);
                zone->CpuLists = (CpuPageLists*)(start + listsOffset);
                zone->PageblockBytes = start + tables;
                zone->MemoryMap = (Page*)(start + tables + pageblocks);
                zone->PageNumberLimit = (uint)pages;
                Invariant.Holds(Address.IsAligned(zone->MemoryMap, MetadataUnitBytes));
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// Makes a reserved range part of the zone, with its frontier at its base. Commits the bytes of all its pageblocks: 128 KiB for
    /// 256 GiB, of which only touched pages cost anything.
    /// </summary>
    public static bool AddArena(Zone* zone, byte* start, nuint bytes)
    {
        Invariant.Holds(Address.IsAligned(start, Arena.BlockBytes) && zone->ArenaCount < Arena.CountMax);
        uint firstPage = NextPageNumber(zone);
        Invariant.Holds(firstPage + (bytes >> Address.PageShift) <= zone->PageNumberLimit);
        nuint from = Address.AlignDown(firstPage >> Pageblocks.BlockOrder, MetadataUnitBytes);
        nuint to = Address.AlignUp((firstPage + (bytes >> Address.PageShift)) >> Pageblocks.BlockOrder, MetadataUnitBytes);
        if (!zone->Os->Commit(zone->Os->Context, zone->PageblockBytes + from, to - from))
        {
            return false;
        }

        zone->PageblocksCommittedBytes = to;
        Arena* arena = zone->Arenas + zone->ArenaCount;
        *arena = default;
        arena->Base = start;
        arena->CapacityBytes = bytes;
        arena->FirstPage = firstPage;

        // Publishes the fields above to readers without the lock.
        Atomic.Store(&zone->ArenaCount, zone->ArenaCount + 1);
        return true;
    }

    /// <summary>The first page number that no range uses yet.</summary>
    public static uint NextPageNumber(Zone* zone)
    {
        if (zone->ArenaCount == 0)
        {
            return PageIndex.First;
        }

        Arena* last = zone->Arenas + (zone->ArenaCount - 1);
        return last->FirstPage + (uint)(last->CapacityBytes >> Address.PageShift);
    }
}
