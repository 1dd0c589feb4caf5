using System;
using System.Collections.Generic;
using System.Linq;
using Kmem.Engine.Pages;
using Kmem.Engine.Slabs;
using Xunit;

namespace Kmem.Tests.Unit.Slabs;

public sealed unsafe class SlabListsTests
{
    [Theory]
    [InlineData(8)]
    [InlineData(16)]
    [InlineData(24)]
    [InlineData(100)]
    [InlineData(1000)]
    [InlineData(5000)]
    [InlineData(40_000)]
    [InlineData(1 << 20)]
    public void Objects_are_distinct_aligned_inside_their_slab_and_all_come_back(uint size)
    {
        using TestLists lists = new(size);
        int count = (int)Math.Min(lists.Layout.Objects * 5, 4000);
        count = count < 5 ? 5 : count;
        List<nuint> objects = lists.TakeAll(count);
        Assert.Equal(count, objects.Distinct().Count());
        objects.Sort();
        for (int index = 0; index < count; index++)
        {
            Assert.Equal((nuint)0, objects[index] % lists.Layout.AlignmentBytes);
            Assert.True(index == 0 || objects[index] - objects[index - 1] >= lists.Layout.StrideBytes);
            Page* page = Zone.PageOf(lists.Zone, (void*)objects[index]);
            Assert.True(Slab.IsObject(page, objects[index]) && page->CacheIndex == TestLists.CacheIndex);
            Assert.True(Zone.PageOf(lists.Zone, (void*)(objects[index] + size - 1)) != null);
            new Span<byte>((void*)objects[index], (int)size).Fill((byte)index);
        }

        Assert.Equal(SlabListsFault.None, lists.Validate());
        Assert.Equal(count, (lists.Pointer->Slabs * lists.Layout.Objects) - lists.Pointer->FreeObjects);
        lists.Return(objects);
        Assert.Equal(0, lists.Fault.Count);
        Assert.Equal(SlabListsFault.None, lists.Validate());
        SlabLists.ReleaseFreeSlabs(lists.Pointer, 0, 0);
        Assert.Equal((0, 0), (lists.Pointer->Slabs, lists.Pointer->FreeObjects));
        SlabLists.Destroy(lists.Pointer, 0);
        lists.Zone.AssertAllMerged();
    }

    [Fact]
    public void Objects_come_in_the_order_of_their_addresses_and_reading_them_does_not_write_them()
    {
        using TestLists lists = new(64);
        nuint[] objects = lists.Take(64);
        for (int index = 0; index < 64; index++)
        {
            Assert.Equal(objects[0] + ((nuint)index * 64), objects[index]);
            *(ulong*)objects[index] = 0xABCD_0000u + (uint)index;
        }

        lists.Return(objects);
        Assert.Equal(objects, lists.Take(64));
        for (int index = 0; index < 64; index++)
        {
            Assert.Equal(0xABCD_0000u + (uint)index, *(ulong*)objects[index]);
        }
    }

    [Fact]
    public void A_take_ends_at_the_new_slab_and_goes_on_from_partial_ones()
    {
        using TestLists lists = new(128);
        Assert.Equal(32, lists.Take(100).Length);
        nuint[] more = lists.Take(10);
        Assert.Equal(10, more.Length);
        lists.Return(more.AsSpan(0, 4));
        Assert.Equal(26, lists.Take(100).Length);
        Assert.Equal((2, 2), (lists.Pointer->Slabs, lists.Pointer->FullSlabs));
    }

    [Fact]
    public void Slabs_move_between_the_full_the_partial_and_the_free_list()
    {
        using TestLists lists = new(128);
        AssertSlabs(lists, full: 0, partial: 0, free: 0);
        nuint[] first = lists.Take(1);
        AssertSlabs(lists, full: 0, partial: 1, free: 0);
        nuint[] rest = lists.Take(31);
        AssertSlabs(lists, full: 1, partial: 0, free: 0);
        lists.Return(rest);
        AssertSlabs(lists, full: 0, partial: 1, free: 0);
        lists.Return(first);
        AssertSlabs(lists, full: 0, partial: 0, free: 1);
        Assert.Equal(1, SlabLists.ReleaseFreeSlabs(lists.Pointer, 0, 0));
        AssertSlabs(lists, full: 0, partial: 0, free: 0);
        Assert.Equal((1, 1), (lists.Pointer->SlabsCreated, lists.Pointer->SlabsDestroyed));
    }

