using System.Collections.Generic;
using System.Globalization;
using Microsoft.Diagnostics.Tracing;

namespace Kmem.Tool.Processes;

/// <summary>The figures of all heaps of a process. Of the pages only the sums come.</summary>
internal sealed class SlabDump(string request) : ProcessDump(request)
{
    private const int VersionMost = 1;

    private readonly List<KmemStatistics> _heaps = [];
    private List<KmemCacheStatistics> _caches = [];
    private int _lines;

    public override long Keyword => 0x8;

    public IReadOnlyList<KmemStatistics> Heaps => _heaps;

    protected override void AddOwn(TraceEvent each)
    {
        switch ((int)each.ID)
        {
            case 10:
                HasStarted = true;
                long version = Number(each, "version");
                Failure = version <= VersionMost ? null
                    : string.Create(CultureInfo.InvariantCulture, $"the process has a later version of Kmem, whose figures are of version {version}; this kmem knows {VersionMost}");
                break;
            case 11:
                _lines++;
                _heaps.Add(HeapOf(each, _caches = []));
                break;
            case 12:
                _lines++;
                _caches.Add(CacheOf(each));
                break;
            case 13:
                HasEnded = true;
                long sent = Number(each, "lines");
                Failure ??= _lines == sent ? null : string.Create(CultureInfo.InvariantCulture, $"of {sent} lines only {_lines} came: the session's buffer was full");
                break;
            default:
                // Of no interest here, or of a later version.
                break;
        }
    }

    private static KmemStatistics HeapOf(TraceEvent each, List<KmemCacheStatistics> caches) => new()
    {
        HeapName = Text(each, "name"),
        FrontEnd = (KmemFrontEnd)Number(each, "frontEnd"),
        RequestedBytes = Bytes(each, "requestedBytes"),
        SizeClassBytes = Bytes(each, "sizeClassBytes"),
        RoundingBytes = Bytes(each, "roundingBytes"),
        MagazineBytes = Bytes(each, "magazineBytes"),
        DepotBytes = Bytes(each, "depotBytes"),
        FreeInSlabBytes = Bytes(each, "freeInSlabBytes"),
        EmptySlabBytes = Bytes(each, "emptySlabBytes"),
        SlabTailBytes = Bytes(each, "slabTailBytes"),
        FreePageBytes = Bytes(each, "freePageBytes"),
        MetadataBytes = Bytes(each, "metadataBytes"),
        CommittedBytes = Bytes(each, "committedBytes"),
        ReservedBytes = Bytes(each, "reservedBytes"),
        LargeAllocations = Number(each, "largeAllocations"),
        LargeRequestedBytes = Bytes(each, "largeRequestedBytes"),
        PagesInUse = Number(each, "pagesInUse"),
        GuardPages = Number(each, "guardPages"),
        Pages = new KmemPageStatistics
        {
            FreePages = Number(each, "freePages"),
            ListedPages = Number(each, "listedPages"),
            PurgedPages = Number(each, "purgedPages"),
            AllocatedPages = Number(each, "allocatedPages"),
            TotalPages = Number(each, "totalPages"),
            FreeBlocks = [],
            FreeBlocksByMobility = [],
            PageblocksByMobility = [],
            FragmentationIndex = [],
            UnusableFreeIndex = [],
        },
        Caches = caches,
    };

    private static KmemCacheStatistics CacheOf(TraceEvent each)
    {
        long fromPrevious = Number(each, "allocFromPrevious");
        long fromDepot = Number(each, "allocFromDepot");
        long fromSlab = Number(each, "allocFromSlab");
        long toPrevious = Number(each, "freeToPrevious");
        long toDepot = Number(each, "freeToDepot");
        long toSlab = Number(each, "freeToSlab");
        long flags = Number(each, "flags");
        return new KmemCacheStatistics
        {
            Name = Text(each, "name"),
            ObjectSizeBytes = Bytes(each, "objectSizeBytes"),
            StrideBytes = Bytes(each, "strideBytes"),
            AlignmentBytes = Bytes(each, "alignmentBytes"),
            Order = (int)Number(each, "order"),
            ObjectsPerSlab = (int)Number(each, "objectsPerSlab"),
            LiveObjects = Number(each, "liveObjects"),
            TotalObjects = Number(each, "totalObjects"),
            MagazineObjects = Number(each, "magazineObjects"),
            DepotObjects = Number(each, "depotObjects"),
            FreeObjects = Number(each, "freeObjects"),
            DamagedObjects = Number(each, "damagedObjects"),
            Slabs = Number(each, "slabs"),
            FullSlabs = Number(each, "fullSlabs"),
            PartialSlabs = Number(each, "partialSlabs"),
            FreeSlabs = Number(each, "freeSlabs"),
            MagazineCapacity = (int)Number(each, "magazineCapacity"),
            AllocMisses = fromPrevious + fromDepot + fromSlab,
            AllocFromPrevious = fromPrevious,
            AllocFromDepot = fromDepot,
            AllocFromSlab = fromSlab,
            FreeMisses = toPrevious + toDepot + toSlab,
            FreeToPrevious = toPrevious,
            FreeToDepot = toDepot,
            FreeToSlab = toSlab,
            DepotWaits = Number(each, "depotWaits"),
            SlabsCreated = Number(each, "slabsCreated"),
            SlabsDestroyed = Number(each, "slabsDestroyed"),
            IsSizeClass = (flags & 1) != 0,
            IsInternal = (flags & 2) != 0,
            Checks = (KmemChecks)Number(each, "checks"),
        };
    }

    private static ulong Bytes(TraceEvent each, string name) => (ulong)Number(each, name);
}
