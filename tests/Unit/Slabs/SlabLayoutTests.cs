using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using Kmem.Engine.Pages;
using Kmem.Engine.Slabs;
using Xunit;

namespace Kmem.Tests.Unit.Slabs;

public sealed class SlabLayoutTests
{
    private const string KernelCaches = "/sys/kernel/slab";

    [Theory]
    [InlineData(128, 0, 32)]
    [InlineData(64, 0, 64)]
    [InlineData(16, 0, 256)]
    [InlineData(8, 0, 512)]
    public void A_page_holds_nothing_but_objects(uint size, int order, uint objects)
    {
        SlabLayout layout = SlabLayout.Compute(size, 0, SlabRule.Default, 2, cacheLineAligned: false);
        Assert.Equal(order, layout.Order);
        Assert.Equal(objects, layout.Objects);
        Assert.Equal(0u, layout.TailBytes);
    }

    [Fact]
    public void A_slab_of_4096_bytes_holds_32_objects_of_128_and_one_of_8192_holds_128_of_64()
    {
        SlabLayout small = SlabLayout.Compute(128, 0, SlabRule.Default, 2, false);
        Assert.Equal((4096ul, 32u), ((ulong)small.SlabBytes, small.Objects));
        Assert.Equal(128u, Order.Bytes(1) / 64);
        SlabLayout pair = SlabLayout.Compute(256, 0, SlabRule.Default, 2, false);
        Assert.Equal((8192ul, 32u, 1), ((ulong)pair.SlabBytes, pair.Objects, pair.Order));
    }

    /// <summary>Linux, mm/slub.c, on 2, 16, 64 and 256 CPUs: order and objects.</summary>
    [Theory]
    [InlineData(64, 0, 64, 0, 64, 0, 64, 0, 64)]
    [InlineData(96, 0, 42, 0, 42, 0, 42, 0, 42)]
    [InlineData(192, 0, 21, 1, 42, 1, 42, 1, 42)]
    [InlineData(256, 0, 16, 1, 32, 1, 32, 2, 64)]
    [InlineData(320, 0, 12, 1, 25, 2, 51, 2, 51)]
    [InlineData(512, 1, 16, 2, 32, 2, 32, 3, 64)]
    [InlineData(704, 2, 23, 3, 46, 3, 46, 3, 46)]
    [InlineData(1024, 2, 16, 3, 32, 3, 32, 3, 32)]
    [InlineData(2048, 3, 16, 3, 16, 3, 16, 3, 16)]
    [InlineData(4096, 3, 8, 3, 8, 3, 8, 3, 8)]
    [InlineData(8192, 3, 4, 3, 4, 3, 4, 3, 4)]
    [InlineData(3000, 3, 10, 3, 10, 3, 10, 3, 10)]
    [InlineData(5000, 3, 6, 3, 6, 3, 6, 3, 6)]
    public void The_kernels_rule_gives_the_kernels_numbers(
        uint size, int order2, uint objects2, int order16, uint objects16, int order64, uint objects64, int order256, uint objects256)
    {
        Assert.Equal((order2, objects2), Kernel(size, 2));
        Assert.Equal((order16, objects16), Kernel(size, 16));
        Assert.Equal((order64, objects64), Kernel(size, 64));
        Assert.Equal((order256, objects256), Kernel(size, 256));
    }