    [Fact]
    public void The_fullest_slab_is_taken_from_first()
    {
        using TestLists lists = new(128);
        List<nuint> objects = lists.TakeAll(32 * 4);

        // Slab k is left with 4 + 7k free objects: four different bins.
        List<List<nuint>> slabs = [.. objects.Chunk(32).Select(chunk => chunk.ToList())];
        int[] order = [2, 0, 3, 1];
        foreach (int slab in order)
        {
            lists.Return(slabs[slab].GetRange(0, 4 + (7 * slab)));
        }

        AssertSlabs(lists, full: 0, partial: 4, free: 0);
        for (int slab = 0; slab < 4; slab++)
        {
            nuint[] taken = lists.Take(4 + (7 * slab));
            Assert.Equal(slabs[slab].GetRange(0, 4 + (7 * slab)), taken);
            Assert.Equal(SlabListsFault.None, lists.Validate());
        }

        AssertSlabs(lists, full: 4, partial: 0, free: 0);
    }

    [Fact]
    public void A_partial_slab_is_taken_from_before_a_free_one()
    {
        using TestLists lists = new(128);
        List<nuint> objects = lists.TakeAll(64);
        lists.Return(objects.GetRange(0, 32));
        lists.Return(objects.GetRange(40, 1));
        Assert.Equal([objects[40]], lists.Take(1));
        AssertSlabs(lists, full: 1, partial: 0, free: 1);
    }

    [Theory]
    [InlineData(128)]
    [InlineData(4096)]
    [InlineData(100_000)]
    [InlineData(1 << 20)]
    public void Free_slabs_are_kept_up_to_a_limit_and_surplus_goes_to_the_pages(uint size)
    {
        using TestLists lists = new(size);
        int limit = lists.Pointer->FreeSlabsMax;
        Assert.InRange(limit, 1, 10);
        Assert.True(limit == 1 || (nuint)limit * lists.Layout.SlabBytes <= 256 * 1024);
        List<nuint> objects = lists.TakeAll((int)lists.Layout.Objects * (limit + 3));
        Assert.Equal(limit + 3, lists.Pointer->Slabs);
        lists.Return(objects);
        AssertSlabs(lists, full: 0, partial: 0, free: limit);
        Assert.Equal(3, lists.Pointer->SlabsDestroyed);
        Assert.Equal(limit, SlabLists.ReleaseFreeSlabs(lists.Pointer, 0, 0));
        lists.Zone.AssertAllMerged();
    }

    [Fact]
    public void The_least_number_of_free_slabs_since_maintenance_is_remembered()
    {
        using TestLists lists = new(128);
        List<nuint> objects = lists.TakeAll(32 * 4);
        lists.Return(objects);
        Assert.Equal(0, SlabLists.ReleaseFreeSlabs(lists.Pointer, 4, 0));
        Assert.Equal(4, lists.Pointer->FreeSlabsLeast);
        List<nuint> again = lists.TakeAll(33);
        Assert.Equal(2, lists.Pointer->FreeSlabsLeast);
        lists.Return(again);
        Assert.Equal((2, 4), (lists.Pointer->FreeSlabsLeast, lists.Pointer->FreeSlabs));
    }

    [Theory]
    [InlineData(8)]
    [InlineData(128)]
    [InlineData(5000)]
    public void An_object_that_is_in_its_slab_is_told_and_left_out(uint size)
    {
        using TestLists lists = new(size);
        nuint[] objects = lists.Take(5);
        lists.Return(objects[1]);
        lists.Return(objects[0], objects[1], objects[2], objects[2]);
        Assert.Equal((2, objects[1]), (lists.Fault.Count, lists.Fault.Object));
        Assert.Equal(SlabListsFault.None, lists.Validate());
        Assert.Equal(2, (lists.Pointer->Slabs * lists.Layout.Objects) - lists.Pointer->FreeObjects);
        lists.Return(objects[3], objects[4]);
        Assert.Equal(0, lists.Fault.Count);
        Assert.Equal(lists.Pointer->Slabs, lists.Pointer->FreeSlabs);
    }

