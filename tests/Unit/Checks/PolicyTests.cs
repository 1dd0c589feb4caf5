using System;
using System.Collections.Generic;
using Xunit;

namespace Kmem.Tests.Unit.Checks;

/// <summary>What each policy leaves behind: of the object, of its slab, and of the call that found the damage.</summary>
public sealed unsafe class PolicyTests
{
    private const int ObjectBytes = 64;

    // ------------------------------------------------------------------ found at the free

    [Fact]
    public void Throw_at_the_free_frees_the_object_for_good()
    {
        using CheckedHeap bench = new("FZPU");
        using KmemCache cache = bench.CreateCache("policy", ObjectBytes);
        byte* p = AllocateDamaged(cache);
        KmemReport report = bench.AssertThrows(() => cache.Free(p));
        Assert.Equal(("the object is set aside; the call throws", "set aside", "Free"), (ReportReader.OfDamage(report.Text).Done, ReportReader.OfDamage(report.Text).State, report.Operation));
        Assert.Equal(KmemMisuse.AlreadyFree, bench.AssertThrows(() => cache.Free(p)).Misuse);
        AssertNeverHandedOut(cache, p, p + 1);
        bench.AssertClean();
    }

    [Fact]
    public void Quarantine_at_the_free_takes_the_whole_slab_out()
    {
        using CheckedHeap bench = new("FZPU", KmemMisusePolicy.Quarantine);
        using KmemCache cache = bench.CreateCache("policy", ObjectBytes);
        byte* p = AllocateDamaged(cache);
        byte* neighbour = (byte*)cache.Alloc();
        nuint slab = SlabOf(bench, p, out nuint bytes);
        Assert.Equal(slab, SlabOf(bench, neighbour, out _));
        cache.Free(p);
        Assert.Equal("the slab is set aside: none of its objects is handed out any more", ReportReader.OfDamage(bench.TakeReport().Text).Done);
        AssertNeverHandedOut(cache, (byte*)slab, (byte*)(slab + bytes));

        // What was live in it may be used, and freed once, on its way to the others.
        cache.Free(neighbour);
        AssertNeverHandedOut(cache, (byte*)slab, (byte*)(slab + bytes));
        Assert.Equal(KmemMisuse.AlreadyFree, bench.AssertThrows(() => cache.Free(neighbour)).Misuse);
        _ = cache.Shrink();
        bench.AssertClean();
    }

    [Fact]
    public void Repair_at_the_free_gives_the_object_back_whole()
    {
        using CheckedHeap bench = new("FZPU", KmemMisusePolicy.Repair);
        using KmemCache cache = bench.CreateCache("policy", ObjectBytes);
        byte* p = AllocateDamaged(cache);
        cache.Free(p);
        Assert.Equal("the object was made whole and stays in use", ReportReader.OfDamage(bench.TakeReport().Text).Done);
        _ = cache.Shrink();
        Assert.True(IsHandedOut(cache, p, p + 1));
        bench.AssertClean();
    }

    // ------------------------------------------------------------------ found at the allocation

    [Fact]
    public void Throw_at_the_allocation_allocates_nothing_and_goes_on_with_the_next_call()
    {
        using CheckedHeap bench = new("P");
        using KmemCache cache = bench.CreateCache("policy", ObjectBytes);
        void* kept = cache.Alloc();
        byte* p = FreeAndDamage(cache);
        KmemReport report = bench.AssertThrows(() => cache.Alloc());
        Assert.Equal((KmemMisuse.WrittenAfterFree, (nuint)p, "Alloc"), (report.Misuse, report.Address, report.Operation));
        AssertNeverHandedOut(cache, p, p + 1);
        cache.Free(kept);
        bench.AssertClean();
    }

