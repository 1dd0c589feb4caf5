using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using Xunit;

namespace Kmem.Tests.Unit.Caches;

/// <summary>Every mistake with an object of a cache has one name, a message that says whose the address is, and no effect.</summary>
public sealed unsafe class MisuseTests
{
    public enum Entry
    {
        Free,
        FreeBulk,
        FreeWithoutMagazines,
        FreeOfConstructed,
    }

    /// <summary>Both front ends, each way to free.</summary>
    public static TheoryData<KmemFrontEnd, Entry> Entries
    {
        get
        {
            TheoryData<KmemFrontEnd, Entry> data = [];
            foreach (KmemFrontEnd frontEnd in FrontEnds.All)
            {
                foreach (Entry entry in Enum.GetValues<Entry>())
                {
                    data.Add(frontEnd, entry);
                }
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Entries))]
    public void A_foreign_pointer(KmemFrontEnd frontEnd, Entry entry)
    {
        using Bench bench = new(frontEnd, entry);
        void* native = NativeMemory.Alloc(64);
        bench.AssertMisuse(native, KmemMisuse.ForeignPointer, "foreign pointer", "not an address of any Kmem heap");
        bench.AssertMisuse((void*)-8, KmemMisuse.ForeignPointer, "not an address of any Kmem heap");
        NativeMemory.Free(native);
        bench.AssertMisuse(null, KmemMisuse.ForeignPointer, "null");
    }

    [Theory]
    [MemberData(nameof(Entries))]
    public void An_object_of_another_heap(KmemFrontEnd frontEnd, Entry entry)
    {
        using Bench bench = new(frontEnd, entry);
        KmemHeapOptions options = Heaps.Options(frontEnd);
        options.Name = "elsewhere";
        using KmemHeap other = new(options);
        using KmemCache strange = new("strange", 64, new KmemCacheOptions { Heap = other });
        void* pointer = strange.Alloc();
        bench.AssertMisuse(pointer, KmemMisuse.WrongHeap, "another heap", " of 64 in the slab ", "'strange'", "of the heap 'elsewhere', in use");
        strange.Free(pointer);
        Ledger.AssertWhole(other);
    }

    [Theory]
    [MemberData(nameof(Entries))]
    public void An_object_of_another_cache(KmemFrontEnd frontEnd, Entry entry)
    {
        using Bench bench = new(frontEnd, entry);
        using KmemCache other = new("other", 64, new KmemCacheOptions { Heap = bench.Heap });
        void* pointer = other.Alloc();
        bench.AssertMisuse(pointer, KmemMisuse.WrongCache, "another cache", "the cache 'other' (objects of 64 bytes) of the heap 'test', in use");
        other.Free(pointer);
        void* sized = bench.Heap.Alloc(64);
        bench.AssertMisuse(sized, KmemMisuse.WrongCache, "'kmalloc-64'");
        bench.Heap.Free(sized);
    }

    [Theory]
    [MemberData(nameof(Entries))]
    public void An_address_inside_an_object_or_behind_the_last(KmemFrontEnd frontEnd, Entry entry)
    {
        using Bench bench = new(frontEnd, entry);
        byte* pointer = (byte*)bench.Cache.Alloc();
        foreach (int offset in new[] { 1, 8, 71, 80, 95 })
        {
            bench.AssertMisuse(pointer + offset, KmemMisuse.InteriorPointer, "interior pointer", $"{offset} bytes into object", "'bench'", "in use");
        }

        nuint slab = (nuint)pointer & ~(nuint)4095;
        byte* tail = (byte*)slab + (bench.Cache.ObjectsPerSlab * (int)bench.Cache.StrideBytes);
        Assert.Equal(0, bench.Cache.Order);
        bench.AssertMisuse(tail, KmemMisuse.InteriorPointer, "behind the last object of the slab", "'bench'");
        bench.Cache.Free(pointer);
    }

    [Theory]
    [MemberData(nameof(Entries))]
    public void Pages_and_large_allocations(KmemFrontEnd frontEnd, Entry entry)
    {
        using Bench bench = new(frontEnd, entry);
        byte* large = (byte*)bench.Heap.Alloc(100_000);
        bench.AssertMisuse(large, KmemMisuse.WrongKind, "another kind", "the start of a large allocation of 100000 bytes (25 pages) of the heap 'test'");
        bench.AssertMisuse(large + 4096, KmemMisuse.InteriorPointer, "4096 bytes into a large allocation");
        bench.AssertMisuse(large + 1, KmemMisuse.InteriorPointer, "1 bytes into a large allocation");
        bench.Heap.Free(large);
        bench.AssertMisuse(large, KmemMisuse.AlreadyFree, "free pages");
        byte* block = (byte*)bench.Heap.Pages.Alloc(2);
        bench.AssertMisuse(block, KmemMisuse.WrongKind, "a block of order 2 of the page allocator");
        bench.Heap.Pages.Free(block);
        bench.AssertMisuse(block, KmemMisuse.AlreadyFree, "free pages");
    }

