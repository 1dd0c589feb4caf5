using System;
using System.Collections.Generic;
using Kmem.Engine.Slabs;
using Xunit;

namespace Kmem.Tests.Unit.Checks;

/// <summary>
/// Sabotage through the public surface: one byte at a time is written over, in every place where the letters promise to see it. Exactly one report says so, names that very
/// byte, and afterwards nothing is wrong any more.
/// </summary>
public sealed unsafe class EveryByteTests
{
    /// <summary>Where damage is found.</summary>
    public enum Finder
    {
        Validate,
        Free,
        Alloc,
        Shrink,
    }

    /// <summary>Size of the objects, bytes asked for, letters.</summary>
    public static TheoryData<int, int, string> Cases
    {
        get
        {
            TheoryData<int, int, string> data = [];
            foreach ((int size, int requested) in new[] { (16, 8), (32, 18), (64, 64), (112, 100), (512, 500), (1024, 1000), (4096, 4096) })
            {
                foreach (string letters in new[] { "F", "Z", "P", "ZP", "ZU", "FZPU" })
                {
                    // Large ones have many bytes, and each report takes its time.
                    if (size < 1000 || letters == "FZPU")
                    {
                        data.Add(size, requested, letters);
                    }
                }
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Validate_finds_every_byte_around_a_live_object(int size, int requested, string letters)
    {
        using CheckedHeap bench = new($"{letters},kmalloc-{size}", KmemMisusePolicy.Repair);
        Sites sites = new(bench, size, requested);
        byte* pointer = sites.Live;
        foreach ((nuint at, KmemMisuse misuse, byte expected) in sites.OfLive(letters))
        {
            Flip(at);
            bench.Heap.Validate();
            AssertReport(bench, misuse, (nuint)pointer, at, expected);
            bench.AssertClean();
        }

        bench.Heap.Free(pointer);
        bench.Heap.Trim();
        bench.AssertClean();
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void The_free_finds_every_byte_around_a_live_object(int size, int requested, string letters)
    {
        using CheckedHeap bench = new($"{letters},kmalloc-{size}");
        Sites sites = new(bench, size, requested);
        foreach ((nuint at, KmemMisuse misuse, byte expected) in sites.OfLive(letters))
        {
            // Each damaged object is never used again: the next one takes its turn.
            byte* pointer = (byte*)bench.Heap.Alloc((nuint)requested);
            nuint here = (nuint)pointer + (at - (nuint)sites.Live);
            Flip(here);
            KmemReport report = bench.AssertThrows(() => bench.Heap.Free(pointer));
            AssertReport(report, misuse, (nuint)pointer, here, expected);
            Assert.Contains("set aside", bench.Heap.Describe(pointer), StringComparison.Ordinal);
        }

        bench.Heap.Trim();
        bench.AssertClean();
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Validate_finds_every_byte_of_a_free_object(int size, int requested, string letters)
    {
        using CheckedHeap bench = new($"{letters},kmalloc-{size}", KmemMisusePolicy.Repair);
        Sites sites = new(bench, size, requested);
        byte* pointer = sites.Live;
        byte* neighbour = (byte*)bench.Heap.Alloc((nuint)requested);
        bench.Heap.Free(pointer);
        for (int turn = 0; turn < 2; turn++)
        {
            // At first it waits, then it is in its slab, which a neighbour keeps alive.
            foreach ((nuint at, KmemMisuse misuse, byte expected) in sites.OfFree(letters))
            {
                Flip(at);
                bench.Heap.Validate();
                AssertReport(bench, misuse, (nuint)pointer, at, expected);
                bench.AssertClean();
            }

            bench.Heap.Trim();
            Assert.Contains("free in its slab", bench.Heap.Describe(pointer), StringComparison.Ordinal);
        }

        bench.Heap.Free(neighbour);
        bench.AssertClean();
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void The_way_back_to_the_slab_and_the_next_allocation_find_every_byte_of_a_free_object(int size, int requested, string letters)
    {
        using CheckedHeap bench = new($"{letters},kmalloc-{size}", KmemMisusePolicy.Repair);
        Sites sites = new(bench, size, requested);
        byte* pointer = sites.Live;
        byte* neighbour = (byte*)bench.Heap.Alloc((nuint)requested);
        foreach ((nuint at, KmemMisuse misuse, byte expected) in sites.OfFree(letters))
        {
            // On the way from the queue to the slab, where there is a queue.
            bench.Heap.Free(pointer);
            if (sites.HasTrack)
            {
                Flip(at);
                bench.Heap.Trim();
                AssertReport(bench, misuse, (nuint)pointer, at, expected);
            }

            // And on the way from the slab: which objects it hands out is its own matter, so take them until it is this one.
            Flip(at);
            List<nint> others = [];
            byte* taken;
            while ((taken = (byte*)bench.Heap.Alloc((nuint)requested)) != pointer)
            {
                Assert.True(others.Count < 100_000);
                others.Add((nint)taken);
            }

            AssertReport(bench, misuse, (nuint)pointer, at, expected);
            foreach (nint other in others)
            {
                bench.Heap.Free((void*)other);
            }
        }

        bench.Heap.Free(pointer);
        bench.Heap.Free(neighbour);
        bench.AssertClean();
    }

    [Theory]
    [InlineData("Z")]
    [InlineData("U")]
    [InlineData("FZPU")]
    public void Every_byte_of_what_is_known_of_an_object(string letters)
    {
        foreach (bool isFree in new[] { false, true })
        {
            foreach (Finder finder in isFree ? new[] { Finder.Validate, Finder.Shrink } : [Finder.Free, Finder.Validate])
            {
                AssertTrack(letters, isFree, finder);
            }
        }
    }

    private static void AssertTrack(string letters, bool isFree, Finder finder)
    {
        uint bytes = 1;
        for (uint index = 0; index < bytes; index++)
        {
            using CheckedHeap bench = new("-", KmemMisusePolicy.Repair);
            using KmemCache cache = bench.CreateCache("tracked", 64);
            cache.Checks = (KmemChecks)LetterSets.Parse(letters);
            byte* neighbour = (byte*)cache.Alloc();
            byte* pointer = (byte*)cache.Alloc();
            byte* another = (byte*)cache.Alloc();
            CheckedLayout layout = bench.LayoutOf(pointer);
            bytes = layout.TrackBytes;
            if (isFree)
            {
                cache.Free(pointer);
                cache.Free(another);
            }

            nuint at = (nuint)pointer + layout.TrackOffset + index;
            Flip(at);
            switch (finder)
            {
                case Finder.Free:
                    cache.Free(pointer);
                    break;
                case Finder.Validate:
                    cache.Validate();
                    break;
                default:
                    _ = cache.Shrink();
                    break;
            }

            // The bytes of the link: nobody needs them while the object is live but the scope of leaks, nor in the last object that waits.
            bool isLink = index is >= 8 and < 16;
            if (isLink && !isFree)
            {
                Assert.Empty(bench.TakeReports());
            }
            else
            {
                KmemReport report = bench.TakeReport();
                Assert.Equal((KmemMisuse.TrackDamaged, (nuint)pointer), (report.Misuse, report.Address));
                Assert.InRange(at, report.BadAddress, report.BadAddress + report.BadBytes - 1);
                Assert.Contains("no sense at", report.Text, StringComparison.Ordinal);
            }

            bench.AssertClean();
            if (!isFree)
            {
                if (finder != Finder.Free)
                {
                    cache.Free(pointer);
                }

                cache.Free(another);
            }

            _ = cache.Shrink();
            cache.Free(neighbour);
            bench.AssertClean();
        }
    }

    private static void Flip(nuint at) => *(byte*)at ^= 0xFF;

    private static void AssertReport(CheckedHeap bench, KmemMisuse misuse, nuint pointer, nuint at, byte expected) =>
        AssertReport(bench.TakeReport(), misuse, pointer, at, expected);

    private static void AssertReport(KmemReport report, KmemMisuse misuse, nuint pointer, nuint at, byte expected)
    {
        Assert.Equal((misuse, pointer, at, (nuint)1), (report.Misuse, report.Address, report.BadAddress, report.BadBytes));
        Assert.Equal((expected, (byte)~expected), (report.Expected, report.Found));
    }

    /// <summary>The bytes of one object that the letters guard.</summary>
    private sealed class Sites
    {
        private readonly CheckedLayout _layout;
        private readonly int _requested;

        public Sites(CheckedHeap bench, int size, int requested)
        {
            Live = (byte*)bench.Heap.Alloc((nuint)requested);
            _layout = bench.LayoutOf(Live);
            _requested = requested;
            Assert.Equal((uint)size, _layout.CapacityBytes);
        }

        public byte* Live { get; }

        public bool HasTrack => _layout.HasTrack;

        public List<(nuint At, KmemMisuse Misuse, byte Expected)> OfLive(string letters)
        {
            List<(nuint, KmemMisuse, byte)> sites = [];
            if (letters.Contains('Z', StringComparison.Ordinal))
            {
                AddZones(sites, (nuint)_requested, 0xCC);
            }

            return sites;
        }

        public List<(nuint At, KmemMisuse Misuse, byte Expected)> OfFree(string letters)
        {
            List<(nuint, KmemMisuse, byte)> sites = [];
            if (letters.Contains('Z', StringComparison.Ordinal))
            {
                AddZones(sites, _layout.CapacityBytes, 0xBB);
            }

            for (uint index = 0; letters.Contains('P', StringComparison.Ordinal) && index < _layout.CapacityBytes; index++)
            {
                sites.Add(((nuint)Live + index, KmemMisuse.WrittenAfterFree, index == _layout.CapacityBytes - 1 ? (byte)0xA5 : (byte)0x6B));
            }

            return sites;
        }

        private void AddZones(List<(nuint At, KmemMisuse Misuse, byte Expected)> sites, nuint bytesInUse, byte value)
        {
            for (uint back = 1; back <= _layout.LeftZoneBytes; back++)
            {
                sites.Add(((nuint)Live - back, KmemMisuse.WrittenBefore, value));
            }

            for (nuint offset = bytesInUse; offset < _layout.TrackOffset; offset++)
            {
                sites.Add(((nuint)Live + offset, KmemMisuse.WrittenPast, value));
            }
        }
    }
}
