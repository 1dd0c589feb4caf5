using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Threading;
using Kmem.Engine.Caches;
using Xunit;

namespace Kmem.Tests.Unit.Surface;

/// <summary>The profile by call site: what it estimates, and that sampled objects are objects like any other.</summary>
public sealed unsafe class ProfileTests
{
    private const nuint KiB = SurfaceHeap.KiB;
    private const nuint MiB = SurfaceHeap.MiB;

    public static TheoryData<KmemFrontEnd> FrontEnds => [KmemFrontEnd.RestartableSequences, KmemFrontEnd.TryLock];

    [Theory]
    [InlineData(KmemFrontEnd.RestartableSequences, 64)]
    [InlineData(KmemFrontEnd.TryLock, 64)]
    [InlineData(KmemFrontEnd.TryLock, 16)]
    [InlineData(KmemFrontEnd.TryLock, 1000)]
    [InlineData(KmemFrontEnd.TryLock, 20_000)]
    [InlineData(KmemFrontEnd.TryLock, 100_000)]
    public void Live_bytes_are_estimated_by_site_though_others_allocate_and_free_in_between(KmemFrontEnd frontEnd, int size)
    {
        using KmemHeap heap = MakeHeap(frontEnd, 16 * KiB);
        int count = (int)(24 * MiB) / size;
        List<nint> kept = [];
        for (int index = 0; index < count; index++)
        {
            kept.Add(Keep(heap, (nuint)size));
            heap.Free(Borrow(heap, (nuint)size));
        }

        KmemProfile profile = heap.GetProfile();
        double truth = (double)heap.RoundUpSize((nuint)size) * count;
        Assert.InRange(Site(profile, nameof(Keep)).LiveBytes / truth, 0.7, 1.3);
        Assert.InRange(SiteBytes(profile, nameof(Borrow)) / truth, 0, 0.02);
        Assert.InRange(Site(profile, nameof(Keep)).LiveRoundingBytes / Math.Max(1.0, truth - ((double)size * count)), 0, 1.3);
        heap.Validate();

        FreeAll(heap, kept);
        profile = heap.GetProfile();
        Assert.Equal(0, profile.LiveBytes);
        Assert.True(Site(profile, nameof(Keep)).Lifetimes.Sum() > count / 2);
        Assert.InRange(Site(profile, nameof(Keep)).TotalBytes / truth, 0.7, 1.3);
        heap.Validate();
        StatisticsAssert.AddsUp(heap.GetStatistics());
    }