    [Theory]
    [MemberData(nameof(Entries))]
    public void A_second_free_right_after_the_first(KmemFrontEnd frontEnd, Entry entry) => OneCpu.Run(() =>
    {
        using Bench bench = new(frontEnd, entry);
        void* kept = bench.Cache.Alloc();
        void* pointer = bench.Cache.Alloc();
        bench.Free(pointer);
        bench.AssertMisuse(pointer, KmemMisuse.AlreadyFree, "already free", "'bench'", "free in");
        bench.AssertMisuse(pointer, KmemMisuse.AlreadyFree, "already free");
        bench.Cache.Free(kept);
        bench.AssertMisuse(kept, KmemMisuse.AlreadyFree);
        Assert.Equal(0, bench.Cache.GetStatistics().LiveObjects);
    });

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void A_second_free_with_others_in_between_is_found_when_the_magazine_is_emptied(KmemFrontEnd frontEnd)
    {
        Action<KmemHeap, KmemCache>[] finders =
        [
            (_, cache) => cache.Shrink(),
            (heap, _) => heap.Trim(),
            (heap, _) =>
            {
                for (int pass = 0; pass < 10; pass++)
                {
                    heap.Maintain();
                }
            },
        ];
        foreach (Action<KmemHeap, KmemCache> find in finders)
        {
            OneCpu.Run(() =>
            {
                using KmemHeap heap = Heaps.Create(frontEnd);
                using KmemCache cache = new("twice", 64, new KmemCacheOptions { Heap = heap });
                void* kept = cache.Alloc();
                void* first = cache.Alloc();
                void* second = cache.Alloc();
                cache.Free(first);
                cache.Free(second);
                cache.Free(first);
                KmemMisuseException found = Assert.Throws<KmemMisuseException>(() => find(heap, cache));
                Assert.Equal((KmemMisuse.AlreadyFree, (nuint)first), (found.Misuse, found.Address));
                Assert.Contains("an earlier free to the cache 'twice': already free (1 object(s)", found.Message, StringComparison.Ordinal);
                Assert.Contains("'twice'", found.Message, StringComparison.Ordinal);

                // Reported once, and nothing is lost or left over.
                heap.Validate();
                Assert.Equal(1, cache.GetStatistics().LiveObjects);
                cache.Free(kept);
                Ledger.AssertEmptyAfterTrim(heap);
            });
        }
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Many_second_frees_are_counted_in_one_report(KmemFrontEnd frontEnd) => OneCpu.Run(() =>
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache cache = new("twice", 64, new KmemCacheOptions { Heap = heap });
        nint[] objects = new nint[10];
        Assert.True(cache.AllocBulk(objects));
        foreach (nint each in objects)
        {
            cache.Free((void*)each);
        }

        foreach (nint each in objects)
        {
            cache.Free((void*)each);
        }

        Assert.Contains("(10 object(s)", Assert.Throws<KmemMisuseException>(() => cache.Shrink()).Message, StringComparison.Ordinal);
        Ledger.AssertEmptyAfterTrim(heap);
    });

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void A_bulk_free_with_one_bad_address_frees_nothing(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache cache = new("bulk", 64, new KmemCacheOptions { Heap = heap });
        nint[] objects = new nint[100];
        Assert.True(cache.AllocBulk(objects));
        nint good = objects[77];
        objects[77] = good + 8;
        KmemMisuseException found = Assert.Throws<KmemMisuseException>(() => cache.FreeBulk(objects));
        Assert.Equal((KmemMisuse.InteriorPointer, (nuint)(good + 8)), (found.Misuse, found.Address));
        Assert.Contains("FreeBulk to the cache 'bulk'", found.Message, StringComparison.Ordinal);
        Assert.Equal(100, cache.GetStatistics().LiveObjects);
        objects[77] = good;
        cache.FreeBulk(objects);
        Ledger.AssertEmptyAfterTrim(heap);
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void An_object_that_is_twice_in_one_bulk_free_is_found(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache cache = new("bulk", 64, new KmemCacheOptions { Heap = heap });
        nint[] objects = new nint[5];
        Assert.True(cache.AllocBulk(objects));
        nint twice = objects[1];
        KmemMisuseException found = Assert.Throws<KmemMisuseException>(() =>
        {
            cache.FreeBulk([objects[0], twice, objects[2], twice, objects[3], objects[4]]);
            cache.Shrink();
        });
        Assert.Equal((KmemMisuse.AlreadyFree, (nuint)twice, "bulk"), (found.Misuse, found.Address, found.Report!.CacheName));
        Ledger.AssertEmptyAfterTrim(heap);
    }

    [Theory]
    [InlineData("-")]
    [InlineData("FZPU")]
    public void An_object_that_is_twice_in_one_bulk_free_and_whose_slab_goes_with_it_is_told_with_its_cache(string letters)
    {
        using KmemHeap heap = new(new KmemHeapOptions { Debug = letters });
        using KmemCache cache = new("bulk", 4096, new KmemCacheOptions { Heap = heap, MagazineCapacity = 1 });
        nint[] objects = new nint[20];
        Assert.True(cache.AllocBulk(objects));
        KmemMisuseException found = Assert.Throws<KmemMisuseException>(() =>
        {
            cache.FreeBulk([.. objects, objects[3]]);
            cache.Shrink();
        });
        Assert.Equal((KmemMisuse.AlreadyFree, (nuint)objects[3], "bulk"), (found.Misuse, found.Address, found.Report!.CacheName));
        Ledger.AssertEmptyAfterTrim(heap);
    }

    [Fact]
    public void A_heap_keeps_the_settings_that_it_was_made_with()
    {
        KmemHeapOptions options = new() { Name = "before", MisusePolicy = KmemMisusePolicy.Throw };
        using KmemHeap heap = new(options);
        (options.Name, options.MisusePolicy) = ("after", KmemMisusePolicy.FailFast);
        Assert.Equal("before", heap.Name);
        nint pointer = (nint)heap.Alloc(100);
        Assert.Equal(KmemMisuse.InteriorPointer, Assert.Throws<KmemMisuseException>(() => heap.Free((void*)(pointer + 8))).Misuse);
        heap.Free((void*)pointer);
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void An_object_whose_slab_is_gone_is_already_free(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache cache = new("gone", 64, new KmemCacheOptions { Heap = heap });
        nint pointer = (nint)cache.Alloc();
        cache.Free((void*)pointer);
        cache.Shrink();
        Assert.Equal(KmemMisuse.AlreadyFree, Assert.Throws<KmemMisuseException>(() => cache.Free((void*)pointer)).Misuse);
        Assert.Equal(KmemMisuse.AlreadyFree, Assert.Throws<KmemMisuseException>(() => heap.Free((void*)pointer)).Misuse);
        Ledger.AssertEmptyAfterTrim(heap);
    }

    /// <summary>Everything before the second free is in a slab: the mistake is named at once, and the destructor runs once.</summary>
    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Without_magazines_a_second_free_is_found_at_once_also_with_others_in_between(KmemFrontEnd frontEnd)
    {
        using ObjectLife life = new();
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache cache = new("direct", 64, life.Options(heap, KmemCacheFlags.NoMagazines));
        nint first = (nint)cache.Alloc();
        nint second = (nint)cache.Alloc();
        nint third = (nint)cache.Alloc();
        cache.Free((void*)first);
        cache.Free((void*)second);
        KmemMisuseException found = Assert.Throws<KmemMisuseException>(() => cache.Free((void*)first));
        Assert.Equal((KmemMisuse.AlreadyFree, (nuint)first), (found.Misuse, found.Address));
        Assert.Contains("free in its slab", found.Message, StringComparison.Ordinal);
        life.AssertBalanced(live: 1);
        cache.Free((void*)third);
        Ledger.AssertEmptyAfterTrim(heap);
    }

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Magazines_themselves_cannot_be_freed_by_a_caller(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = Heaps.Create(frontEnd);
        using KmemCache cache = new("plain", 64, new KmemCacheOptions { Heap = heap });
        cache.Free(cache.Alloc());
        nint magazine = FindMagazine(heap);
        Assert.Equal(KmemMisuse.ForeignPointer, Assert.Throws<KmemMisuseException>(() => heap.Free((void*)magazine)).Misuse);
        Assert.Contains("'magazine-", heap.Describe((void*)magazine), StringComparison.Ordinal);
        Ledger.AssertEmptyAfterTrim(heap);
    }

    [Fact]
    public void The_policy_of_failing_fast_ends_the_process_with_the_report()
    {
        (int exitCode, string output) = ChildTest.Run(nameof(Child_that_frees_twice_under_the_policy_of_failing_fast));
        Assert.NotEqual(0, exitCode);
        Assert.Contains("already free. 0x", output, StringComparison.Ordinal);
        Assert.Contains("'fatal'", output, StringComparison.Ordinal);
    }

    [Fact(Explicit = true)]
    public void Child_that_frees_twice_under_the_policy_of_failing_fast()
    {
        KmemHeapOptions options = Heaps.Options(FrontEnds.All[0]);
        options.MisusePolicy = KmemMisusePolicy.FailFast;
        using KmemHeap heap = new(options);
        using KmemCache cache = new("fatal", 64, new KmemCacheOptions { Heap = heap, Flags = KmemCacheFlags.NoMagazines });
        void* pointer = cache.Alloc();
        cache.Free(pointer);
        cache.Free(pointer);
    }

    private static nint FindMagazine(KmemHeap heap)
    {
        Engine.Caches.CacheRegistry* registry = &heap.Core->Registry;
        for (int index = Engine.Caches.CacheRegistry.FirstOrdinary; index < registry->Count; index++)
        {
            for (int cpu = 0; cpu < registry->CpuCount; cpu++)
            {
                Engine.Caches.SlotWord word = new(*Engine.Caches.Cache.WordOf(Engine.Caches.CacheRegistry.At(registry, index), cpu));
                if (word.HasMagazine)
                {
                    return (nint)word.Magazine;
                }
            }
        }

        Assert.Fail("No magazine is loaded.");
        return 0;
    }

    /// <summary>A heap with a cache of objects of 72 bytes at a distance of 96, and one way to free them.</summary>
    private sealed class Bench : IDisposable
    {
        private readonly Entry _entry;
        private readonly ObjectLife _life = new();

        public Bench(KmemFrontEnd frontEnd, Entry entry)
        {
            _entry = entry;
            Heap = Heaps.Create(frontEnd);
            KmemCacheOptions options = entry == Entry.FreeOfConstructed ? _life.Options(Heap) : new KmemCacheOptions { Heap = Heap };
            options.AlignmentBytes = 32;
            options.Flags |= entry == Entry.FreeWithoutMagazines ? KmemCacheFlags.NoMagazines : KmemCacheFlags.None;
            Cache = new KmemCache("bench", 72, options);
            Assert.Equal((nuint)96, Cache.StrideBytes);
        }

        public KmemHeap Heap { get; }

        public KmemCache Cache { get; }

        public void Free(void* pointer)
        {
            if (_entry == Entry.FreeBulk)
            {
                Cache.FreeBulk([(nint)pointer]);
            }
            else
            {
                Cache.Free(pointer);
            }
        }

        public void AssertMisuse(void* pointer, KmemMisuse misuse, params string[] words)
        {
            nint address = (nint)pointer;
            KmemStatistics before = Ledger.AssertWhole(Heap);
            long constructed = _life.Constructed - _life.Destroyed;
            KmemMisuseException found = Assert.Throws<KmemMisuseException>(() =>
            {
                Free((void*)address);

                // A bulk pushes whole runs without looking at the top: a second free is found when the magazine is emptied.
                Cache.Shrink();
            });
            Assert.Equal((misuse, (nuint)address), (found.Misuse, found.Address));
            foreach (string word in words)
            {
                Assert.Contains(word, found.Message, StringComparison.Ordinal);
            }

            KmemStatistics after = Ledger.AssertWhole(Heap);
            Assert.Equal(Live(before), Live(after));
            Assert.Equal((before.LargeAllocations, before.PagesInUse), (after.LargeAllocations, after.PagesInUse));
            Assert.True(_entry == Entry.FreeBulk || constructed == _life.Constructed - _life.Destroyed);
            _life.AssertBalanced(live: _life.Constructed - _life.Destroyed);
        }

        public void Dispose()
        {
            Cache.Dispose();
            Ledger.AssertEmptyAfterTrim(Heap);
            Heap.Dispose();
            _life.AssertBalanced();
            _life.Dispose();
        }

        private static List<(string, long)> Live(KmemStatistics statistics)
        {
            List<(string, long)> live = [];
            foreach (KmemCacheStatistics cache in statistics.Caches)
            {
                if (!cache.IsInternal)
                {
                    live.Add((cache.Name, cache.LiveObjects));
                }
            }

            return live;
        }
    }
}
