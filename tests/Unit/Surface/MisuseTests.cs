using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using Kmem.Engine.Caches;
using Xunit;

namespace Kmem.Tests.Unit.Surface;

/// <summary>Every mistake has one name, names the owner, and changes nothing.</summary>
public sealed unsafe partial class MisuseTests
{
    private const nuint KiB = SurfaceHeap.KiB;

    public static TheoryData<KmemFrontEnd> FrontEnds => [KmemFrontEnd.RestartableSequences, KmemFrontEnd.TryLock];

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void Pointers_of_nobody_are_foreign_to_every_entry_point(KmemFrontEnd frontEnd)
    {
        using Bench bench = new(frontEnd);
        byte onStack = 0;
        byte[] managed = GC.AllocateArray<byte>(64, pinned: true);
        void* native = NativeMemory.Alloc(64);
        ReadOnlySpan<nuint> foreign =
        [
            (nuint)(&onStack),
            (nuint)Marshal.UnsafeAddrOfPinnedArrayElement(managed, 0),
            (nuint)native,
            unchecked((nuint)0x7000_1234_5670),
            1,
            nuint.MaxValue,
            (nuint)1 << 63,
            nuint.MaxValue - 4095,
        ];
        foreach (nuint address in foreign)
        {
            bench.ExpectEverywhere(KmemMisuse.ForeignPointer, address, "not an address of any Kmem heap");
        }

        NativeMemory.Free(native);
        GC.KeepAlive(managed);
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void Null_is_no_object_of_a_cache(KmemFrontEnd frontEnd)
    {
        using Bench bench = new(frontEnd);
        bench.Expect(KmemMisuse.ForeignPointer, 0, () => bench.Cache.Free(null), "null", "'inodes'");
        bench.Expect(KmemMisuse.ForeignPointer, 0, () => bench.Cache.FreeBulk([0]), "null", "'inodes'");
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void Pages_of_the_heap_that_nobody_holds_are_free_or_foreign(KmemFrontEnd frontEnd)
    {
        using Bench bench = new(frontEnd);
        nuint behind = (nuint)bench.Heap.FirstBase + *bench.Heap.Frontier;
        bench.Expect(KmemMisuse.ForeignPointer, behind, () => bench.Heap.Free((void*)behind));
        nuint control = (nuint)bench.Heap.Core;
        bench.Expect(KmemMisuse.ForeignPointer, control, () => bench.Heap.Free((void*)control));
        nuint map = (nuint)bench.Heap.MemoryMap;
        bench.Expect(KmemMisuse.ForeignPointer, map, () => bench.Heap.Free((void*)map));
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void A_pointer_into_an_object_is_interior(KmemFrontEnd frontEnd)
    {
        using Bench bench = new(frontEnd);
        foreach (nuint offset in (ReadOnlySpan<nuint>)[1, 8, 16, 64, 199])
        {
            nuint inObject = bench.Object + offset;
            bench.Expect(KmemMisuse.InteriorPointer, inObject, () => bench.Heap.Free((void*)inObject), "'inodes'", "'bench'", $"{offset} bytes into");
            bench.Expect(KmemMisuse.InteriorPointer, inObject, () => bench.Cache.Free((void*)inObject), "'inodes'", "'bench'", $"{offset} bytes into");
            bench.Expect(KmemMisuse.InteriorPointer, inObject, () => bench.Cache.FreeBulk([(nint)inObject]), "'inodes'", "'bench'");
            bench.Expect(KmemMisuse.InteriorPointer, inObject, () => bench.Heap.UsableSize((void*)inObject), "'inodes'", "'bench'");
            bench.Expect(KmemMisuse.InteriorPointer, inObject, () => bench.Heap.Realloc((void*)inObject, 10), "'inodes'", "'bench'");
            bench.Expect(KmemMisuse.InteriorPointer, inObject, () => bench.Heap.Free((void*)inObject, 10), "'inodes'", "'bench'");
        }

        nuint inSmall = bench.Small + 8;
        bench.Expect(KmemMisuse.InteriorPointer, inSmall, () => bench.Heap.Free((void*)inSmall), "'kmalloc-112'", "'bench'", "8 bytes into");
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void A_pointer_behind_the_last_object_of_a_slab_is_interior(KmemFrontEnd frontEnd)
    {
        using Bench bench = new(frontEnd);
        nuint slabBytes = (nuint)4096 << bench.Cache.Order;
        nuint used = (nuint)bench.Cache.ObjectsPerSlab * bench.Cache.StrideBytes;
        Assert.True(used < slabBytes, "the slab has no tail");
        nuint slab = bench.Object & ~(slabBytes - 1);
        foreach (nuint address in new[] { slab + used, slab + slabBytes - 1 })
        {
            bench.Expect(KmemMisuse.InteriorPointer, address, () => bench.Heap.Free((void*)address), "behind the last object", "'inodes'", "'bench'");
            bench.Expect(KmemMisuse.InteriorPointer, address, () => bench.Cache.Free((void*)address), "behind the last object", "'inodes'", "'bench'");
        }
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void A_pointer_into_a_large_allocation_is_interior(KmemFrontEnd frontEnd)
    {
        using Bench bench = new(frontEnd);
        foreach (nuint offset in (ReadOnlySpan<nuint>)[1, 16, 4095, 4096, 40_000, 100_000])
        {
            nuint address = bench.Large + offset;
            bench.Expect(KmemMisuse.InteriorPointer, address, () => bench.Heap.Free((void*)address), "large allocation of 100000 bytes", "'bench'", $"{offset} bytes into");
            bench.Expect(KmemMisuse.InteriorPointer, address, () => bench.Heap.Realloc((void*)address, 200_000), "large allocation of 100000 bytes", "'bench'");
            bench.Expect(KmemMisuse.InteriorPointer, address, () => bench.Cache.Free((void*)address), "large allocation of 100000 bytes", "'bench'");
        }
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void A_pointer_into_a_block_of_pages_is_interior_to_the_page_allocator(KmemFrontEnd frontEnd)
    {
        using Bench bench = new(frontEnd);
        foreach (nuint offset in (ReadOnlySpan<nuint>)[1, 4095, 4096, 8192, 32_767])
        {
            nuint address = bench.Block + offset;
            bench.Expect(KmemMisuse.InteriorPointer, address, () => bench.Heap.Pages.Free((void*)address), "a block of order 3", "'bench'", $"{offset} bytes into");
            bench.Expect(KmemMisuse.InteriorPointer, address, () => bench.Heap.Pages.Free((void*)address, 3), "a block of order 3", "'bench'");
        }
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void What_one_allocator_gave_another_kind_of_free_refuses(KmemFrontEnd frontEnd)
    {
        using Bench bench = new(frontEnd);
        bench.Expect(KmemMisuse.WrongKind, bench.Block, () => bench.Heap.Free((void*)bench.Block), "a block of order 3 of the page allocator", "'bench'");
        bench.Expect(KmemMisuse.WrongKind, bench.Block, () => bench.Heap.Free((void*)bench.Block, 32 * KiB), "a block of order 3 of the page allocator", "'bench'");
        bench.Expect(KmemMisuse.WrongKind, bench.Block, () => bench.Heap.UsableSize((void*)bench.Block), "a block of order 3 of the page allocator", "'bench'");
        bench.Expect(KmemMisuse.WrongKind, bench.Block, () => bench.Heap.Realloc((void*)bench.Block, 0), "a block of order 3 of the page allocator", "'bench'");
        bench.Expect(KmemMisuse.WrongKind, bench.Block, () => bench.Cache.Free((void*)bench.Block), "a block of order 3 of the page allocator", "'inodes'");
        bench.Expect(KmemMisuse.WrongKind, bench.Large, () => bench.Heap.Pages.Free((void*)bench.Large), "large allocation of 100000 bytes", "'bench'");
        bench.Expect(KmemMisuse.WrongKind, bench.Large, () => bench.Cache.Free((void*)bench.Large), "large allocation of 100000 bytes", "'inodes'");
        bench.Expect(KmemMisuse.WrongKind, bench.Large, () => bench.Cache.FreeBulk([(nint)bench.Large]), "large allocation of 100000 bytes", "'inodes'");
        bench.Expect(KmemMisuse.WrongKind, bench.Object, () => bench.Heap.Pages.Free((void*)bench.Object), "'inodes'", "'bench'");
        bench.Expect(KmemMisuse.WrongKind, bench.Small, () => bench.Heap.Pages.Free((void*)bench.Small, 0), "'kmalloc-112'", "'bench'");
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void A_free_into_another_cache_is_refused_and_names_the_owner(KmemFrontEnd frontEnd)
    {
        using Bench bench = new(frontEnd);
        bench.Expect(KmemMisuse.WrongCache, bench.Object, () => bench.Other.Free((void*)bench.Object), "to the cache 'dentries'", "the cache 'inodes'", "'bench'", "in use");
        bench.Expect(KmemMisuse.WrongCache, bench.Small, () => bench.Cache.Free((void*)bench.Small), "to the cache 'inodes'", "the cache 'kmalloc-112'", "'bench'");

        nint good = (nint)bench.Other.Alloc();
        bench.Expect(KmemMisuse.WrongCache, bench.Object, () => bench.Other.FreeBulk([good, (nint)bench.Object]), "FreeBulk to the cache 'dentries'", "the cache 'inodes'");
        bench.Other.Free((void*)good);
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void An_object_of_a_cache_may_be_freed_through_its_heap(KmemFrontEnd frontEnd)
    {
        using Bench bench = new(frontEnd);
        void* memory = bench.Cache.Alloc();
        Assert.Equal((nuint)200, bench.Heap.UsableSize(memory));
        bench.Heap.Free(memory);
        Assert.True(bench.Cache.Alloc() == memory, "the object is back in its cache");
        bench.Heap.Free(memory, 200);
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void What_belongs_to_another_heap_is_refused_and_names_that_heap(KmemFrontEnd frontEnd)
    {
        using Bench bench = new(frontEnd);
        using KmemHeap owner = SurfaceHeap.Make(frontEnd, static options => options.Name = "the-owner");
        using KmemCache cache = new("sockets", 300, new KmemCacheOptions { Heap = owner });
        nuint small = (nuint)owner.Alloc(10);
        nuint large = (nuint)owner.Alloc(50_000);
        nuint block = (nuint)owner.Pages.Alloc(2);
        nuint item = (nuint)cache.Alloc();
        KmemStatistics before = owner.GetStatistics();
        bench.ExpectEverywhere(KmemMisuse.WrongHeap, small, "'kmalloc-16'", "'the-owner'");
        bench.ExpectEverywhere(KmemMisuse.WrongHeap, large, "large allocation of 50000 bytes", "'the-owner'");
        bench.ExpectEverywhere(KmemMisuse.WrongHeap, block, "a block of order 2", "'the-owner'");
        bench.ExpectEverywhere(KmemMisuse.WrongHeap, item, "'sockets'", "'the-owner'");
        StatisticsAssert.IsUnchanged(before, owner.GetStatistics());
        owner.Free((void*)small);
        owner.Free((void*)large);
        owner.Pages.Free((void*)block);
        cache.Free((void*)item);
        owner.Validate();
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void An_object_freed_twice_in_a_row_is_named_at_once(KmemFrontEnd frontEnd)
    {
        using Bench bench = new(frontEnd);
        void* item = bench.Cache.Alloc();
        bench.Cache.Free(item);
        bench.Expect(KmemMisuse.AlreadyFree, (nuint)item, () => bench.Cache.Free(item), "'inodes'", "'bench'", "free in a magazine");
        bench.Expect(KmemMisuse.AlreadyFree, (nuint)item, () => bench.Heap.Free(item), "'inodes'", "'bench'", "free in a magazine");

        void* small = bench.Heap.Alloc(100);
        bench.Heap.Free(small);
        bench.Expect(KmemMisuse.AlreadyFree, (nuint)small, () => bench.Heap.Free(small), "'kmalloc-112'", "'bench'");
        bench.Expect(KmemMisuse.AlreadyFree, (nuint)small, () => bench.Heap.Free(small, 100), "'kmalloc-112'", "'bench'");
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void An_object_freed_twice_without_magazines_is_named_at_once(KmemFrontEnd frontEnd)
    {
        using Bench bench = new(frontEnd);
        using KmemCache cache = new("plain", 200, new KmemCacheOptions { Heap = bench.Heap, Flags = KmemCacheFlags.NoMagazines });
        nint[] objects = new nint[10];
        Assert.True(cache.AllocBulk(objects));
        cache.Free((void*)objects[3]);
        cache.Free((void*)objects[5]);
        nuint twice = (nuint)objects[3];
        bench.Expect(KmemMisuse.AlreadyFree, twice, () => cache.Free((void*)twice), "'plain'", "'bench'", "free in its slab");
        foreach (nint each in objects.Where((_, index) => index is not (3 or 5)))
        {
            cache.Free((void*)each);
        }

        cache.Validate();
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void An_object_freed_twice_with_others_between_is_found_by_trim_which_repairs_the_counts(KmemFrontEnd frontEnd) =>
        FindLateDoubleFree(frontEnd, static bench => bench.Heap.Trim());

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void An_object_freed_twice_with_others_between_is_found_by_shrinking_its_cache(KmemFrontEnd frontEnd) =>
        FindLateDoubleFree(frontEnd, static bench => bench.Cache.Shrink());

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void An_object_freed_twice_with_others_between_is_found_by_maintenance_of_an_idle_cache(KmemFrontEnd frontEnd) =>
        FindLateDoubleFree(frontEnd, static bench =>
        {
            for (int pass = 0; pass < 20; pass++)
            {
                bench.Heap.Maintain();
            }
        });

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void A_bulk_free_with_one_object_twice_is_named(KmemFrontEnd frontEnd)
    {
        using Bench bench = new(frontEnd);
        nint[] objects = new nint[1000];
        Assert.True(bench.Cache.AllocBulk(objects));
        nint[] withTwin = [.. objects, objects[7]];
        KmemMisuseException mistake = Assert.Throws<KmemMisuseException>(() =>
        {
            bench.Cache.FreeBulk(withTwin);
            bench.Heap.Trim();
        });
        Assert.Equal(KmemMisuse.AlreadyFree, mistake.Misuse);
        Assert.Equal((nuint)objects[7], mistake.Address);
        Assert.Contains("'inodes'", mistake.Message, StringComparison.Ordinal);
        Assert.Contains("'bench'", mistake.Message, StringComparison.Ordinal);
        bench.Heap.Trim();
        Assert.Equal(1, bench.Cache.GetStatistics().LiveObjects);
        bench.AssertSound();
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void A_large_allocation_freed_twice_is_named(KmemFrontEnd frontEnd)
    {
        using Bench bench = new(frontEnd);
        foreach (nuint size in (ReadOnlySpan<nuint>)[33 * KiB, 100 * KiB, 5000 * KiB])
        {
            nuint run = (nuint)bench.Heap.Alloc(size);
            bench.Heap.Free((void*)run);
            bench.Expect(KmemMisuse.AlreadyFree, run, () => bench.Heap.Free((void*)run), "free pages", "'bench'");
            bench.Expect(KmemMisuse.AlreadyFree, run, () => bench.Heap.Realloc((void*)run, 1), "free pages", "'bench'");
            bench.Expect(KmemMisuse.AlreadyFree, run + 4096, () => bench.Heap.Free((void*)(run + 4096)), "free pages", "'bench'");
            bench.Heap.Trim();
            bench.Expect(KmemMisuse.AlreadyFree, run, () => bench.Heap.Free((void*)run), "free pages", "'bench'");
        }
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void A_block_of_pages_freed_twice_is_named_whatever_its_order(KmemFrontEnd frontEnd)
    {
        using Bench bench = new(frontEnd);
        for (int order = 0; order <= PageAllocator.MaxOrder; order++)
        {
            int same = order;
            nuint block = (nuint)bench.Heap.Pages.Alloc(order);
            bench.Heap.Pages.Free((void*)block, order);
            bench.Expect(KmemMisuse.AlreadyFree, block, () => bench.Heap.Pages.Free((void*)block), "free pages", "'bench'");
            bench.Expect(KmemMisuse.AlreadyFree, block, () => bench.Heap.Pages.Free((void*)block, same), "free pages", "'bench'");
            bench.Expect(KmemMisuse.AlreadyFree, block, () => bench.Heap.Free((void*)block), "free pages", "'bench'");
        }
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void An_object_whose_slab_is_gone_is_already_free(KmemFrontEnd frontEnd)
    {
        using Bench bench = new(frontEnd);
        using KmemCache cache = new("gone", 1000, new KmemCacheOptions { Heap = bench.Heap });
        nuint item = (nuint)cache.Alloc();
        cache.Free((void*)item);
        cache.Shrink();
        bench.Expect(KmemMisuse.AlreadyFree, item, () => cache.Free((void*)item), "free pages", "'bench'");
        bench.Expect(KmemMisuse.AlreadyFree, item, () => bench.Heap.Free((void*)item), "free pages", "'bench'");
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void A_block_freed_with_another_order_is_of_the_wrong_size(KmemFrontEnd frontEnd)
    {
        using Bench bench = new(frontEnd);
        foreach (int order in new[] { 0, 2, 4, PageAllocator.MaxOrder })
        {
            bench.Expect(KmemMisuse.WrongSize, bench.Block, () => bench.Heap.Pages.Free((void*)bench.Block, order), $"order {order}", "a block of order 3", "'bench'");
        }
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void A_free_with_a_size_that_cannot_be_is_refused(KmemFrontEnd frontEnd)
    {
        using Bench bench = new(frontEnd);
        foreach (nuint size in (ReadOnlySpan<nuint>)[0, 1, 16, 113, 200, 100_000, nuint.MaxValue])
        {
            nuint wrong = size;
            bench.Expect(KmemMisuse.WrongSize, bench.Small, () => bench.Heap.Free((void*)bench.Small, wrong), $"Free of {wrong} bytes", "'kmalloc-112'", "'bench'");
        }

        foreach (nuint size in (ReadOnlySpan<nuint>)[0, 1, 40_000, 200_000, nuint.MaxValue])
        {
            nuint wrong = size;
            bench.Expect(KmemMisuse.WrongSize, bench.Large, () => bench.Heap.Free((void*)bench.Large, wrong), $"Free of {wrong} bytes", "large allocation of 100000 bytes", "'bench'");
        }

        nuint nothing = (nuint)bench.Heap.Alloc(0);
        bench.Expect(KmemMisuse.WrongSize, nothing, () => bench.Heap.Free((void*)nothing, 5), "0 bytes");
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void The_magazines_themselves_belong_to_nobody(KmemFrontEnd frontEnd)
    {
        using Bench bench = new(frontEnd);
        bench.Heap.Free(bench.Heap.Alloc(100));
        nuint magazine = FindMagazine(bench.Heap);
        bench.Expect(KmemMisuse.ForeignPointer, magazine, () => bench.Heap.Free((void*)magazine), "'magazine-", "'bench'");
        bench.Expect(KmemMisuse.ForeignPointer, magazine, () => bench.Heap.Realloc((void*)magazine, 1), "'magazine-", "'bench'");
        bench.Expect(KmemMisuse.ForeignPointer, magazine, () => bench.Heap.UsableSize((void*)magazine), "'magazine-", "'bench'");
        bench.Expect(KmemMisuse.WrongCache, magazine, () => bench.Cache.Free((void*)magazine), "'magazine-", "'bench'");
        bench.Expect(KmemMisuse.InteriorPointer, magazine + 8, () => bench.Heap.Free((void*)(magazine + 8)), "'magazine-", "'bench'");
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void A_cache_with_live_objects_is_not_disposed_and_lists_them(KmemFrontEnd frontEnd)
    {
        using Bench bench = new(frontEnd);
        KmemCache cache = new("busy", 64, new KmemCacheOptions { Heap = bench.Heap });
        nint[] objects = new nint[20];
        Assert.True(cache.AllocBulk(objects));
        nuint first = (nuint)objects.Min();
        KmemMisuseException mistake = Assert.Throws<KmemMisuseException>(cache.Dispose);
        Assert.Equal(KmemMisuse.LiveObjects, mistake.Misuse);
        Assert.Equal(first, mistake.Address);
        foreach (string part in new[] { "'busy'", "'bench'", "20 live", $"0x{first:x}", "and 4 more" })
        {
            Assert.Contains(part, mistake.Message, StringComparison.Ordinal);
        }

        void* further = cache.Alloc();
        cache.Free(further);
        cache.FreeBulk(objects);
        cache.Validate();
        cache.Dispose();
        cache.Dispose();
        bench.AssertSound();
    }

    private static void FindLateDoubleFree(KmemFrontEnd frontEnd, Action<Bench> find)
    {
        using Bench bench = new(frontEnd);
        bench.Heap.Trim();
        KmemStatistics trimmed = bench.Heap.GetStatistics();
        void* first = bench.Cache.Alloc();
        void* second = bench.Cache.Alloc();
        bench.Cache.Free(first);
        bench.Cache.Free(second);
        bench.Cache.Free(first);
        KmemMisuseException mistake = Assert.Throws<KmemMisuseException>(() => find(bench));
        Assert.Equal(KmemMisuse.AlreadyFree, mistake.Misuse);
        Assert.Equal((nuint)first, mistake.Address);
        Assert.Contains("'inodes'", mistake.Message, StringComparison.Ordinal);
        Assert.Contains("'bench'", mistake.Message, StringComparison.Ordinal);
        bench.Heap.Trim();
        KmemStatistics after = bench.Heap.GetStatistics();
        Assert.Equal(trimmed.RequestedBytes, after.RequestedBytes);
        Assert.Equal(1, bench.Cache.GetStatistics().LiveObjects);
        bench.AssertSound();
    }

    private static nuint FindMagazine(KmemHeap heap)
    {
        CacheRegistry* registry = &heap.Core->Registry;
        for (int index = 1; index < registry->Count; index++)
        {
            for (int cpu = 0; cpu < registry->CpuCount; cpu++)
            {
                SlotWord word = new(*Cache.WordOf(CacheRegistry.At(registry, index), cpu));
                if (word.HasMagazine)
                {
                    return (nuint)word.Magazine;
                }
            }
        }

        throw new InvalidOperationException("no magazine is loaded");
    }

    /// <summary>A heap with one of everything live: objects of two caches, a small and a large allocation, a block of pages.</summary>
    private sealed class Bench : IDisposable
    {
        private readonly List<nint> _fresh = [];

        public Bench(KmemFrontEnd frontEnd)
        {
            Heap = SurfaceHeap.Make(frontEnd, static options => options.Name = "bench");
            Cache = new KmemCache("inodes", 200, new KmemCacheOptions { Heap = Heap });
            Other = new KmemCache("dentries", 200, new KmemCacheOptions { Heap = Heap });
            Object = (nuint)Cache.Alloc();
            Small = AllocSmall();
            Large = (nuint)Heap.Alloc(100_000);
            Block = (nuint)Heap.Pages.Alloc(3);
            SurfaceHeap.FillPattern((void*)Object, 200, 1);
            SurfaceHeap.FillPattern((void*)Small, 100, 2);
            SurfaceHeap.FillPattern((void*)Large, 100_000, 3);
            SurfaceHeap.FillPattern((void*)Block, 32 * KiB, 4);
            Work();
        }

        public KmemHeap Heap { get; }

        public KmemCache Cache { get; }

        public KmemCache Other { get; }

        public nuint Object { get; }

        public nuint Small { get; }

        public nuint Large { get; }

        public nuint Block { get; }

        /// <summary>The mistake has this name and message, and neither the figures nor the structures know of it.</summary>
        public void Expect(KmemMisuse misuse, nuint address, Action mistake, params string[] named)
        {
            KmemStatistics before = Heap.GetStatistics();
            KmemMisuseException report = Assert.Throws<KmemMisuseException>(mistake);
            Assert.Equal(misuse, report.Misuse);
            Assert.Equal(address, report.Address);
            foreach (string part in named)
            {
                Assert.Contains(part, report.Message, StringComparison.Ordinal);
            }

            Heap.Validate();
            KmemStatistics after = Heap.GetStatistics();
            StatisticsAssert.IsUnchanged(before, after);
            StatisticsAssert.AddsUp(after);
        }

        public void ExpectEverywhere(KmemMisuse misuse, nuint address, params string[] named)
        {
            Expect(misuse, address, () => Heap.Free((void*)address), named);
            Expect(misuse, address, () => Heap.Free((void*)address, 16), named);
            Expect(misuse, address, () => Heap.Realloc((void*)address, 16), named);
            Expect(misuse, address, () => Heap.UsableSize((void*)address), named);
            Expect(misuse, address, () => Heap.Pages.Free((void*)address), named);
            Expect(misuse, address, () => Heap.Pages.Free((void*)address, 0), named);
            Expect(misuse, address, () => Cache.Free((void*)address), [.. named, "'inodes'"]);
            Expect(misuse, address, () => Cache.FreeBulk([(nint)address]), [.. named, "'inodes'"]);
        }

        public void AssertSound()
        {
            Work();
            SurfaceHeap.AssertPattern((void*)Object, 200, 1);
            SurfaceHeap.AssertPattern((void*)Small, 100, 2);
            SurfaceHeap.AssertPattern((void*)Large, 100_000, 3);
            SurfaceHeap.AssertPattern((void*)Block, 32 * KiB, 4);
            Heap.Validate();
            StatisticsAssert.AddsUp(Heap.GetStatistics());
        }

        /// <summary>After every test: the heap still works, and everything can be freed.</summary>
        public void Dispose()
        {
            AssertSound();
            Cache.Free((void*)Object);
            Heap.Free((void*)Small, 100);
            Heap.Free((void*)Large);
            Heap.Pages.Free((void*)Block, 3);
            Heap.Trim();
            StatisticsAssert.NothingIsKept(Heap.GetStatistics());
            Cache.Dispose();
            Other.Dispose();
            Heap.Dispose();
        }

        /// <summary>100 bytes aligned to no more than 16: the alignment of an address counts among the sizes that may be its.</summary>
        private nuint AllocSmall()
        {
            void* first = Heap.Alloc(100);
            if ((nuint)first % 32 != 0)
            {
                return (nuint)first;
            }

            // Objects are 7 × 16 bytes apart.
            void* second = Heap.Alloc(100);
            Heap.Free(first);
            return (nuint)second;
        }

        private void Work()
        {
            for (int count = 0; count < 300; count++)
            {
                _fresh.Add((nint)(count % 3 == 0 ? Cache.Alloc() : count % 3 == 1 ? Heap.Alloc((nuint)count) : Heap.Alloc(100)));
            }

            Assert.Equal(300, new HashSet<nint>(_fresh).Count);
            foreach (nint each in _fresh)
            {
                Heap.Free((void*)each);
            }

            _fresh.Clear();
        }
    }
}
