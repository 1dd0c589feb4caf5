using System;
using System.Collections.Generic;
using Xunit;

namespace Kmem.Tests.Unit.Surface;

/// <summary>Whichever call of the operating system fails, the caller hears of it in the one documented way, and nothing is lost.</summary>
public sealed unsafe class FailingSystemTests
{
    private const nuint KiB = SurfaceHeap.KiB;
    private const nuint MiB = SurfaceHeap.MiB;

    [Theory]
    [InlineData(KmemFrontEnd.RestartableSequences, true)]
    [InlineData(KmemFrontEnd.RestartableSequences, false)]
    [InlineData(KmemFrontEnd.TryLock, true)]
    [InlineData(KmemFrontEnd.TryLock, false)]
    public void Whichever_single_call_fails_nothing_is_lost(KmemFrontEnd frontEnd, bool growable)
    {
        SurfaceHeap.Make(frontEnd).Dispose();
        long refusals = 0;
        for (long call = 0; ; call++)
        {
            using FailingOs os = new();
            os.FailAt(call);
            refusals += Sweep(os, frontEnd, growable, call, out bool failed);
            if (!failed)
            {
                Assert.True(call > 20, $"the scenario makes more than {call} calls");
                Assert.True(refusals > 5, $"only {refusals} refusals reached the caller");
                return;
            }
        }
    }

    [Theory]
    [InlineData(KmemFrontEnd.RestartableSequences, true)]
    [InlineData(KmemFrontEnd.RestartableSequences, false)]
    [InlineData(KmemFrontEnd.TryLock, true)]
    [InlineData(KmemFrontEnd.TryLock, false)]
    public void From_whichever_call_on_all_fail_nothing_is_lost(KmemFrontEnd frontEnd, bool growable)
    {
        SurfaceHeap.Make(frontEnd).Dispose();
        long refusals = 0;
        for (long call = 0; ; call++)
        {
            using FailingOs os = new();
            os.FailAllFrom(call);
            refusals += Sweep(os, frontEnd, growable, call, out bool failed);
            if (!failed)
            {
                Assert.True(refusals > 20, $"only {refusals} refusals reached the caller");
                return;
            }
        }
    }

    [Theory]
    [InlineData(KmemFrontEnd.RestartableSequences)]
    [InlineData(KmemFrontEnd.TryLock)]
    public void Without_address_space_or_memory_there_is_no_heap_and_nothing_stays_reserved(KmemFrontEnd frontEnd)
    {
        SurfaceHeap.Make(frontEnd).Dispose();
        foreach (OsCalls calls in new[] { OsCalls.Reserve, OsCalls.Commit })
        {
            using FailingOs os = new();
            os.FailAllFrom(0, calls);
            OutOfMemoryException refusal = Assert.Throws<OutOfMemoryException>(() => new KmemHeap(Options(frontEnd, true), *os.Table).Dispose());
            Assert.Contains("'swept'", refusal.Message, StringComparison.Ordinal);
            Assert.Equal(0, os.ReservedBytes);
        }
    }

    [Theory]
    [InlineData(KmemFrontEnd.RestartableSequences)]
    [InlineData(KmemFrontEnd.TryLock)]
    public void A_refused_purge_keeps_the_pages_and_a_later_one_gives_them_back(KmemFrontEnd frontEnd)
    {
        SurfaceHeap.Make(frontEnd).Dispose();
        using FailingOs os = new();
        using KmemHeap heap = new(Options(frontEnd, true), *os.Table);
        void* memory = heap.Alloc(10 * MiB);
        SurfaceHeap.FillPattern(memory, 10 * MiB, 1);
        heap.Free(memory);
        os.FailAllFrom(0, OsCalls.Purge);
        Assert.Equal((nuint)0, heap.Trim());
        Assert.True(os.Failures > 0, "nothing was to be purged");
        Assert.True(heap.GetStatistics().FreePageBytes >= 10 * MiB);
        StatisticsAssert.AddsUp(heap.GetStatistics());
        heap.Validate();
        byte* zeroed = (byte*)heap.AllocZeroed(10 * MiB);
        Assert.False(new Span<byte>(zeroed, (int)(10 * MiB)).ContainsAnyExcept((byte)0), "what was not purged reads as zero");
        heap.Free(zeroed);
        os.FailNothing();
        Assert.True(heap.Trim() >= 10 * MiB);
        Assert.Equal(0UL, heap.GetStatistics().FreePageBytes);
        StatisticsAssert.AddsUp(heap.GetStatistics());
    }