    [Theory]
    [InlineData(KmemMisusePolicy.Quarantine)]
    [InlineData(KmemMisusePolicy.Repair)]
    public void The_others_at_the_allocation_go_on(KmemMisusePolicy policy)
    {
        using CheckedHeap bench = new("P", policy);
        using KmemCache cache = bench.CreateCache("policy", ObjectBytes);
        void* kept = cache.Alloc();
        byte* p = FreeAndDamage(cache);
        nuint slab = SlabOf(bench, p, out nuint bytes);
        byte* q = (byte*)cache.Alloc();
        _ = bench.TakeReport();
        Assert.Equal(policy == KmemMisusePolicy.Repair, q == p);
        Assert.Equal(policy == KmemMisusePolicy.Repair, (nuint)q - slab < bytes);
        Assert.Equal(0x6B, q[5]);
        cache.Free(q);
        cache.Free(kept);
        bench.AssertClean();
    }

    // ------------------------------------------------------------------ found on the way back, and by Validate

    [Theory]
    [InlineData(KmemMisusePolicy.Throw, "the object is set aside; the call throws")]
    [InlineData(KmemMisusePolicy.Quarantine, "the slab is set aside: none of its objects is handed out any more")]
    [InlineData(KmemMisusePolicy.Repair, "the object was made whole and stays in use")]
    public void On_the_way_to_the_slab(KmemMisusePolicy policy, string done)
    {
        Action<CheckedHeap, KmemCache>[] ways = [static (bench, cache) => cache.Shrink(), static (bench, _) => bench.Heap.Trim()];
        string[] operations = ["Shrink", "Trim"];
        for (int way = 0; way < ways.Length; way++)
        {
            using CheckedHeap bench = new("FZPU", policy);
            using KmemCache cache = bench.CreateCache("policy", ObjectBytes);
            byte* p = FreeAndDamage(cache);
            Action<CheckedHeap, KmemCache> find = ways[way];
            if (policy == KmemMisusePolicy.Throw)
            {
                Assert.Throws<KmemMisuseException>(() => find(bench, cache));
            }
            else
            {
                find(bench, cache);
            }

            KmemReport report = bench.TakeReport();
            Assert.Equal((done, operations[way]), (ReportReader.OfDamage(report.Text).Done, report.Operation));
            Assert.Equal(policy == KmemMisusePolicy.Repair, IsHandedOut(cache, p, p + 1));
            bench.AssertClean();
        }
    }

    [Theory]
    [InlineData(KmemMisusePolicy.Throw, "the object was made whole and stays in use; the call throws")]
    [InlineData(KmemMisusePolicy.Quarantine, "the object was made whole and stays in use")]
    [InlineData(KmemMisusePolicy.Repair, "the object was made whole and stays in use")]
    public void Validate_makes_whole_whatever_the_policy_and_tells_of_each(KmemMisusePolicy policy, string done)
    {
        using CheckedHeap bench = new("FZPU", policy);
        using KmemCache cache = bench.CreateCache("policy", ObjectBytes);
        nint[] damaged = [(nint)AllocateDamaged(cache), (nint)AllocateDamaged(cache), (nint)FreeAndDamage(cache)];
        if (policy == KmemMisusePolicy.Throw)
        {
            Assert.Throws<KmemMisuseException>(bench.Heap.Validate);
        }
        else
        {
            bench.Heap.Validate();
        }

        KmemReport[] reports = bench.TakeReports();
        Assert.Equal(3, reports.Length);
        Assert.All(reports, report =>
        {
            Assert.Contains((nint)report.Address, damaged);
            ReportReader read = ReportReader.OfDamage(report.Text);
            Assert.Equal((done, "Validate"), (read.Done, report.Operation));
            Assert.Equal(read.Found, Assert.Single(read.Bytes, static each => each.IsBad).Value);
        });
        bench.AssertClean();
        cache.Free((void*)damaged[0]);
        cache.Free((void*)damaged[1]);
        bench.AssertClean();
    }