    [Fact]
    public void Every_cache_of_the_running_kernel_follows_from_its_size()
    {
        Assert.SkipUnless(Directory.Exists(KernelCaches), "This machine shows no slab caches.");
        int cpuCount = CountCpus(File.ReadAllText("/sys/devices/system/cpu/present"));
        int compared = 0;
        List<string> wrong = [];
        foreach (string cache in Directory.GetDirectories(KernelCaches))
        {
            if (!TryRead(cache, "slab_size", out uint size) || !TryRead(cache, "order", out uint order) || !TryRead(cache, "objs_per_slab", out uint objects))
            {
                continue;
            }

            compared++;
            if (Kernel(size, cpuCount) != ((int)order, objects))
            {
                wrong.Add($"{Path.GetFileName(cache)}: {size} bytes: order {order}, {objects} objects; computed {Kernel(size, cpuCount)}");
            }
        }

        Assert.SkipUnless(compared > 0, "The caches are not readable.");
        Assert.Empty(wrong);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Objects_fit_into_the_slab_aligned_and_no_further_one_would(int ruleNumber)
    {
        SlabRule rule = (SlabRule)ruleNumber;
        foreach (uint alignment in new uint[] { 0, 8, 16, 64, 256, 4096 })
        {
            foreach (bool cacheLineAligned in new[] { false, true })
            {
                for (uint size = 1; size <= 8192; size++)
                {
                    AssertSound(SlabLayout.Compute(size, alignment, rule, 2, cacheLineAligned), size, alignment, cacheLineAligned);
                }
            }
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Large_objects_up_to_4_MiB_have_a_slab(int ruleNumber)
    {
        for (uint size = 8192; size <= SlabLayout.ObjectSizeBytesMax; size = Math.Min((size * 9 / 8) + 1, size == SlabLayout.ObjectSizeBytesMax ? uint.MaxValue : SlabLayout.ObjectSizeBytesMax))
        {
            AssertSound(SlabLayout.Compute(size, 0, (SlabRule)ruleNumber, 16, false), size, 0, false);
        }
    }

    /// <summary>The default rule loses little at the end of a slab: at most an eighth for anything up to 4 KiB.</summary>
    [Fact]
    public void The_default_rule_wastes_at_most_an_eighth_up_to_a_page()
    {
        for (uint size = 1; size <= 4096; size++)
        {
            SlabLayout layout = SlabLayout.Compute(size, 0, SlabRule.Default, 2, false);
            Assert.True(layout.TailBytes * 8 <= layout.SlabBytes, $"{size}: {layout.TailBytes} of {layout.SlabBytes}");
        }
    }

    [Theory]
    [InlineData(65, 64, 128)]
    [InlineData(40, 64, 64)]
    [InlineData(32, 32, 32)]
    [InlineData(17, 32, 32)]
    [InlineData(16, 16, 16)]
    [InlineData(9, 16, 16)]
    [InlineData(8, 8, 8)]
    [InlineData(3, 8, 8)]
    public void Cache_line_alignment_is_halved_while_the_object_fits_into_half_of_it(uint size, uint alignment, uint stride)
    {
        SlabLayout layout = SlabLayout.Compute(size, 0, SlabRule.Default, 2, cacheLineAligned: true);
        Assert.Equal((alignment, stride), (layout.AlignmentBytes, layout.StrideBytes));
    }

    private static void AssertSound(SlabLayout layout, uint size, uint alignment, bool cacheLineAligned)
    {
        bool sound = layout.ObjectSizeBytes == size
            && layout.StrideBytes >= size
            && layout.StrideBytes - size < layout.AlignmentBytes
            && layout.AlignmentBytes >= Math.Max(alignment, 8)
            && layout.StrideBytes % layout.AlignmentBytes == 0
            && (alignment == 0 || layout.AlignmentBytes % alignment == 0)
            && layout.Objects >= 1
            && (ulong)layout.Objects * layout.StrideBytes <= layout.SlabBytes
            && layout.TailBytes < layout.StrideBytes + (layout.Objects == 1 ? layout.SlabBytes : 0)
            && layout.Order is >= 0 and <= Order.Max
            && layout.Objects <= ushort.MaxValue
            && layout.ObjectUnits * 8 == layout.Objects * layout.StrideBytes
            && (!cacheLineAligned || size > 32 ? !cacheLineAligned || layout.AlignmentBytes >= 64 : layout.AlignmentBytes >= Math.Min(64, System.Numerics.BitOperations.RoundUpToPowerOf2(size)));
        Assert.True(sound, $"size {size}, alignment {alignment}, line {cacheLineAligned}: {layout.StrideBytes}, {layout.AlignmentBytes}, order {layout.Order}, {layout.Objects} objects");
    }

    private static (int Order, uint Objects) Kernel(uint size, int cpuCount)
    {
        SlabLayout layout = SlabLayout.Compute(size, 0, SlabRule.Kernel, cpuCount, false);
        return (layout.Order, layout.Objects);
    }

    private static bool TryRead(string cache, string file, out uint value)
    {
        value = 0;
        string path = Path.Combine(cache, file);
        try
        {
            return File.Exists(path) && uint.TryParse(File.ReadAllText(path).Trim(), CultureInfo.InvariantCulture, out value);
        }
        catch (UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>The kernel's list of CPUs: "0-3,8".</summary>
    private static int CountCpus(string list)
    {
        int count = 0;
        foreach (string range in list.Trim().Split(','))
        {
            string[] ends = range.Split('-');
            count += int.Parse(ends[^1], CultureInfo.InvariantCulture) - int.Parse(ends[0], CultureInfo.InvariantCulture) + 1;
        }

        return count;
    }
}
