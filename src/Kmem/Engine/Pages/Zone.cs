using Kmem.Engine.Os;
using Kmem.Engine.Primitives;

namespace Kmem.Engine.Pages;

/// <summary>How a zone is made.</summary>
internal unsafe struct ZoneOptions
{
    /// <summary>Address space of the first range in bytes; 0 for 256 GiB. Rounded down to a multiple of 4 MiB, at least one; less when the OS refuses.</summary>
    public nuint ReserveBytes;

    /// <summary>Whether further ranges are reserved when all are full.</summary>
    public bool Growable;

    /// <summary>How much all ranges of a growable zone can hold together, which bounds the address space of its metadata; 0 for the default, less when the OS refuses.</summary>
    public nuint CapacityBytes;

    /// <summary>CPUs to keep page lists for; at least 1.</summary>
    public int CpuCount;
}

/// <summary>
/// The page allocator of one heap: ranges of address space, their page descriptors (the memmap), the buddy allocator, and a
/// list of small blocks for each CPU.
/// </summary>
/// <remarks>
/// <para><b>Vocabulary.</b> A <em>block</em> has 2^order pages and is aligned to its size; its first page's descriptor, the
/// <em>head</em>, speaks for it. A <em>run</em> has any number of pages. A <em>pageblock</em> is 2 MiB that serve one
/// mobility. <em>Dirty</em> memory costs physical memory; <em>purged</em> memory was never touched or was given back, and
/// reads as zero. The <em>frontier</em> of a range is where its committed part ends.</para>
/// <code>
/// range 0  |block|run........|block|free......|frontier   reserved ...          |
/// range 1  |free......|frontier   reserved ...                                  |   up to 16 ranges
///
/// metadata |ranges, free lists, CPU lists|pageblock bytes|descriptors: 64 bytes for each page number ... |
/// </code>
/// <para><b>States of a head.</b> Free → (taken) Block or Run → (freed) Free; Free → Listed → Block → Listed → Free for small
/// blocks that pass through a CPU's list; Free → Purging → Free while the OS takes the contents. The slab layer turns a
/// Block into SlabHead and back. Pages that are not heads are None (or SlabTail), and an owner that has changed the
/// descriptors of a block's other pages restores <c>Kind</c> None and <c>CacheIndex</c> 0 in them before it frees the block. So the heads tile every
/// range from its base to its frontier.</para>
/// <para><b>Equations</b>, checked by <see cref="Validate"/>:
/// <c>free + listed + isolated + allocated == total</c> (pages); <c>purged &lt;= free</c>; free blocks are as large as can be:
/// no two free buddies of one order.</para>
/// <para><b>Locks.</b> <see cref="LockRank.PageLists"/> for a CPU's lists, tried by callers and waited for by drains only; <see cref="LockRank.Purge"/> while a purge has blocks in
/// hand; below both <see cref="LockRank.Zone"/> for everything else. Growth calls the OS under the zone lock, a purge does not.
/// <see cref="PageOf"/> takes no lock.</para>
/// <para><b>Failure.</b> Every call of the OS may fail. Then the caller gets null or false, and all is as before, except that
/// descriptors may be committed ahead of the frontier: the next growth uses them.</para>
/// <para><b>Not handled.</b> Address space is never unreserved before <see cref="Destroy"/>. Nothing moves: there is no compaction.</para>
/// </remarks>
internal unsafe partial struct Zone
{
    public const int MobilityCount = 3;

    // ---- Read without a lock; constant after Initialize except where noted. ----

    /// <summary>The operating system.</summary>
    public OsTable* Os;

    /// <summary>
    /// Base of the first range. The free path of the layers above needs nothing else: the descriptor of an address is
    /// <c>MemoryMapOfFirst + ((address - FirstBase) &gt;&gt; 12)</c> where <c>address - FirstBase</c>, unsigned, is below <see cref="FirstFrontierBytes"/>.
    /// </summary>
    public byte* FirstBase;

    /// <summary>Frontier of the first range in bytes; repeats <c>Arenas[0].FrontierBytes</c>. Stored with release after the descriptors are there.</summary>
    public nuint FirstFrontierBytes;

    /// <summary>Descriptor of the first range's first page.</summary>
    public Page* MemoryMapOfFirst;

    /// <summary>Descriptor of page number 0, which no one may touch.</summary>
    public Page* MemoryMap;

    /// <summary>See <see cref="Pageblocks"/>; indexed by page number / 512.</summary>
    public byte* PageblockBytes;

    /// <summary>The ranges: <see cref="Arena.CountMax"/> of them, <see cref="ArenaCount"/> in use.</summary>
    public Arena* Arenas;

    /// <summary>Free lists of the buddy allocator: see <see cref="FreeList"/>. Contents under the zone lock.</summary>
    public PageList* FreeLists;

    /// <summary>Lists of each CPU, <see cref="CpuCount"/> of them.</summary>
    public CpuPageLists* CpuLists;

    public int CpuCount;

    /// <summary>Ranges in use. Stored with release when a range is ready.</summary>
    public int ArenaCount;

    /// <summary>One past the largest page number that has room for a descriptor.</summary>
    public uint PageNumberLimit;

    public bool Growable;

    /// <summary>Where the metadata's reservation starts, and how long it is.</summary>
    public byte* MetadataBase;

    public nuint MetadataReservedBytes;

    /// <summary>Metadata committed when the zone was made: ranges, lists of all kinds.</summary>
    public nuint TablesCommittedBytes;

    /// <summary>Keeps the words below, which every slow rung writes, off the cache lines that every free reads.</summary>
    private fixed ulong _padding[16];

    // ---- Guarded by the zone lock, but for PurgeLock. ----

    public RankedLock Lock;

    /// <summary>Held while blocks are isolated. Whoever has it may take the zone lock.</summary>
    public RankedLock PurgeLock;

    /// <summary>Bit (16 × mobility + order) is set when that free list is not empty.</summary>
    public ulong NonEmpty;

    /// <summary>Pages in blocks on the free lists.</summary>
    public long FreePages;

    /// <summary>Of <see cref="FreePages"/>: in blocks that are purged as a whole.</summary>
    public long PurgedPages;

    /// <summary>Pages in blocks that a purge has in hand: free, on no list.</summary>
    public long IsolatedPages;

    /// <summary>Pages below the frontiers.</summary>
    public long TotalPages;

    /// <summary>Committed descriptors in bytes.</summary>
    public nuint MemoryMapCommittedBytes;

    /// <summary>Committed pageblock bytes.</summary>
    public nuint PageblocksCommittedBytes;

    /// <summary>Whole pageblocks that changed their mobility to serve a request.</summary>
    public long PageblocksClaimed;

    /// <summary>Blocks taken from a pageblock of another mobility.</summary>
    public long BlocksStolen;

    /// <summary>Times that a frontier moved.</summary>
    public long Growths;

    /// <summary>Pages that went back to the OS, ever.</summary>
    public long PagesPurgedEver;

    /// <summary>The free list of one order and mobility.</summary>
    public static PageList* FreeList(Zone* zone, int order, Mobility mobility)
    {
        Invariant.Holds((uint)order < Order.Count && mobility <= Mobility.Movable);
        return zone->FreeLists + (((int)mobility * Order.Count) + order);
    }
}