    [Fact]
    public void The_end_of_a_cache_tells_of_what_was_damaged_and_ends()
    {
        using CheckedHeap bench = new("FZPU");
        KmemCache cache = bench.CreateCache("policy", ObjectBytes);
        _ = FreeAndDamage(cache);
        Assert.Equal(KmemMisuse.WrittenAfterFree, bench.AssertThrows(cache.Dispose).Misuse);
        Assert.Throws<ObjectDisposedException>(() => cache.Alloc());
        cache.Dispose();
        bench.AssertClean();
    }

    [Fact]
    public void Damage_that_maintenance_finds_reaches_the_handlers_and_its_caller()
    {
        using CheckedHeap bench = new("FZPU");
        using KmemCache cache = bench.CreateCache("policy", ObjectBytes);
        _ = FreeAndDamage(cache);
        KmemReport report = bench.AssertThrows(() =>
        {
            for (int pass = 0; pass < 20; pass++)
            {
                bench.Heap.Maintain();
            }
        });
        Assert.Equal((KmemMisuse.WrittenAfterFree, "Maintain"), (report.Misuse, report.Operation));
    }

    // ------------------------------------------------------------------ whose policy

    [Fact]
    public void The_policy_of_a_cache_counts_before_the_heaps()
    {
        using CheckedHeap bench = new("FZPU", KmemMisusePolicy.Throw);
        using KmemCache mild = bench.CreateCache("mild", ObjectBytes, KmemMisusePolicy.Repair);
        using KmemCache strict = bench.CreateCache("strict", ObjectBytes);
        mild.Free(AllocateDamaged(mild));
        Assert.Contains("made whole", bench.TakeReport().Text, StringComparison.Ordinal);
        byte* p = AllocateDamaged(strict);
        _ = bench.AssertThrows(() => strict.Free(p));
    }

    [Theory]
    [InlineData(KmemMisusePolicy.Throw)]
    [InlineData(KmemMisusePolicy.Quarantine)]
    [InlineData(KmemMisusePolicy.Repair)]
    public void A_mistake_that_damaged_nothing_throws_all_the_same(KmemMisusePolicy policy)
    {
        using CheckedHeap bench = new("FZPU", policy);
        void* p = bench.Heap.Alloc(100);
        bench.Heap.Free(p);
        Assert.Equal(KmemMisuse.AlreadyFree, bench.AssertThrows(() => bench.Heap.Free(p)).Misuse);
        bench.AssertClean();
    }

    [Theory]
    [InlineData(nameof(Child_frees_what_is_damaged), "Kmem: written past the end: cache 'doomed' of the heap 'checked-", "done      the process ends")]
    [InlineData(nameof(Child_allocates_what_is_damaged), "Kmem: written after the free: cache 'doomed' of the heap 'checked-", "done      the process ends")]
    [InlineData(nameof(Child_validates), "Kmem: written past the end: cache 'doomed' of the heap 'checked-", "done      the process ends")]
    [InlineData(nameof(Child_frees_twice), "Kmem: Free to the cache 'doomed': already free", nameof(Child_frees_twice))]
    [InlineData(nameof(Child_frees_twice_without_checks), "Kmem: an earlier free to the cache 'doomed': already free", nameof(Child_frees_twice_without_checks))]
    public void Fail_fast_ends_the_process_with_the_report(string child, string head, string end)
    {
        (int exitCode, string output) = ChildTest.Run(child);
        Assert.NotEqual(0, exitCode);
        Assert.Contains(head, output, StringComparison.Ordinal);
        Assert.Contains(end, output, StringComparison.Ordinal);
        Assert.DoesNotContain("went on", output, StringComparison.Ordinal);
    }

    [Fact]
    public void Where_nobody_listens_standard_error_is_told()
    {
        (int exitCode, string output) = ChildTest.Run(nameof(Child_repairs_without_handlers));
        Assert.True(exitCode == 0, output);
        Assert.Contains("Kmem: written past the end: cache 'quiet'", output, StringComparison.Ordinal);
        Assert.Contains("done      the object was made whole and stays in use", output, StringComparison.Ordinal);
    }