    /// <summary>Runs the scenario against a system that fails, then with one that recovered; returns the refusals.</summary>
    private static long Sweep(FailingOs os, KmemFrontEnd frontEnd, bool growable, long call, out bool failed)
    {
        KmemHeap heap;
        failed = true;
        try
        {
            heap = new KmemHeap(Options(frontEnd, growable), *os.Table);
        }
        catch (OutOfMemoryException)
        {
            Assert.Equal(0, os.ReservedBytes);
            Assert.True(os.Failures > 0, $"call {call}: a refusal without a failure");
            os.FailNothing();
            using KmemHeap second = new(Options(frontEnd, growable), *os.Table);
            Assert.Equal(0, RunScenario(second, os, call));
            AssertEmpty(second, call);
            return 1;
        }

        long refusals = RunScenario(heap, os, call);
        failed = os.Failures > 0;
        Assert.True(failed || refusals == 0, $"call {call}: {refusals} refusals without a failure");
        os.FailNothing();
        AssertEmpty(heap, call);
        Assert.Equal(0, RunScenario(heap, os, call));
        AssertEmpty(heap, call);
        heap.Dispose();
        Assert.Equal(0, os.ReservedBytes);
        return refusals;
    }

    private static void AssertEmpty(KmemHeap heap, long call)
    {
        heap.Trim();
        heap.Validate();
        KmemStatistics statistics = heap.GetStatistics();
        StatisticsAssert.AddsUp(statistics);
        StatisticsAssert.NothingIsKept(statistics);
        Assert.True(statistics.FreePageBytes == 0, $"call {call}: {statistics.FreePageBytes} bytes of free pages after a trim");
    }

    private static long RunScenario(KmemHeap heap, FailingOs os, long call)
    {
        Scenario scenario = new(heap);
        scenario.Run();
        Assert.True(os.Failures > 0 || scenario.Refusals == 0, $"call {call}: {scenario.Refusals} refusals");
        Assert.True(scenario.Constructed == scenario.Destroyed, $"call {call}: {scenario.Constructed} constructed, {scenario.Destroyed} destroyed");
        return scenario.Refusals;
    }

    private static KmemHeapOptions Options(KmemFrontEnd frontEnd, bool growable)
    {
        KmemHeapOptions options = SurfaceHeap.Options(frontEnd);
        options.Name = "swept";
        options.ReserveBytes = growable ? 4 * MiB : 512 * MiB;
        options.Growable = growable;
        return options;
    }

    /// <summary>A bit of everything. Each step may be refused; what was had is written to, checked and freed.</summary>
    private sealed class Scenario(KmemHeap heap)
    {
        private readonly List<(nint Memory, nuint Size)> _sized = [];
        private readonly List<nint> _blocks = [];
        private readonly long[] _counts = GC.AllocateArray<long>(2, pinned: true);

        public long Refusals { get; private set; }

        public long Constructed => _counts[0];

        public long Destroyed => _counts[1];

        public void Run()
        {
            KmemCache? plain = Try(() => new KmemCache("plain", 700, new KmemCacheOptions { Heap = heap }));
            KmemCache? constructed = Try(() => new KmemCache("constructed", 300, new KmemCacheOptions
            {
                Heap = heap,
                Constructor = &Construct,
                Destructor = &Destroy,
                Context = (void*)System.Runtime.InteropServices.Marshal.UnsafeAddrOfPinnedArrayElement(_counts, 0),
            }));

            foreach (nuint size in (ReadOnlySpan<nuint>)[1, 100, 1000, 8000, 32 * KiB, 40_000, 300 * KiB, 3 * MiB])
            {
                nuint each = size;
                for (int count = 0; count < 4; count++)
                {
                    AddSized(each, () => heap.Alloc(each));
                }

                AddSized(each, () => heap.AllocAligned(each, 64 * KiB));
                AddSized(each, () => heap.TryAlloc(each));
                AddZeroed(each);
            }

            Reallocate();
            for (int order = 0; order <= PageAllocator.MaxOrder; order += 2)
            {
                int same = order;
                nint block = Ask(() => heap.Pages.Alloc(same, (KmemMobility)(same % 3)));
                if (block != 0)
                {
                    *(byte*)block = 1;
                    _blocks.Add(block);
                }
            }

            UseCache(plain, isConstructed: false);
            UseCache(constructed, isConstructed: true);
            StatisticsAssert.AddsUp(heap.GetStatistics());
            heap.Validate();

            foreach ((nint memory, nuint size) in _sized)
            {
                AssertEnds(memory, size);
                heap.Free((void*)memory);
            }

            foreach (nint block in _blocks)
            {
                heap.Pages.Free((void*)block);
            }

            plain?.Shrink();
            heap.Maintain();
            heap.Trim();
            StatisticsAssert.NothingIsOut(heap.GetStatistics());
            StatisticsAssert.AddsUp(heap.GetStatistics());
            heap.Validate();
            plain?.Dispose();
            constructed?.Dispose();
        }

