using Kmem.Engine.Pages;
using Xunit;

namespace Kmem.Tests.Unit.Pages;

/// <summary>Damages one field and expects one fault.</summary>
public sealed unsafe class ZoneValidationTests
{
    [Fact]
    public void A_sound_zone_has_no_fault()
    {
        using Damaged zone = new();
        Assert.Equal(ZoneFault.None, Zone.Validate(zone.Zone));
    }

    [Fact]
    public void Every_damage_has_its_name()
    {
        using Damaged zone = new();
        Zone* z = zone.Zone;
        Page* free = zone.Free;
        Page* listed = zone.Listed;
        zone.Expect(ZoneFault.ListLinks, (byte*)&free->Prev, 1);
        zone.Expect(ZoneFault.ListLinks, (byte*)&zone.FreeList->Count, 1);
        zone.Expect(ZoneFault.ListLinks, (byte*)&zone.FreeList->Last, 1);
        zone.Expect(ZoneFault.FreeHead, (byte*)&free->Kind, (byte)PageKind.Free ^ (byte)PageKind.Block);
        zone.Expect(ZoneFault.FreeHead, (byte*)&free->Order, 1);
        zone.Expect(ZoneFault.FreeHead, (byte*)&free->Mobility, 1);
        zone.Expect(ZoneFault.ListedHead, (byte*)&listed->Kind, (byte)PageKind.Listed ^ (byte)PageKind.Free);
        zone.Expect(ZoneFault.ListedHead, (byte*)&listed->Order, 1);
        zone.Expect(ZoneFault.DirtyOrder, (byte*)&zone.FreeList->LastDirty, 1);
        zone.Expect(ZoneFault.PageblockMobility, z->PageblockBytes + (zone.FreeNumber >> Pageblocks.BlockOrder), 1);
        zone.Expect(ZoneFault.NonEmptyMask, (byte*)&z->NonEmpty, 1);
        zone.Expect(ZoneFault.ListedCount, (byte*)&z->CpuLists->Pages, 1);
        zone.Expect(ZoneFault.FreeCount, (byte*)&z->FreePages, 1);
        zone.Expect(ZoneFault.FreeCount, (byte*)&z->PurgedPages, 1);
        zone.Expect(ZoneFault.FreeCount, (byte*)&z->IsolatedPages, 1);
        zone.Expect(ZoneFault.Tiling, (byte*)&zone.Block->Kind, (byte)PageKind.Block);
        zone.Expect(ZoneFault.InnerHead, (byte*)&zone.Block[1].Kind, (byte)PageKind.Free);
        zone.Expect(ZoneFault.LargestFreeBit, z->PageblockBytes + (PageIndex.First >> Pageblocks.BlockOrder), 0x80);
        zone.Expect(ZoneFault.HeadCount, (byte*)&zone.Block->Kind, (byte)PageKind.Block ^ (byte)PageKind.Free);
        zone.Expect(ZoneFault.Total, (byte*)&z->TotalPages, 1);
    }

    [Fact]
    public void Free_buddies_side_by_side_are_a_fault()
    {
        using TestZone zone = new();
        Page* block = Zone.AllocateBlock(zone, 4, Mobility.Movable, 0);
        PageIndex page = HeadLookup.IndexOf(zone, block);
        Kmem.Engine.Primitives.RankedLock.Enter(&zone.Pointer->Lock, Kmem.Engine.Primitives.LockRank.Zone);
        block->Kind = PageKind.None;
        BuddyAllocator.InsertLocked(zone, page, 4, Mobility.Movable, PageFlags.Purged, 0);
        Kmem.Engine.Primitives.RankedLock.Exit(&zone.Pointer->Lock, Kmem.Engine.Primitives.LockRank.Zone);
        Assert.Equal(ZoneFault.Unmerged, Zone.Validate(zone));
    }

    /// <summary>A zone with a dirty free block, a listed block and a block in use.</summary>
    private sealed class Damaged : System.IDisposable
    {
        private readonly TestZone _zone = new();

        public Damaged()
        {
            Block = Kmem.Engine.Pages.Zone.AllocateBlock(_zone, 6, Mobility.Movable, 0);
            Free = Kmem.Engine.Pages.Zone.AllocateBlock(_zone, 5, Mobility.Movable, 0);
            Page* neighbour = Kmem.Engine.Pages.Zone.AllocateBlock(_zone, 5, Mobility.Movable, 0);
            Listed = Kmem.Engine.Pages.Zone.AllocateBlock(_zone, 2, Mobility.Movable, 0);
            Kmem.Engine.Pages.Zone.FreeBlock(_zone, Listed, 0);
            Kmem.Engine.Pages.Zone.FreeBlock(_zone, Free, 0);
            Assert.True(neighbour->Kind == PageKind.Block && Free->Kind == PageKind.Free && Listed->Kind == PageKind.Listed);
        }

        public Zone* Zone => _zone.Pointer;

        public Page* Block { get; }

        public Page* Free { get; }

        public Page* Listed { get; }

        public uint FreeNumber => HeadLookup.IndexOf(Zone, Free).Number;

        public PageList* FreeList => Kmem.Engine.Pages.Zone.FreeList(Zone, Free->Order, Free->Mobility);

        /// <summary>Flips bits of one byte, validates, and flips them back.</summary>
        public void Expect(ZoneFault fault, byte* at, int bits)
        {
            *at ^= (byte)bits;
            ZoneFault found = Kmem.Engine.Pages.Zone.Validate(Zone);
            *at ^= (byte)bits;
            Assert.Equal(fault, found);
            Assert.Equal(ZoneFault.None, Kmem.Engine.Pages.Zone.Validate(Zone));
        }

        public void Dispose() => _zone.Dispose();
    }
}