    // ------------------------------------------------------------------ children

    [Fact(Explicit = true)]
    public void Child_frees_what_is_damaged() => Doom("FZPU", static (bench, cache) => cache.Free(AllocateDamaged(cache)));

    [Fact(Explicit = true)]
    public void Child_allocates_what_is_damaged() => Doom("P", static (bench, cache) =>
    {
        _ = cache.Alloc();
        _ = FreeAndDamage(cache);
        _ = cache.Alloc();
    });

    [Fact(Explicit = true)]
    public void Child_validates() => Doom("Z", static (bench, cache) =>
    {
        _ = AllocateDamaged(cache);
        bench.Heap.Validate();
    });

    [Fact(Explicit = true)]
    public void Child_frees_twice() => Doom("FZPU", static (bench, cache) =>
    {
        void* p = cache.Alloc();
        cache.Free(p);
        cache.Free(p);
    });

    [Fact(Explicit = true)]
    public void Child_frees_twice_without_checks() => Doom("-", static (bench, cache) =>
    {
        void* p = cache.Alloc();
        void* other = cache.Alloc();
        cache.Free(p);
        cache.Free(other);
        cache.Free(p);
        _ = cache.Shrink();
    });

    [Fact(Explicit = true)]
    public void Child_repairs_without_handlers()
    {
        using KmemHeap heap = new(new KmemHeapOptions { Debug = "FZPU", MisusePolicy = KmemMisusePolicy.Repair });
        using KmemCache cache = new("quiet", ObjectBytes, new KmemCacheOptions { Heap = heap });
        cache.Free(AllocateDamaged(cache));
    }

    /// <summary>The heap is mild: it is the cache whose mistakes end the process.</summary>
    private static void Doom(string letters, Action<CheckedHeap, KmemCache> action)
    {
        using CheckedHeap bench = new(letters);
        using KmemCache cache = bench.CreateCache("doomed", ObjectBytes, KmemMisusePolicy.FailFast);
        try
        {
            action(bench, cache);
        }
        finally
        {
            Console.WriteLine("went on");
        }
    }

    // ------------------------------------------------------------------

    private static byte* AllocateDamaged(KmemCache cache)
    {
        byte* p = (byte*)cache.Alloc();
        p[ObjectBytes] = 0x41;
        return p;
    }

    private static byte* FreeAndDamage(KmemCache cache)
    {
        byte* p = (byte*)cache.Alloc();
        cache.Free(p);
        p[5] = 0x41;
        return p;
    }

    private static nuint SlabOf(CheckedHeap bench, byte* p, out nuint bytes)
    {
        System.Text.RegularExpressions.Match match = System.Text.RegularExpressions.Regex.Match(bench.Heap.Describe(p), "in the slab 0x([0-9a-f]+)");
        Assert.True(match.Success);
        bytes = bench.LayoutOf(p).Slab.SlabBytes;
        return nuint.Parse(match.Groups[1].Value, System.Globalization.NumberStyles.HexNumber, System.Globalization.CultureInfo.InvariantCulture);
    }

    private static void AssertNeverHandedOut(KmemCache cache, byte* from, byte* to) => Assert.False(IsHandedOut(cache, from, to));

    /// <summary>Allocates more than any slab has, so that partial ones are filled up, and more than may wait.</summary>
    private static bool IsHandedOut(KmemCache cache, byte* from, byte* to)
    {
        List<nint> objects = [];
        bool found = false;
        for (int count = 0; count < 1000; count++)
        {
            byte* each = (byte*)cache.Alloc();
            found |= each >= from && each < to;
            objects.Add((nint)each);
        }

        foreach (nint each in objects)
        {
            cache.Free((void*)each);
        }

        return found;
    }
}