    [Fact]
    public void Two_sites_that_keep_are_told_apart_in_proportion()
    {
        using KmemHeap heap = MakeHeap(KmemFrontEnd.TryLock, 16 * KiB);
        List<nint> kept = [];
        for (int index = 0; index < 300_000; index++)
        {
            kept.Add(index % 4 == 0 ? KeepMore(heap, 96) : Keep(heap, 90));
        }

        KmemProfile profile = heap.GetProfile();
        Assert.InRange((double)Site(profile, nameof(KeepMore)).LiveObjects / 75_000, 0.6, 1.4);
        Assert.InRange((double)Site(profile, nameof(Keep)).LiveObjects / 225_000, 0.7, 1.3);
        Assert.Equal(0, Site(profile, nameof(KeepMore)).LiveRoundingBytes);
        Assert.InRange(Site(profile, nameof(Keep)).LiveRoundingBytes / (6.0 * Site(profile, nameof(Keep)).LiveObjects), 0.99, 1.01);
        Assert.Equal(Site(profile, nameof(Keep)).LiveObjects, Site(profile, nameof(Keep)).Ages.Sum(), 10.0);
        FreeAll(heap, kept);
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void Objects_that_take_the_places_of_freed_ones_are_seen_however_long_that_goes_on(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = MakeHeap(frontEnd, 16 * KiB);
        Random random = SurfaceHeap.MakeRandom(11);
        nint[] first = [.. Enumerable.Range(0, 30_000).Select(_ => KeepMore(heap, 64))];
        nint[] second = [.. Enumerable.Range(0, 30_000).Select(_ => Keep(heap, 64))];
        for (int step = 0; step < 500_000; step++)
        {
            ref nint old = ref first[random.Next(first.Length)];
            heap.Free((void*)old);
            old = KeepMore(heap, 64);
            old = ref second[random.Next(second.Length)];
            heap.Free((void*)old);
            old = Keep(heap, 64);
        }

        KmemProfile profile = heap.GetProfile();
        Assert.InRange(SiteObjects(profile, nameof(Keep)) / 30_000.0, 0.6, 1.4);
        Assert.InRange(SiteObjects(profile, nameof(KeepMore)) / 30_000.0, 0.6, 1.4);
        heap.Validate();
        FreeAll(heap, [.. first, .. second]);
        Assert.Equal(0, heap.GetProfile().LiveBytes);
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void Batches_that_come_and_go_do_not_take_what_others_keep(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = MakeHeap(frontEnd, 16 * KiB);
        List<nint> kept = [];
        List<nint> batch = [];
        for (int round = 0; round < 300; round++)
        {
            kept.AddRange(Enumerable.Range(0, 100).Select(_ => Keep(heap, 64)));
            FreeAll(heap, batch);
            batch = [.. Enumerable.Range(0, 2000).Select(_ => KeepMore(heap, 64))];
        }

        KmemProfile profile = heap.GetProfile();
        Assert.InRange(SiteObjects(profile, nameof(Keep)) / 30_000.0, 0.6, 1.4);
        Assert.InRange(SiteObjects(profile, nameof(KeepMore)) / 2000.0, 0, 4);
        FreeAll(heap, batch);
        heap.Trim();
        kept.AddRange(Enumerable.Range(0, 100).Select(_ => Keep(heap, 64)));
        Assert.InRange(SiteObjects(heap.GetProfile(), nameof(Keep)) / 30_000.0, 0.6, 1.4);
        FreeAll(heap, kept);
    }

    [Fact]
    public void What_stays_within_the_magazines_is_not_seen()
    {
        using KmemHeap heap = MakeHeap(KmemFrontEnd.TryLock, 1024 * KiB);
        for (int index = 0; index < 1_000_000; index++)
        {
            heap.Free(Borrow(heap, 64));
        }

        Assert.InRange(SiteBytes(heap.GetProfile(), nameof(Borrow)), 0, 0);
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void The_same_chance_gives_the_same_samples(KmemFrontEnd frontEnd)
    {
        OneCpu.Run(() =>
        {
            long[] samples = [Count(), Count()];
            Assert.Equal(samples[0], samples[1]);
            Assert.True(samples[0] > 100, $"{samples[0]} samples");
        });

        long Count()
        {
            using KmemHeap heap = MakeHeap(frontEnd, 32 * KiB);
            FreeAll(heap, Many(heap, 50_000, 100));
            return heap.GetProfile().Sites.Sum(site => site.Samples);
        }
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void Sampled_objects_are_aligned_sized_resized_and_freed_as_others(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = MakeHeap(frontEnd, 1);
        Random random = SurfaceHeap.MakeRandom();
        Dictionary<nint, (nuint Size, int Salt)> live = [];
        for (int step = 0; step < 40_000; step++)
        {
            if (live.Count != 0 && random.Next(2) == 0)
            {
                (nint address, (nuint size, int salt)) = live.First();
                live.Remove(address);
                SurfaceHeap.AssertPattern((void*)address, size, salt);
                if (random.Next(3) == 0)
                {
                    nuint newSize = (nuint)random.Next(1, 3000);
                    address = (nint)heap.Realloc((void*)address, newSize);
                    SurfaceHeap.AssertPattern((void*)address, Math.Min(size, newSize), salt);
                    size = newSize;
                }

                heap.Free((void*)address, size);
            }
            else
            {
                nuint size = (nuint)random.Next(1, random.Next(10) == 0 ? 50_000 : 1000);
                nuint alignment = random.Next(2) == 0 ? 16 : (nuint)1 << random.Next(0, 13);
                void* memory = alignment == 16 ? heap.Alloc(size) : heap.AllocAligned(size, alignment);
                Assert.Equal(0u, (nuint)memory % alignment);
                Assert.True(heap.UsableSize(memory) >= size);
                SurfaceHeap.FillPattern(memory, size, step);
                live.Add((nint)memory, (size, step));
            }
        }

        heap.Validate();
        Assert.True(heap.GetProfile().Sites.Sum(site => site.Samples) > 500);
        foreach (nint each in live.Keys)
        {
            heap.Free((void*)each);
        }

        Assert.Equal(0, heap.GetProfile().LiveBytes);
        heap.Validate();
        heap.Trim();
        StatisticsAssert.AddsUp(heap.GetStatistics());
    }

    [Fact]
    public void Powers_of_two_are_aligned_to_themselves_when_sampled()
    {
        using KmemHeap heap = MakeHeap(KmemFrontEnd.TryLock, 1);
        for (nuint size = 16; size <= 4096; size *= 2)
        {
            for (int each = 0; each < 200; each++)
            {
                void* memory = heap.Alloc(size);
                Assert.Equal(0u, (nuint)memory % size);
                Assert.Equal(size, heap.UsableSize(memory));
            }
        }
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void A_cache_that_constructs_and_destroys_does_so_for_sampled_objects(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = MakeHeap(frontEnd, 256);
        long* counts = stackalloc long[2];
        counts[0] = counts[1] = 0;
        KmemCacheOptions options = new() { Heap = heap, Constructor = &Construct, Destructor = &Destroy, Context = counts };
        using (KmemCache cache = new("built", 48, options))
        {
            List<nint> live = [];
            for (int index = 0; index < 20_000; index++)
            {
                void* memory = cache.TryAlloc();
                if (memory != null)
                {
                    Assert.Equal(42, *(long*)memory);
                    live.Add((nint)memory);
                }
            }

            Assert.True(live.Count is > 19_900 and < 20_000);
            Assert.InRange(heap.GetProfile().LiveBytes / (48.0 * live.Count), 0.8, 1.2);
            live.ForEach(each => cache.Free((void*)each));
            cache.Validate();
        }

        Assert.Equal(0, counts[0]);
        Assert.Equal(0, heap.GetProfile().LiveBytes);
    }

    [Theory]
    [InlineData(KmemFrontEnd.RestartableSequences, KmemCacheFlags.None, true)]
    [InlineData(KmemFrontEnd.TryLock, KmemCacheFlags.None, true)]
    [InlineData(KmemFrontEnd.TryLock, KmemCacheFlags.NoMagazines, true)]
    [InlineData(KmemFrontEnd.TryLock, KmemCacheFlags.NoMagazines, false)]
    [InlineData(KmemFrontEnd.TryLock, KmemCacheFlags.None, false)]
    public void Sites_of_a_cache_are_told_apart_with_and_without_magazines_and_constructors(KmemFrontEnd frontEnd, KmemCacheFlags flags, bool constructs)
    {
        using KmemHeap heap = MakeHeap(frontEnd, 8 * KiB);
        long* counts = stackalloc long[2];
        counts[0] = counts[1] = 0;
        KmemCacheOptions options = new() { Heap = heap, Flags = flags, Destructor = constructs ? &Destroy : null, Context = counts };
        using KmemCache cache = new("sites", 100, options);
        List<nint> kept = [];
        for (int index = 0; index < 50_000; index++)
        {
            kept.Add(KeepObject(cache));
            cache.Free(BorrowObject(cache));
        }

        KmemProfile profile = heap.GetProfile();
        double truth = (double)cache.ObjectSizeBytes * kept.Count;
        Assert.InRange(Site(profile, nameof(KeepObject)).LiveBytes / truth, 0.7, 1.4);
        Assert.InRange(SiteBytes(profile, nameof(BorrowObject)) / truth, 0, 0.02);
        kept.ForEach(each => cache.Free((void*)each));
        Assert.Equal(0, heap.GetProfile().LiveBytes);
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void Bulk_calls_take_and_give_sampled_objects_among_others(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = MakeHeap(frontEnd, 2 * KiB);
        using KmemCache cache = new("bulk", 56, new KmemCacheOptions { Heap = heap });
        Random random = SurfaceHeap.MakeRandom();
        nint[] objects = new nint[3000];
        for (int round = 0; round < 50; round++)
        {
            int count = random.Next(1, objects.Length);
            Assert.True(cache.AllocBulk(objects.AsSpan(0, count)));
            Assert.Equal(count, objects.Take(count).Distinct().Count());
            random.Shuffle(objects.AsSpan(0, count));
            cache.FreeBulk(objects.AsSpan(0, count));
        }

        Assert.True(heap.GetProfile().Sites.Sum(site => site.Samples) > 50);
        Assert.Equal(0, heap.GetProfile().LiveBytes);
        heap.Validate();
    }

    [Fact]
    public void A_second_free_of_a_sampled_object_tells_who_allocated_it()
    {
        using KmemHeap heap = MakeHeap(KmemFrontEnd.TryLock, 1);
        List<nint> live = [];
        for (int index = 0; index < 1000; index++)
        {
            live.Add(Keep(heap, 64));
        }

        FreeAll(heap, live);
        List<KmemMisuseException> found = [];
        foreach (nint each in live)
        {
            try
            {
                heap.Free((void*)each);
            }
            catch (KmemMisuseException exception)
            {
                found.Add(exception);
            }
        }

        Assert.Contains(found, each => each.Misuse == KmemMisuse.AlreadyFree && each.Message.Contains(nameof(Keep), StringComparison.Ordinal));
    }

    [Fact]
    public void Switched_off_nothing_is_sampled_and_what_was_is_freed_as_ever()
    {
        using KmemHeap heap = MakeHeap(KmemFrontEnd.TryLock, 4 * KiB);
        List<nint> live = Many(heap, 20_000, 64);
        heap.ProfileIntervalBytes = 0;
        long samples = heap.GetProfile().Sites.Sum(site => site.Samples);
        Assert.True(samples > 100);
        List<nint> more = Many(heap, 20_000, 64);
        Assert.Equal(samples, heap.GetProfile().Sites.Sum(site => site.Samples));
        FreeAll(heap, more);
        FreeAll(heap, live);
        Assert.Equal(0, heap.GetProfile().LiveBytes);
        Assert.Equal(0, heap.GetProfile().IntervalBytes);
        heap.Validate();
    }

    [Fact]
    public void Checks_and_samples_do_not_get_in_each_others_way()
    {
        using KmemHeap heap = MakeHeap(KmemFrontEnd.TryLock, KiB);
        List<nint> live = Many(heap, 5000, 64);
        heap.SetChecks("FZPU");
        Assert.Equal(KmemChecks.All, heap.GetChecks("kmalloc-64"));
        live.AddRange(Many(heap, 5000, 64));
        heap.SetChecks("");
        Assert.Equal(KmemChecks.None, heap.GetChecks("kmalloc-64"));
        live.AddRange(Many(heap, 5000, 64));
        heap.Validate();
        FreeAll(heap, live);
        Assert.Equal(0, heap.GetProfile().LiveBytes);
        heap.Validate();
    }

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void Threads_that_free_each_others_objects_leave_nothing_live(KmemFrontEnd frontEnd)
    {
        using KmemHeap heap = MakeHeap(frontEnd, 2 * KiB);
        nint[] shared = new nint[512];
        Thread[] threads = [.. Enumerable.Range(0, 4).Select(seed => new Thread(() =>
        {
            Random random = new(seed);
            for (int step = 0; step < 50_000; step++)
            {
                nint mine = (nint)heap.Alloc((nuint)random.Next(1, 400));
                *(nint*)mine = mine;
                nint other = Interlocked.Exchange(ref shared[random.Next(shared.Length)], mine);
                if (other != 0)
                {
                    Assert.Equal(other, *(nint*)other);
                    heap.Free((void*)other);
                }
            }
        }))];
        Array.ForEach(threads, each => each.Start());
        for (int pass = 0; pass < 10; pass++)
        {
            heap.Maintain();
            _ = heap.GetProfile();
            heap.Validate();
        }

        Array.ForEach(threads, each => each.Join());
        FreeAll(heap, shared.Where(each => each != 0).ToList());
        Assert.Equal(0, heap.GetProfile().LiveBytes);
        heap.Validate();
        StatisticsAssert.AddsUp(heap.GetStatistics());
    }

    [Fact]
    public void The_logarithm_of_chance_is_right_to_five_digits()
    {
        Random random = SurfaceHeap.MakeRandom();
        for (int each = 0; each < 10_000; each++)
        {
            ulong value = ((ulong)random.NextInt64() | 1) >> random.Next(64);
            value = value == 0 ? 1 : value;
            Assert.Equal(64 - Math.Log2(value), Sampling.NegativeLog2(value) / 65536.0, 0.0001);
        }
    }

    [Fact]
    public void An_interval_out_of_range_is_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new KmemHeap(new KmemHeapOptions { ProfileIntervalBytes = ((nuint)1 << 40) + 1 }));
        using KmemHeap heap = new(new KmemHeapOptions { ProfileIntervalBytes = (nuint)1 << 40, MaintenanceIntervalMilliseconds = 0 });
        Assert.Throws<ArgumentOutOfRangeException>(() => heap.ProfileIntervalBytes = ((nuint)1 << 40) + 1);
        Assert.Equal((nuint)1 << 40, heap.ProfileIntervalBytes);
    }

    [Fact]
    public void The_shared_heap_is_profiled_with_fronts_and_by_the_environment()
    {
        (int exitCode, string output) = ChildTest.RunClass(nameof(ProfileChildTests), ("KMEM_PROFILE", "16384"));
        Assert.True(exitCode == 0, output);
    }

    /// <summary>Counts what is constructed, and refuses every thousandth time.</summary>
    private static bool Construct(void* pointer, void* counts)
    {
        if (++((long*)counts)[1] % 1000 == 0)
        {
            return false;
        }

        ++*(long*)counts;
        *(long*)pointer = 42;
        return true;
    }

    private static void Destroy(void* pointer, void* counts) => --*(long*)counts;

    internal static KmemHeap MakeHeap(KmemFrontEnd frontEnd, nuint intervalBytes)
    {
        KmemHeap heap = SurfaceHeap.Make(frontEnd);
        heap.SetProfileInterval(intervalBytes, seed: 7);
        return heap;
    }

    internal static KmemProfileSite Site(KmemProfile profile, string method) => Assert.Single(profile.Sites, site => IsOf(site, method));

    internal static double SiteBytes(KmemProfile profile, string method) => profile.Sites.Where(site => IsOf(site, method)).Sum(site => site.LiveBytes);

    private static double SiteObjects(KmemProfile profile, string method) => profile.Sites.Where(site => IsOf(site, method)).Sum(site => site.LiveObjects);

    private static bool IsOf(KmemProfileSite site, string method) => site.Frames.Count != 0 && site.Frames[0].Contains($".{method}", StringComparison.Ordinal) && !site.Frames[0].Contains($".{method}More", StringComparison.Ordinal);

    private static List<nint> Many(KmemHeap heap, int count, nuint size)
    {
        List<nint> all = [];
        for (int index = 0; index < count; index++)
        {
            all.Add((nint)heap.Alloc(size));
        }

        return all;
    }

    internal static void FreeAll(KmemHeap heap, List<nint> all)
    {
        foreach (nint each in all)
        {
            heap.Free((void*)each);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static nint KeepObject(KmemCache cache) => (nint)cache.Alloc();

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void* BorrowObject(KmemCache cache) => cache.Alloc();

    [MethodImpl(MethodImplOptions.NoInlining)]
    internal static nint Keep(KmemHeap heap, nuint size) => (nint)heap.Alloc(size);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static nint KeepMore(KmemHeap heap, nuint size) => (nint)heap.Alloc(size);

    [MethodImpl(MethodImplOptions.NoInlining)]
    internal static void* Borrow(KmemHeap heap, nuint size) => heap.Alloc(size);
}

/// <summary>Has the shared heap for itself, with samples from its start.</summary>
public sealed unsafe class ProfileChildTests
{
    [Fact(Explicit = true)]
    public void The_shared_heap_is_profiled()
    {
        Assert.Equal(16384u, KmemHeap.Shared.ProfileIntervalBytes);
        List<nint> kept = [];
        for (int index = 0; index < 300_000; index++)
        {
            kept.Add(ProfileTests.Keep(KmemHeap.Shared, 64));
            Kmalloc.Free(ProfileTests.Borrow(KmemHeap.Shared, 64));
        }

        KmemProfile profile = KmemHeap.Shared.GetProfile();
        Assert.InRange(ProfileTests.Site(profile, nameof(ProfileTests.Keep)).LiveObjects / 300_000.0, 0.7, 1.3);
        Assert.InRange(ProfileTests.SiteBytes(profile, nameof(ProfileTests.Borrow)) / (64.0 * 300_000), 0, 0.02);
        KmemHeap.Shared.Validate();
        ProfileTests.FreeAll(KmemHeap.Shared, kept);
        Assert.Equal(0, ProfileTests.SiteBytes(KmemHeap.Shared.GetProfile(), nameof(ProfileTests.Keep)));
        KmemHeap.Shared.Validate();
    }
}
