using Kmem.Engine.Os;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;

namespace Kmem.Engine.Slabs;

/// <summary>What was wrong with objects given back: the first such object and how many there were.</summary>
internal struct SlabFault
{
    public nuint Object;
    public int Count;
}

/// <summary>Whether the pages of a slab can be read and written.</summary>
internal enum SlabAccess : byte
{
    Ordinary = 0,
    None = 1,
}

/// <summary>
/// All slabs of one cache: taking objects out of them and putting objects back, many at a time under one lock. See the
/// theory in <c>Slab.cs</c>.
/// </summary>
internal unsafe partial struct SlabLists
{
    private const int PartialBins = 8;
    private const byte ListFull = PartialBins;
    private const byte ListFree = PartialBins + 1;
    private const int ListCount = PartialBins + 2;

    /// <summary>Bytes of free slabs that a busy cache keeps at most, however few slabs that is (but one).</summary>
    private const nuint FreeBytesMax = 256 * 1024;

    /// <summary>Where slabs come from and go to. Never changes.</summary>
    public Zone* PageZone;

    /// <summary>Never changes.</summary>
    public SlabLayout Layout;

    /// <summary>Written into every page of its slabs. Never changes.</summary>
    public SlabOwner Owner;

    /// <summary>Never changes.</summary>
    public Mobility Mobility;

    /// <summary>Never changes.</summary>
    public SlabAccess Access;

    /// <summary>Null where objects are not checked. Never changes.</summary>
    public CheckedLayout* Checked;

    /// <summary>(<see cref="DamageContext"/>, damage): told of free objects that are not whole when their slab goes back to the pages. Null where nobody asks.</summary>
    public delegate*<void*, Damage*, void> DamageFound;

    public void* DamageContext;

    /// <summary>Rank <see cref="LockRank.Slabs"/>. Guards all that follows and the bits and links of every slab.</summary>
    public RankedLock Lock;

    /// <summary>Bit b: partial bin b is not empty.</summary>
    private byte _partialMask;

    /// <summary>Heads of the lists as page numbers, 0 for none: the bins, the fullest first; full; free.</summary>
    private fixed uint _heads[ListCount];

    /// <summary>Slabs on each list.</summary>
    private fixed long _counts[ListCount];

    private BitTables _bitTables;

    /// <summary>Free objects in all slabs.</summary>
    public long FreeObjects;

    /// <summary>Ever made, ever given back.</summary>
    public long SlabsCreated;

    public long SlabsDestroyed;

    /// <summary>The least number of free slabs since the last maintenance: what nobody needed.</summary>
    public long FreeSlabsLeast;

    /// <summary>Free slabs kept; further ones go to the buddy allocator at once.</summary>
    public int FreeSlabsMax;

    public readonly long Slabs => SlabsCreated - SlabsDestroyed;

    public readonly long FullSlabs => _counts[ListFull];

    public readonly long FreeSlabs => _counts[ListFree];

    public readonly long PartialSlabs => Slabs - FullSlabs - FreeSlabs;

    /// <summary>Pages of free bits beside the slabs.</summary>
    public readonly long BitTablePages => _bitTables.Pages;

    public static void Initialize(SlabLists* lists, Zone* zone, SlabLayout layout, SlabOwner owner, Mobility mobility)
    {
        *lists = default;
        lists->PageZone = zone;
        lists->Layout = layout;
        lists->Owner = owner;
        lists->Mobility = mobility;

        // The kernel keeps 5 to 10 slabs by size; large ones are bounded by bytes.
        int bySize = Bits.Log2(layout.StrideBytes) / 2;
        bySize = bySize < 5 ? 5 : bySize > 10 ? 10 : bySize;
        int byBytes = (int)(FreeBytesMax / layout.SlabBytes);
        lists->FreeSlabsMax = byBytes < 1 ? 1 : byBytes < bySize ? byBytes : bySize;
    }

    /// <summary>
    /// Takes up to <paramref name="count"/> objects, from the fullest slabs first; makes one new slab when there is no free
    /// object at all. Returns how many; 0 when memory is out.
    /// </summary>
    public static int TakeObjects(SlabLists* lists, nuint* objects, int count, int cpu)
    {
        RankedLock.Enter(&lists->Lock, LockRank.Slabs);
        int taken = TakeLocked(lists, objects, count);
        RankedLock.Exit(&lists->Lock, LockRank.Slabs);
        return taken != 0 ? taken : TakeFromNewSlab(lists, objects, count, cpu);
    }

    /// <summary>
    /// Puts objects back. One that is in its slab already, or whose slab is gone, was freed twice: it is left out and told in
    /// <paramref name="fault"/>. Every address was checked to be an object of this cache when it was freed.
    /// </summary>
    public static void ReturnObjects(SlabLists* lists, nuint* objects, int count, int cpu, SlabFault* fault)
    {
        nuint slabBytes = lists->Layout.SlabBytes;
        RankedLock.Enter(&lists->Lock, LockRank.Slabs);
        Page* head = null;
        nuint start = 0;
        int returned = 0;
        for (int index = 0; index < count; index++)
        {
            // Neighbours in a magazine often are in a slab: only the first of a row looks it up.
            nuint address = objects[index];
            if (head == null || address - start >= slabBytes)
            {
                Relist(lists, head);
                head = HeadOfObject(lists, address, &start);
            }

            if (head != null && Slab.Return(head, &lists->Layout, lists->Layout.IndexAt((uint)(address - start))))
            {
                returned++;
            }
            else if (fault->Count++ == 0)
            {
                fault->Object = address;
            }
        }

        Relist(lists, head);
        lists->FreeObjects += returned;
        Page* surplus = lists->FreeSlabs > lists->FreeSlabsMax ? UnlinkFreeSlabs(lists, lists->FreeSlabsMax) : null;
        RankedLock.Exit(&lists->Lock, LockRank.Slabs);
        GiveBack(lists, surplus, cpu);
    }