    [Fact]
    public void An_object_whose_slab_is_gone_is_told_too()
    {
        using TestLists lists = new(128);
        nuint[] objects = lists.Take(2);
        lists.Return(objects);
        SlabLists.ReleaseFreeSlabs(lists.Pointer, 0, 0);
        lists.Return(objects[1]);
        Assert.Equal((1, objects[1]), (lists.Fault.Count, lists.Fault.Object));
        Assert.Equal(SlabListsFault.None, lists.Validate());
        Assert.Equal(0, lists.Pointer->FreeObjects);
    }

    [Fact]
    public void Objects_of_8_bytes_have_their_bits_in_tables_of_which_a_page_serves_64_slabs()
    {
        using TestLists lists = new(8);
        Assert.Equal(512u, lists.Layout.Objects);
        List<nuint> objects = lists.TakeAll(512 * 64);
        Assert.Equal((64, 1), (lists.Pointer->FullSlabs, lists.Pointer->BitTablePages));
        objects.AddRange(lists.Take(1));
        Assert.Equal(2, lists.Pointer->BitTablePages);
        Assert.Equal(objects.Count, objects.Distinct().Count());
        Assert.Equal(SlabListsFault.None, lists.Validate());

        // Tables of slabs that go are used again.
        lists.Return(objects);
        SlabLists.ReleaseFreeSlabs(lists.Pointer, 0, 0);
        objects = lists.TakeAll(512 * 128);
        Assert.Equal(2, lists.Pointer->BitTablePages);
        lists.Return(objects);
        SlabLists.Destroy(lists.Pointer, 0);
        Assert.Equal(0, lists.Pointer->BitTablePages);
        lists.Zone.AssertAllMerged();
    }

    [Fact]
    public void A_full_zone_gives_nothing_and_goes_on_after_a_return()
    {
        using TestLists lists = new(4096, reserveBytes: 4 * TestZone.MiB);
        List<nuint> objects = [];
        for (nuint[] taken; (taken = lists.Take(100)).Length != 0;)
        {
            objects.AddRange(taken);
        }

        Assert.Equal(1024, objects.Count);
        Assert.Empty(lists.Take(1));
        Assert.Equal(SlabListsFault.None, lists.Validate());
        lists.Return(objects[77]);
        Assert.Equal([objects[77]], lists.Take(3));
    }

    [Fact]
    public void Where_memory_is_out_for_a_table_of_bits_the_slab_goes_back()
    {
        using TestLists lists = new(8, reserveBytes: 4 * TestZone.MiB);
        Page* last = null;
        for (Page* page; (page = Zone.AllocateBlock(lists.Zone, 0, Mobility.Unmovable, 0)) != null;)
        {
            last = page;
        }

        long allocated = lists.Zone.Statistics.AllocatedPages;
        Zone.FreeBlock(lists.Zone, last, 0);
        Assert.Empty(lists.Take(1));
        Assert.Equal(allocated - 1, lists.Zone.Statistics.AllocatedPages);
        Assert.Equal(0, lists.Pointer->Slabs);
        Assert.Equal(SlabListsFault.None, lists.Validate());
    }

    [Fact]
    public void Every_object_that_is_out_is_visited_once()
    {
        using TestLists lists = new(24);
        List<nuint> objects = lists.TakeAll(1000);
        lists.Return(objects.Where((_, index) => index % 3 == 0).ToArray());
        HashSet<nuint> expected = [.. objects.Where((_, index) => index % 3 != 0)];
        List<nuint> visited = [];
        System.Runtime.InteropServices.GCHandle handle = System.Runtime.InteropServices.GCHandle.Alloc(visited);
        SlabLists.VisitObjectsOut(lists.Pointer, &Visit, (void*)(nint)handle);
        handle.Free();
        Assert.Equal(expected.Count, visited.Count);
        Assert.True(expected.SetEquals(visited));

        static void Visit(void* context, nuint address) =>
            ((List<nuint>)System.Runtime.InteropServices.GCHandle.FromIntPtr((nint)context).Target!).Add(address);
    }

    private static void AssertSlabs(TestLists lists, long full, long partial, long free)
    {
        Assert.Equal((full, partial, free), (lists.Pointer->FullSlabs, lists.Pointer->PartialSlabs, lists.Pointer->FreeSlabs));
        Assert.Equal(SlabListsFault.None, lists.Validate());
    }
}