        private void UseCache(KmemCache? cache, bool isConstructed)
        {
            if (cache == null)
            {
                return;
            }

            List<nint> live = [];
            for (int count = 0; count < 200; count++)
            {
                nint item = Ask(cache.Alloc);
                if (item != 0)
                {
                    live.Add(item);
                }
            }

            nint[] bulk = new nint[500];
            if (cache.AllocBulk(bulk))
            {
                live.AddRange(bulk);
            }
            else
            {
                Assert.False(new Span<nint>(bulk).ContainsAnyExcept(0));
                Refusals++;
            }

            Assert.Equal(live.Count, cache.GetStatistics().LiveObjects);
            Assert.Equal(live.Count, new HashSet<nint>(live).Count);
            foreach (nint each in live)
            {
                Assert.True(!isConstructed || *(ulong*)each == 0xC0C0, "an object was not constructed");
                ((byte*)each)[cache.ObjectSizeBytes - 1] = 1;
            }

            int half = live.Count / 2;
            for (int index = 0; index < half; index++)
            {
                cache.Free((void*)live[index]);
            }

            cache.FreeBulk(live.GetRange(half, live.Count - half).ToArray());
            cache.Validate();
            Assert.Equal(0, cache.GetStatistics().LiveObjects);
            StatisticsAssert.AddsUp(cache.GetStatistics());
        }

        private void Reallocate()
        {
            for (int index = 0; index < _sized.Count; index += 3)
            {
                (nint memory, nuint size) = _sized[index];
                nuint to = index % 2 == 0 ? size * 3 : (size / 3) + 1;
                nint moved = Ask(() => heap.Realloc((void*)memory, to));
                if (moved != 0)
                {
                    Assert.True(*(byte*)moved == (byte)size, "a reallocation lost a byte");
                    WriteEnds(moved, to);
                    _sized[index] = (moved, to);
                }
                else
                {
                    Assert.True(to > size, "making smaller was refused");
                    AssertEnds(memory, size);
                }
            }
        }

        private void AddSized(nuint size, Asking ask)
        {
            nint memory = Ask(ask);
            if (memory != 0)
            {
                WriteEnds(memory, size);
                _sized.Add((memory, size));
            }
        }

        private void AddZeroed(nuint size)
        {
            nint memory = Ask(() => heap.AllocZeroed(size));
            if (memory != 0)
            {
                Assert.False(new Span<byte>((void*)memory, (int)size).ContainsAnyExcept((byte)0), $"{size} bytes are not zero");
                WriteEnds(memory, size);
                _sized.Add((memory, size));
            }
        }

        private nint Ask(Asking ask)
        {
            nint memory = 0;
            try
            {
                memory = (nint)ask();
            }
            catch (OutOfMemoryException)
            {
            }

            Refusals += memory == 0 ? 1 : 0;
            return memory;
        }

        private T? Try<T>(Func<T> make)
            where T : class
        {
            try
            {
                return make();
            }
            catch (OutOfMemoryException)
            {
                Refusals++;
                return null;
            }
        }

        private static void WriteEnds(nint memory, nuint size) =>
            (*(byte*)memory, ((byte*)memory)[size - 1]) = ((byte)size, (byte)size);

        private static void AssertEnds(nint memory, nuint size) =>
            Assert.True(*(byte*)memory == (byte)size && ((byte*)memory)[size - 1] == (byte)size, "another allocation wrote here");

        private static bool Construct(void* item, void* context)
        {
            *(ulong*)item = 0xC0C0;
            ((long*)context)[0]++;
            return true;
        }

        private static void Destroy(void* item, void* context) => ((long*)context)[1]++;

        private delegate void* Asking();
    }
}
