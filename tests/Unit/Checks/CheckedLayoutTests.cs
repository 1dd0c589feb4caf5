using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;
using Xunit;

namespace Kmem.Tests.Unit.Checks;

/// <summary>Where the zones, the track and the objects of a checked slab lie.</summary>
public sealed class CheckedLayoutTests
{
    private static readonly uint[] s_sizes = [1, 7, 8, 9, 16, 24, 32, 48, 64, 96, 100, 112, 128, 192, 500, 1000, 1024, 2048, 4000, 4096, 8192, 10_000, 32_768, 100_000, 1 << 20];
    private static readonly uint[] s_alignments = [0, 16, 64, 256, 4096];

    [Theory]
    [ClassData(typeof(LetterSets))]
    public void Zones_track_and_objects_fill_the_stride_and_do_not_overlap(string letters)
    {
        CacheChecks checks = LetterSets.Parse(letters);
        foreach (uint size in s_sizes)
        {
            foreach (uint alignment in s_alignments)
            {
                SlabLayout plain = SlabLayout.Compute(size, alignment, SlabRule.Default, 4, false);
                CheckedLayout layout = CheckedLayout.Compute(plain, size, checks, SlabRule.Default, 4);
                AssertWhole(plain, layout, size, checks);
            }
        }
    }

    [Theory]
    [ClassData(typeof(LetterSets))]
    public void Objects_are_aligned_as_they_are_without_checks(string letters)
    {
        foreach (uint size in s_sizes)
        {
            foreach (uint alignment in s_alignments)
            {
                SlabLayout plain = SlabLayout.Compute(size, alignment, SlabRule.Default, 4, false);
                uint natural = uint.Min(plain.StrideBytes & (~plain.StrideBytes + 1), 4096);
                SlabLayout slab = CheckedLayout.Compute(plain, size, LetterSets.Parse(letters), SlabRule.Default, 4).Slab;
                Assert.Equal(0u, slab.StrideBytes % uint.Max(natural, alignment));
                Assert.Equal(0u, slab.LeadBytes % uint.Max(natural, alignment));
            }
        }
    }

    [Theory]
    [InlineData(CacheChecks.Consistency)]
    [InlineData(CacheChecks.Poison)]
    [InlineData(CacheChecks.Trace | CacheChecks.Faults | CacheChecks.Poison | CacheChecks.Consistency)]
    public void Letters_without_zones_and_track_need_no_room(object checks)
    {
        SlabLayout plain = SlabLayout.Compute(100, 0, SlabRule.Default, 4, false);
        CheckedLayout layout = CheckedLayout.Compute(plain, 100, (CacheChecks)checks, SlabRule.Default, 4);
        Assert.Equal(plain, layout.Slab);
        Assert.False(layout.HasTrack);
        Assert.Equal((100u, 100u, 0u, (CacheChecks)checks), (layout.CapacityBytes, layout.TrackOffset, layout.LeftZoneBytes, layout.Checks));
    }

    [Theory]
    [InlineData(CacheChecks.RedZones, 16)]
    [InlineData(CacheChecks.Users, 40)]
    [InlineData(CacheChecks.RedZones | CacheChecks.Users, 40)]
    [InlineData(CacheChecks.Sampled, 40)]
    public void The_track_is_as_long_as_the_letters_need(object checks, int bytes)
    {
        SlabLayout plain = SlabLayout.Compute(64, 0, SlabRule.Default, 4, false);
        Assert.Equal((uint)bytes, CheckedLayout.Compute(plain, 64, (CacheChecks)checks, SlabRule.Default, 4).TrackBytes);
        unsafe
        {
            Assert.Equal(ObjectTrack.BytesWithUsers, (uint)sizeof(ObjectTrack));
        }
    }

    [Fact]
    public void The_kernels_case_of_18_bytes_of_32()
    {
        SlabLayout plain = SlabLayout.Compute(32, 0, SlabRule.Default, 4, false);
        CheckedLayout layout = CheckedLayout.Compute(plain, 32, CacheChecks.RedZones, SlabRule.Default, 4);

        // 32 of the object, 8 red, 16 of the track, 8 red before the next one, which starts at a multiple of 32.
        Assert.Equal((40u, 16u, 64u, 32u), (layout.TrackOffset, layout.TrackBytes, layout.Slab.StrideBytes, layout.Slab.LeadBytes));
        Assert.Equal(8u, layout.LeftZoneBytes);
    }

    [Fact]
    public void An_object_of_a_whole_block_goes_without_zones_and_track_and_keeps_the_other_letters()
    {
        uint size = SlabLayout.ObjectSizeBytesMax;
        SlabLayout plain = SlabLayout.Compute(size, 0, SlabRule.Default, 4, false);
        CheckedLayout layout = CheckedLayout.Compute(plain, size, CacheChecks.Consistency | CacheChecks.RedZones | CacheChecks.Poison | CacheChecks.Users, SlabRule.Default, 4);
        Assert.Equal(CacheChecks.Consistency | CacheChecks.Poison, layout.Checks);
        Assert.Equal(plain, layout.Slab);
        Assert.False(layout.HasTrack);
        Assert.Equal(0u, layout.LeftZoneBytes);
    }

    [Fact]
    public void The_largest_object_that_has_room_for_its_zones_has_them()
    {
        CacheChecks checks = CacheChecks.RedZones | CacheChecks.Users;
        SlabLayout plain = SlabLayout.Compute(SlabLayout.ObjectSizeBytesMax - 8192, 0, SlabRule.Default, 4, false);
        CheckedLayout layout = CheckedLayout.Compute(plain, plain.ObjectSizeBytes, checks, SlabRule.Default, 4);
        Assert.Equal(checks, layout.Checks);
        AssertWhole(plain, layout, plain.ObjectSizeBytes, checks);
    }

    private static void AssertWhole(SlabLayout plain, CheckedLayout layout, uint capacity, CacheChecks checks)
    {
        SlabLayout slab = layout.Slab;
        bool hasZones = (checks & CacheChecks.RedZones) != 0;
        bool hasUsers = (checks & CacheChecks.Users) != 0;
        Assert.Equal(checks, layout.Checks);
        Assert.Equal((capacity, plain.ObjectSizeBytes), (layout.CapacityBytes, slab.ObjectSizeBytes));
        Assert.Equal(hasZones || hasUsers, layout.HasTrack);

        // | left zone | object | right zone | track |, each behind the other, and the track where its words are aligned.
        Assert.True(hasZones ? layout.LeftZoneBytes >= 8 : layout.LeftZoneBytes == 0);
        Assert.True(hasZones ? layout.TrackOffset >= capacity + 8 : layout.TrackOffset >= capacity);
        Assert.True(!layout.HasTrack || layout.TrackOffset % 8 == 0);
        Assert.True(layout.TrackOffset + layout.TrackBytes + layout.LeftZoneBytes <= slab.StrideBytes);
        Assert.True(!hasZones || layout.TrackOffset + layout.TrackBytes + layout.LeftZoneBytes == slab.StrideBytes);
        Assert.True(slab.LeadBytes >= layout.LeftZoneBytes);

        Assert.True(slab.Objects >= 1);
        Assert.True(slab.LeadBytes + ((ulong)slab.Objects * slab.StrideBytes) <= slab.SlabBytes);
        Assert.True(slab.LeadBytes + ((ulong)(slab.Objects + 1) * slab.StrideBytes) > slab.SlabBytes);
        Assert.Equal(0u, slab.StrideBytes % slab.AlignmentBytes);
        Assert.True(Address.IsPowerOfTwo(slab.AlignmentBytes));
    }
}
