using System;
using System.Collections.Generic;
using Kmem.Engine.Pages;
using Kmem.Engine.Slabs;
using Xunit;

namespace Kmem.Tests.Unit.Slabs;

/// <summary>One bit, one counter or one link is damaged; exactly one fault is named; and it is gone when the damage is undone.</summary>
public sealed unsafe class SlabSabotageTests : IDisposable
{
    private const int Bin = 4;

    /// <summary>Slabs of two pages: three partial ones in one bin, one full, one free.</summary>
    private readonly TestLists _lists = new(256);

    private readonly Page* _head;
    private readonly Page* _next;

    public SlabSabotageTests()
    {
        List<nuint> objects = _lists.TakeAll(32 * 5);
        for (int slab = 0; slab < 3; slab++)
        {
            _lists.Return(objects.GetRange(32 * slab, 18 + (slab % 2)));
        }

        _lists.Return(objects.GetRange(32 * 4, 32));
        Assert.Equal((1, 3, 1), (_lists.Pointer->FullSlabs, _lists.Pointer->PartialSlabs, _lists.Pointer->FreeSlabs));

        // The middle one of the list.
        _next = _lists.HeadOf(objects[0]);
        _head = _lists.HeadOf(objects[32]);
        Assert.Equal(Bin, _head->SlabList);
        Assert.Equal(1, _lists.Layout.Order);
        Assert.Equal(SlabListsFault.None, _lists.Validate());
    }

    public void Dispose() => _lists.Dispose();

    [Fact]
    public void A_free_bit_that_is_cleared() => AssertNamed(SlabListsFault.SlabBitsWrong, _head->FreeBits, (ulong)(_head->FreeBits[0] & (_head->FreeBits[0] - 1)));

    [Fact]
    public void A_free_bit_of_an_object_that_does_not_exist() => AssertNamed(SlabListsFault.SlabBitsWrong, _head->FreeBits, _head->FreeBits[0] | (1ul << 40));

    [Fact]
    public void A_count_of_free_objects() => AssertNamed(SlabListsFault.SlabBitsWrong, &_head->FreeObjects, (ushort)(_head->FreeObjects - 1));

    [Fact]
    public void A_count_of_free_objects_that_asks_for_another_list() => AssertNamed(SlabListsFault.SlabOnWrongList, &_head->FreeObjects, (ushort)(_head->FreeObjects + 9));

    [Fact]
    public void The_number_of_the_list() => AssertNamed(SlabListsFault.SlabOnWrongList, &_head->SlabList, (byte)(Bin + 1));

    [Fact]
    public void A_link_backwards() => AssertNamed(SlabListsFault.ListLinkBroken, &_head->Prev, _head->Prev + 2);

    [Fact]
    public void A_link_forwards_that_ends_early() => AssertNamed(SlabListsFault.ListCountWrong, &_head->Next, 0u);

    [Fact]
    public void A_link_forwards_that_goes_round_in_a_circle() => AssertNamed(SlabListsFault.ListLinkBroken, &_next->Next, _head->Next == 0 ? _head->Prev : _next->Prev);

    [Fact]
    public void The_cache_of_the_head() => AssertNamed(SlabListsFault.SlabOfAnotherCache, &_head->CacheIndex, (ushort)(TestLists.CacheIndex + 1));

    [Fact]
    public void The_cache_of_a_tail_page() => AssertNamed(SlabListsFault.SlabPagesWrong, &_head[1].CacheIndex, (ushort)(TestLists.CacheIndex + 1));

    [Fact]
    public void The_front_entry_of_a_tail_page() => AssertNamed(SlabListsFault.SlabPagesWrong, &_head[1].FrontEntry, (ushort)0);

    [Fact]
    public void The_slab_of_a_tail_page() => AssertNamed(SlabListsFault.SlabPagesWrong, &_head[1].SlabLow, _head[1].SlabLow + 8);

    [Fact]
    public void The_position_of_a_tail_page() => AssertNamed(SlabListsFault.SlabPagesWrong, &_head[1].PageInSlab, (ushort)0);

    [Fact]
    public void The_reciprocal_of_a_page() => AssertNamed(SlabListsFault.SlabPagesWrong, &_head[1].StrideReciprocal, _head->StrideReciprocal ^ 1);

    [Fact]
    public void The_end_of_the_objects_in_a_page() => AssertNamed(SlabListsFault.SlabPagesWrong, &_head->ObjectUnits, _head->ObjectUnits + 1);

    [Fact]
    public void The_kind_of_a_page() => AssertNamed(SlabListsFault.SlabPagesWrong, (byte*)&_head[1].Kind, (byte)PageKind.Free);

    [Fact]
    public void A_count_of_slabs_on_a_list_that_is_too_high() => AssertNamed(SlabListsFault.ListCountWrong, Counts + Bin, Counts[Bin] + 1);

    [Fact]
    public void A_count_of_slabs_on_a_list_that_is_too_low() => AssertNamed(SlabListsFault.ListLinkBroken, Counts + Bin, Counts[Bin] - 1);

    [Fact]
    public void The_head_of_a_list() => AssertNamed(SlabListsFault.ListLinkBroken, (uint*)_lists.FieldOf("_heads") + Bin, PageNumber(_head));

    [Fact]
    public void A_bit_of_the_mask_of_partial_lists() => AssertNamed(SlabListsFault.PartialMaskWrong, (byte*)_lists.FieldOf("_partialMask"), (byte)0);

    [Fact]
    public void A_bit_too_many_in_the_mask_of_partial_lists() => AssertNamed(SlabListsFault.PartialMaskWrong, (byte*)_lists.FieldOf("_partialMask"), (byte)((1 << Bin) | 1));

    [Fact]
    public void The_count_of_free_objects() => AssertNamed(SlabListsFault.FreeObjectsWrong, &_lists.Pointer->FreeObjects, _lists.Pointer->FreeObjects - 1);

    [Fact]
    public void The_count_of_slabs() => AssertNamed(SlabListsFault.SlabCountWrong, &_lists.Pointer->SlabsCreated, _lists.Pointer->SlabsCreated + 1);

    private long* Counts => (long*)_lists.FieldOf("_counts");

    private uint PageNumber(Page* page) => (uint)(page - _lists.Pointer->PageZone->MemoryMap);

    private void AssertNamed<T>(SlabListsFault expected, T* place, T damaged)
        where T : unmanaged
    {
        T before = *place;
        Assert.NotEqual(before, damaged);
        *place = damaged;
        SlabListsFault found = _lists.Validate();
        *place = before;
        Assert.Equal(expected, found);
        Assert.Equal(SlabListsFault.None, _lists.Validate());
    }
}
