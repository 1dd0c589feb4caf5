using System;
using System.Runtime.InteropServices;
using Kmem.Engine.Slabs;
using Xunit;

namespace Kmem.Tests.Unit.Checks;

/// <summary>
/// The checks of one object in plain memory, between two others: every byte of its zones, its tail and its poison is written over, one at a time, and each
/// is found, where it is, as what it is, and in no neighbour. A byte that is the user's own is found by nobody.
/// </summary>
public sealed unsafe class CheckedObjectTests
{
    /// <summary>Size of the objects, bytes asked for, letters.</summary>
    public static TheoryData<int, int, string> Cases
    {
        get
        {
            TheoryData<int, int, string> data = [];
            foreach ((int size, int requested) in new[] { (8, 8), (8, 1), (32, 18), (32, 32), (64, 64), (64, 0), (100, 93), (500, 500), (1000, 999), (4096, 4096), (4096, 4000), (8192, 8100) })
            {
                foreach (string letters in LetterSets.All)
                {
                    data.Add(size, requested, letters);
                }
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Every_byte_around_a_live_object(int size, int requested, string letters)
    {
        using Row row = new(size, letters);
        CheckedLayout* layout = row.Layout;
        nuint middle = row.Middle;
        CheckedObject.MakeLive(layout, middle, (nuint)requested);
        if (layout->HasTrack)
        {
            CheckedObject.SetState(layout, middle, TrackState.Live);
        }

        nuint right = middle + (nuint)requested;
        nuint end = layout->LeftZoneBytes == 0 ? right : middle + layout->TrackOffset;
        for (nuint at = middle - layout->LeftZoneBytes; at < end; at++)
        {
            DamageKind kind = at < middle ? DamageKind.LeftZone : at < right ? DamageKind.None : DamageKind.RightZone;
            row.AssertOneByte(at, kind, CheckedObject.ZoneOfLive, isFree: false);
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Every_byte_of_a_free_object(int size, int requested, string letters)
    {
        using Row row = new(size, letters);
        CheckedLayout* layout = row.Layout;
        nuint middle = row.Middle;
        CheckedObject.MakeLive(layout, middle, (nuint)requested);
        CheckedObject.MakeFree(layout, middle);
        if (layout->HasTrack)
        {
            CheckedObject.SetState(layout, middle, TrackState.Free);
        }

        nuint right = middle + layout->CapacityBytes;
        nuint end = layout->LeftZoneBytes == 0 ? right : middle + layout->TrackOffset;
        bool isPoisoned = (layout->Checks & CacheChecks.Poison) != 0;
        for (nuint at = middle - layout->LeftZoneBytes; at < end; at++)
        {
            DamageKind kind = at < middle ? DamageKind.LeftZone
                : at >= right ? DamageKind.RightZone
                : isPoisoned ? DamageKind.AfterFree
                : DamageKind.None;
            byte expected = kind != DamageKind.AfterFree ? CheckedObject.ZoneOfFree : at == right - 1 ? CheckedObject.PoisonEnd : CheckedObject.Poison;
            row.AssertOneByte(at, kind, expected, isFree: true);
        }
    }

    [Theory]
    [ClassData(typeof(LetterSets))]
    public void A_fresh_slab_is_full_of_whole_free_objects(string letters)
    {
        foreach (int size in new[] { 1, 8, 32, 100, 4096 })
        {
            using Row row = new(size, letters);
            row.AssertAllFree();
        }
    }

    [Fact]
    public void Damage_reaches_from_the_first_bad_byte_to_the_last()
    {
        using Row row = new(100, "ZP");
        byte* middle = (byte*)row.Middle;
        middle[3] = 1;
        middle[40] = 2;
        Damage damage = default;
        Assert.False(CheckedObject.IsFreeObjectWhole(row.Layout, row.Middle, &damage));
        Assert.Equal((row.Middle + 3, (nuint)38, 1, CheckedObject.Poison), (damage.Address, damage.Bytes, damage.Found, damage.Expected));

        middle[99] = 3;
        Assert.False(CheckedObject.IsFreeObjectWhole(row.Layout, row.Middle, &damage));
        Assert.Equal((row.Middle + 3, (nuint)97), (damage.Address, damage.Bytes));

        // The zone before counts before the bytes, however many these are.
        middle[-8] = 4;
        Assert.False(CheckedObject.IsFreeObjectWhole(row.Layout, row.Middle, &damage));
        Assert.Equal((DamageKind.LeftZone, row.Middle - 8, (nuint)1), (damage.Kind, damage.Address, damage.Bytes));
    }

    [Fact]
    public void The_bytes_of_an_object_in_use_keep_their_poison_until_somebody_writes()
    {
        using Row row = new(32, "ZP");
        CheckedObject.MakeLive(row.Layout, row.Middle, 18);
        Assert.All(new ReadOnlySpan<byte>((void*)row.Middle, 18).ToArray(), each => Assert.Equal(CheckedObject.Poison, each));
        Assert.All(new ReadOnlySpan<byte>((void*)(row.Middle + 18), 22).ToArray(), each => Assert.Equal(CheckedObject.ZoneOfLive, each));
    }

    [Theory]
    [InlineData("Z")]
    [InlineData("U")]
    [InlineData("FZPU")]
    public void Of_two_frees_one_changes_the_state(string letters)
    {
        using Row row = new(64, letters);
        CheckedObject.SetState(row.Layout, row.Middle, TrackState.Live);
        Assert.True(CheckedObject.TryChangeState(row.Layout, row.Middle, TrackState.Live, TrackState.Leaving));
        Assert.False(CheckedObject.TryChangeState(row.Layout, row.Middle, TrackState.Live, TrackState.Leaving));
        Assert.Equal(TrackState.Leaving, CheckedObject.StateOf(row.Layout, row.Middle));
        Damage damage = default;
        Assert.False(CheckedObject.IsFreeObjectWhole(row.Layout, row.Middle, &damage));
        Assert.Equal(DamageKind.Track, damage.Kind);
    }

    [Fact]
    public void A_state_that_was_copied_from_another_object_is_none()
    {
        using Row row = new(64, "Z");
        CheckedObject.SetState(row.Layout, row.Middle, TrackState.Live);
        nuint next = row.Middle + row.Layout->Slab.StrideBytes;
        *CheckedObject.TrackOf(row.Layout, next) = *CheckedObject.TrackOf(row.Layout, row.Middle);
        Assert.False(Enum.IsDefined(CheckedObject.StateOf(row.Layout, next)));
    }

    [Theory]
    [InlineData("Z")]
    [InlineData("FZPU")]
    public void A_request_beyond_the_capacity_is_a_damaged_track_and_is_repaired(string letters)
    {
        using Row row = new(64, letters);
        CheckedObject.MakeLive(row.Layout, row.Middle, 60);
        CheckedObject.SetState(row.Layout, row.Middle, TrackState.Live);
        CheckedObject.TrackOf(row.Layout, row.Middle)->RequestedBytes = 65;
        Damage damage = default;
        Assert.False(CheckedObject.IsLiveObjectWhole(row.Layout, row.Middle, &damage));
        Assert.Equal(DamageKind.Track, damage.Kind);
        CheckedObject.RepairLive(row.Layout, row.Middle);
        Assert.True(CheckedObject.IsLiveObjectWhole(row.Layout, row.Middle, &damage));
    }

    /// <summary>Three objects in plain memory, free.</summary>
    private sealed class Row : IDisposable
    {
        private const int Count = 3;

        private readonly nuint _memory;

        public Row(int size, string letters)
        {
            Layout = (CheckedLayout*)NativeMemory.AllocZeroed((nuint)sizeof(CheckedLayout));
            SlabLayout plain = SlabLayout.Compute((uint)size, 0, SlabRule.Default, 4, false);
            *Layout = CheckedLayout.Compute(plain, (uint)size, LetterSets.Parse(letters), SlabRule.Default, 4);
            Layout->Slab.Objects = Count;
            _memory = (nuint)NativeMemory.AlignedAlloc(Layout->Slab.LeadBytes + (Count * Layout->Slab.StrideBytes), 4096);
            CheckedObject.PrepareSlab(Layout, _memory);
        }

        public CheckedLayout* Layout { get; }

        public nuint Middle => _memory + Layout->Slab.LeadBytes + Layout->Slab.StrideBytes;

        /// <summary>Writes over one byte, by one bit and by all: it is found once, in the middle object alone, and no more when it is as it was.</summary>
        public void AssertOneByte(nuint at, DamageKind kind, byte expected, bool isFree)
        {
            byte before = *(byte*)at;
            foreach (int change in new[] { 0x01, 0x80, 0xFF })
            {
                *(byte*)at = (byte)(before ^ change);
                Damage damage = default;
                Assert.Equal(kind == DamageKind.None, IsMiddleWhole(isFree, &damage));
                if (kind != DamageKind.None)
                {
                    Assert.Equal((kind, Middle, at, (nuint)1), (damage.Kind, damage.Object, damage.Address, damage.Bytes));
                    Assert.Equal((expected, before ^ change), (damage.Expected, damage.Found));
                }

                Assert.True(CheckedObject.IsFreeObjectWhole(Layout, Middle - Layout->Slab.StrideBytes, &damage));
                Assert.True(CheckedObject.IsFreeObjectWhole(Layout, Middle + Layout->Slab.StrideBytes, &damage));
                *(byte*)at = before;
                Assert.True(IsMiddleWhole(isFree, &damage));
            }

            if (kind != DamageKind.None)
            {
                Damage damage = default;
                *(byte*)at = (byte)~before;
                Repair(isFree);
                Assert.True(IsMiddleWhole(isFree, &damage));
                Assert.Equal(before, *(byte*)at);
            }
        }

        public void AssertAllFree()
        {
            for (uint index = 0; index < Count; index++)
            {
                Damage damage = default;
                nuint address = _memory + Layout->Slab.LeadBytes + (index * Layout->Slab.StrideBytes);
                Assert.True(CheckedObject.IsFreeObjectWhole(Layout, address, &damage));
                Assert.True(!Layout->HasTrack || CheckedObject.StateOf(Layout, address) == TrackState.Free);
            }
        }

        public void Dispose()
        {
            NativeMemory.AlignedFree((void*)_memory);
            NativeMemory.Free(Layout);
        }

        private bool IsMiddleWhole(bool isFree, Damage* damage) =>
            isFree ? CheckedObject.IsFreeObjectWhole(Layout, Middle, damage) : CheckedObject.IsLiveObjectWhole(Layout, Middle, damage);

        private void Repair(bool isFree)
        {
            if (isFree)
            {
                CheckedObject.MakeFree(Layout, Middle);
            }
            else
            {
                CheckedObject.RepairLive(Layout, Middle);
            }
        }
    }
}
