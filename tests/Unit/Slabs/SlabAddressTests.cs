using System.Runtime.InteropServices;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;
using Xunit;

namespace Kmem.Tests.Unit.Slabs;

/// <summary>The test of an object's address in one load, against division.</summary>
public sealed unsafe class SlabAddressTests
{
    private static readonly nuint s_slabAddress = unchecked((nuint)0x7000_0000_0000);

    /// <summary>Misaligned, interior and tail addresses included.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Every_address_of_every_slab_of_small_objects_is_an_object_or_not_as_division_says(int ruleNumber)
    {
        for (uint stride = 8; stride <= 8192; stride += stride < 1024 ? 8u : 40u)
        {
            AssertExact(SlabLayout.Compute(stride, 0, (SlabRule)ruleNumber, 16, false));
        }
    }

    [Theory]
    [InlineData(9000)]
    [InlineData(12_296)]
    [InlineData(32_768)]
    [InlineData(40_000)]
    [InlineData(65_536)]
    [InlineData(87_384)]
    [InlineData(131_064)]
    [InlineData(262_144)]
    [InlineData(300_000)]
    [InlineData(1_048_576)]
    [InlineData(4_194_304)]
    public void Every_address_of_a_slab_of_large_objects_too(uint size) =>
        AssertExact(SlabLayout.Compute(size, 0, SlabRule.Default, 16, false));

    private static void AssertExact(SlabLayout layout)
    {
        nuint pages = Order.Pages(layout.Order);
        Page* head = (Page*)NativeMemory.AllocZeroed(pages * (nuint)sizeof(Page));
        ulong* table = stackalloc ulong[512];
        head->Kind = PageKind.Block;
        head->Order = (byte)layout.Order;
        Slab.Carve(head, &layout, s_slabAddress, new SlabOwner(1, hasFronts: false), Slab.UsesBitTable(&layout) ? table : null);
        Assert.True(Slab.IsValid(head, &layout));

        nuint objectsEnd = (nuint)layout.Objects * layout.StrideBytes;
        long wrong = 0;
        nuint next = 0;
        uint index = 0;
        for (nuint offset = 0; offset < layout.SlabBytes; offset++)
        {
            Page* page = head + (offset >> Address.PageShift);
            bool isObject = offset == next && offset < objectsEnd;
            if (offset == next)
            {
                index = (uint)(offset / layout.StrideBytes);
                next += layout.StrideBytes;
            }

            wrong += Slab.IsObject(page, s_slabAddress + offset) == isObject ? 0 : 1;
            wrong += offset >= objectsEnd || Slab.IndexOf(page, s_slabAddress + offset) == index ? 0 : 1;
        }

        Assert.True(wrong == 0, $"stride {layout.StrideBytes}, order {layout.Order}: {wrong} wrong answers");
        NativeMemory.Free(head);
    }
}
