using System;
using System.Collections.Generic;
using System.Linq;
using Xunit;

namespace Kmem.Tests.Unit.Sized;

/// <summary>
/// The first call of the OS fails, then the second, and so on, until a scenario passes that uses everything: every failure is told in the right way and
/// leaves nothing behind.
/// </summary>
public sealed unsafe class OutOfMemorySweepTests
{
    private const int CallsMax = 500;

    /// <summary>Each front end; one call fails, or all from that call on; the heap may reserve further ranges, or not.</summary>
    public static TheoryData<KmemFrontEnd, bool, bool> Cases
    {
        get
        {
            TheoryData<KmemFrontEnd, bool, bool> data = [];
            foreach (KmemFrontEnd frontEnd in FrontEnds.All)
            {
                foreach (bool forGood in new[] { false, true })
                {
                    data.Add(frontEnd, forGood, false);
                    data.Add(frontEnd, forGood, true);
                }
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Whichever_call_of_the_OS_fails_nothing_is_lost_and_a_retry_works(KmemFrontEnd frontEnd, bool forGood, bool growable)
    {
        int call = 0;
        for (bool reached = true; reached; call++)
        {
            Assert.True(call < CallsMax, "the scenario never passed");
            using FailingOs os = new();
            reached = RunWithFailure(os, call, frontEnd, forGood, growable);
        }

        // Creation, growth in steps, further ranges, commits of the table of caches, purges.
        Assert.True(call > 20, $"only {call} calls were swept");
    }

    /// <summary>False when the scenario did not reach the call.</summary>
    private static bool RunWithFailure(FailingOs os, int call, KmemFrontEnd frontEnd, bool forGood, bool growable)
    {
        os.FailAt(call, OsCalls.All, forGood ? long.MaxValue / 2 : 1);
        KmemHeap? heap = TryCreate(os, frontEnd, growable);
        if (heap == null)
        {
            Assert.Equal(1, Math.Min(os.Failures, 1));
            Assert.Equal(0, os.ReservedBytes);
            os.FailNothing();
            using KmemHeap retried = TryCreate(os, frontEnd, growable)!;
            new Scenario(retried).Run();
            Ledger.AssertEmptyAfterTrim(retried);
            return true;
        }

        using (heap)
        {
            Scenario scenario = new(heap);
            bool passed = scenario.TryRun();
            bool reached = os.Failures != 0;
            Assert.True(passed || reached, "the scenario failed by itself");
            scenario.AssertHeldIsIntact();
            Ledger.AssertWhole(heap);

            // The machine has memory again: the scenario passes on the same heap, beside what the first try still holds.
            os.FailNothing();
            new Scenario(heap).Run();
            scenario.AssertHeldIsIntact();
            scenario.FreeAll();
            Ledger.AssertEmptyAfterTrim(heap);
            heap.Dispose();
            Assert.Equal(0, os.ReservedBytes);
            return reached;
        }
    }

    private static KmemHeap? TryCreate(FailingOs os, KmemFrontEnd frontEnd, bool growable)
    {
        KmemHeapOptions options = Heaps.Options(frontEnd);
        options.ReserveBytes = growable ? 8u << 20 : 512u << 20;
        options.Growable = growable;
        try
        {
            return new KmemHeap(options, *os.Table);
        }
        catch (OutOfMemoryException)
        {
            return null;
        }
    }

    /// <summary>Small and large allocations, caches, bulks, reallocations, pages and trims; remembers what it holds, whatever fails.</summary>
    private sealed class Scenario(KmemHeap heap)
    {
        private readonly List<(nint Address, int Size, byte Pattern)> _held = [];
        private readonly List<(KmemCache Cache, nint Object)> _objects = [];
        private readonly List<KmemCache> _caches = [];
        private readonly List<nint> _blocks = [];

        public bool TryRun()
        {
            try
            {
                Steps();
                FreeAll();
                return true;
            }
            catch (OutOfMemoryException)
            {
                return false;
            }
        }

        public void Run()
        {
            Steps();
            AssertHeldIsIntact();
            FreeAll();
        }

        public void AssertHeldIsIntact()
        {
            foreach ((nint address, int size, byte pattern) in _held)
            {
                Assert.True(heap.UsableSize((void*)address) >= (nuint)size);
                Assert.Equal(-1, new Span<byte>((void*)address, size).IndexOfAnyExcept(pattern));
            }
        }

        public void FreeAll()
        {
            foreach ((nint address, _, _) in _held)
            {
                heap.Free((void*)address);
            }

            foreach ((KmemCache cache, nint each) in _objects)
            {
                cache.Free((void*)each);
            }

            _blocks.ForEach(each => heap.Pages.Free((void*)each));
            _caches.ForEach(each => each.Dispose());
            _held.Clear();
            _objects.Clear();
            _blocks.Clear();
            _caches.Clear();
        }

        private void Steps()
        {
            foreach (int size in new[] { 8, 100, 3000, 20_000, 40_000, 3_000_000, 9_000_000 })
            {
                // The pattern covers the beginning only, so that the sweep does not spend its time on page faults.
                int filled = Math.Min(size, 20_000);
                Hold((nint)heap.Alloc((nuint)size), filled);
                Hold((nint)heap.AllocZeroed((nuint)size), filled);
                Hold((nint)heap.AllocAligned((nuint)size, 256), filled);
            }

            for (int index = 0; index < 6; index++)
            {
                (nint address, int size, byte pattern) = _held[index * 3];
                void* moved = heap.Realloc((void*)address, (nuint)size * 3);
                Assert.Equal(-1, new Span<byte>(moved, size).IndexOfAnyExcept(pattern));
                _held[index * 3] = ((nint)moved, size, pattern);
            }

            for (int number = 0; number < 70; number++)
            {
                KmemCache cache = new("scenario", (nuint)(8 + (number * 40)), new KmemCacheOptions { Heap = heap });
                _caches.Add(cache);
                _objects.Add((cache, (nint)cache.Alloc()));
            }

            KmemCache bulk = _caches[10];
            nint[] objects = new nint[4000];
            if (!bulk.AllocBulk(objects))
            {
                Assert.All(objects, each => Assert.Equal(0, each));
                throw new OutOfMemoryException();
            }

            _objects.AddRange(objects.Skip(1000).Select(each => (bulk, each)));
            bulk.FreeBulk(objects.AsSpan(0, 1000));
            for (int order = 0; order <= 10; order++)
            {
                _blocks.Add((nint)heap.Pages.Alloc(order));
            }

            _ = heap.Trim();
            heap.Maintain();
            for (int index = 0; index < 12; index++)
            {
                (nint address, _, _) = _held[^1];
                _held.RemoveAt(_held.Count - 1);
                heap.Free((void*)address);
            }

            _ = heap.Trim();
            void* pointer = heap.TryAlloc(20_000_000);
            if (pointer == null)
            {
                throw new OutOfMemoryException();
            }

            Hold((nint)pointer, 20_000);
        }

        private void Hold(nint address, int size)
        {
            byte pattern = (byte)(1 + (_held.Count % 250));
            new Span<byte>((void*)address, size).Fill(pattern);
            _held.Add((address, size, pattern));
        }
    }
}