    /// <summary>Gives free slabs back to the buddy allocator until <paramref name="keep"/> are left; returns how many.</summary>
    public static int ReleaseFreeSlabs(SlabLists* lists, long keep, int cpu)
    {
        RankedLock.Enter(&lists->Lock, LockRank.Slabs);
        Page* surplus = UnlinkFreeSlabs(lists, keep);
        lists->FreeSlabsLeast = lists->FreeSlabs;
        RankedLock.Exit(&lists->Lock, LockRank.Slabs);
        return GiveBack(lists, surplus, cpu);
    }

    /// <summary>Ends the lists of a cache without an object out: everything goes back to the buddy allocator.</summary>
    public static void Destroy(SlabLists* lists, int cpu)
    {
        ReleaseFreeSlabs(lists, 0, cpu);
        Invariant.Check(lists->Slabs == 0);
        for (Page* page = BitTables.TakePage(&lists->_bitTables); page != null; page = BitTables.TakePage(&lists->_bitTables))
        {
            Zone.FreeBlock(lists->PageZone, page, cpu);
        }
    }

    /// <summary>The slab of an object and where its first object starts; null if the slab is gone.</summary>
    private static Page* HeadOfObject(SlabLists* lists, nuint address, nuint* start)
    {
        Page* page = Zone.PageOf(lists->PageZone, (void*)address);
        if (page == null || page->CacheIndex != lists->Owner.CacheIndex)
        {
            return null;
        }

        Invariant.Holds(Slab.IsObject(page, address));
        *start = address - ((uint)address - page->SlabLow);
        return Slab.HeadOf(page);
    }

    private static Page* At(SlabLists* lists, uint number) => lists->PageZone->MemoryMap + number;

    private static uint NumberOf(SlabLists* lists, Page* head) => (uint)(head - lists->PageZone->MemoryMap);

    private static int TakeLocked(SlabLists* lists, nuint* objects, int count)
    {
        Invariant.Holds(RankedLock.IsHeld(&lists->Lock));
        int taken = 0;
        while (taken < count)
        {
            uint number = lists->_partialMask != 0
                ? lists->_heads[Bits.TrailingZeros(lists->_partialMask)]
                : lists->_heads[ListFree];
            if (number == 0)
            {
                break;
            }

            Page* head = At(lists, number);
            taken += Slab.Take(head, &lists->Layout, (nuint)Zone.AddressOf(lists->PageZone, head), objects + taken, count - taken);
            Relist(lists, head);
        }

        lists->FreeObjects -= taken;
        Invariant.Holds(lists->FreeObjects >= 0);
        return taken;
    }

    /// <summary>The rung below the lists: a block from the buddy allocator, cut into objects.</summary>
    private static int TakeFromNewSlab(SlabLists* lists, nuint* objects, int count, int cpu)
    {
        Page* head = Zone.AllocateBlock(lists->PageZone, lists->Layout.Order, lists->Mobility, cpu);
        if (head == null)
        {
            return 0;
        }

        if (lists->Access == SlabAccess.None && !TrySetAccessible(lists, head, false))
        {
            Zone.FreeBlock(lists->PageZone, head, cpu);
            return 0;
        }

        if (lists->Checked != null)
        {
            CheckedObject.PrepareSlab(lists->Checked, (nuint)Zone.AddressOf(lists->PageZone, head));
        }

        Page* tablePage = null;
        if (Slab.UsesBitTable(&lists->Layout))
        {
            // One page serves 64 slabs; a surplus one made by two threads at once is kept for later slabs.
            RankedLock.Enter(&lists->Lock, LockRank.Slabs);
            ulong* table = BitTables.TryTake(&lists->_bitTables);
            RankedLock.Exit(&lists->Lock, LockRank.Slabs);
            if (table == null)
            {
                tablePage = Zone.AllocateBlock(lists->PageZone, 0, Mobility.Unmovable, cpu);
                if (tablePage == null)
                {
                    head->Next = 0;
                    _ = GiveBack(lists, head, cpu);
                    return 0;
                }
            }

            return InsertSlab(lists, head, table, tablePage, objects, count);
        }

        return InsertSlab(lists, head, null, null, objects, count);
    }

    private static bool TrySetAccessible(SlabLists* lists, Page* head, bool accessible)
    {
        OsTable* os = lists->PageZone->Os;
        return os->Protect(os->Context, Zone.AddressOf(lists->PageZone, head), lists->Layout.SlabBytes, accessible);
    }

    private static int InsertSlab(SlabLists* lists, Page* head, ulong* table, Page* tablePage, nuint* objects, int count)
    {
        nuint address = (nuint)Zone.AddressOf(lists->PageZone, head);
        if (tablePage == null)
        {
            // Nobody else knows the block yet: no lock is needed to write its descriptors.
            Slab.Carve(head, &lists->Layout, address, lists->Owner, table);
        }

        RankedLock.Enter(&lists->Lock, LockRank.Slabs);
        if (tablePage != null)
        {
            BitTables.AddPage(&lists->_bitTables, tablePage, Zone.AddressOf(lists->PageZone, tablePage), lists->Layout.Order);
            Slab.Carve(head, &lists->Layout, address, lists->Owner, BitTables.TryTake(&lists->_bitTables));
        }

        lists->SlabsCreated++;
        lists->FreeObjects += lists->Layout.Objects;
        Link(lists, head, ListFree);
        int taken = TakeLocked(lists, objects, count);
        RankedLock.Exit(&lists->Lock, LockRank.Slabs);
        return taken;
    }
}
