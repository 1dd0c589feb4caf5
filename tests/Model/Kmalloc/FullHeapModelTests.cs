using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using CsCheck;
using Xunit;

namespace Kmem.Tests.Model.Kmalloc;

/// <summary>A heap of 8 MiB that may not grow and is often full, beside a list of what is held: kmalloc in all its forms, a cache, and pages compete for the same memory.</summary>
public sealed unsafe class FullHeapModelTests
{
    internal enum Kind
    {
        Alloc,
        AllocZeroed,
        AllocAligned,
        Realloc,
        Free,
        SizedFree,
        AllocObject,
        AllocPages,
        AllocHuge,
        Shrink,
        Trim,
        Maintain,
        FreeMany,
        Misuse,
    }

    internal readonly record struct Operation(Kind Kind, int A, int B);

    private static readonly Gen<Operation> s_operation = Gen.Select(
        Gen.Frequency(
            (10, Gen.Const(Kind.Alloc)),
            (4, Gen.Const(Kind.AllocZeroed)),
            (4, Gen.Const(Kind.AllocAligned)),
            (8, Gen.Const(Kind.Realloc)),
            (5, Gen.Const(Kind.Free)),
            (5, Gen.Const(Kind.SizedFree)),
            (3, Gen.Const(Kind.AllocObject)),
            (4, Gen.Const(Kind.AllocPages)),
            (1, Gen.Const(Kind.AllocHuge)),
            (1, Gen.Const(Kind.Shrink)),
            (1, Gen.Const(Kind.Trim)),
            (2, Gen.Const(Kind.Maintain)),
            (1, Gen.Const(Kind.FreeMany)),
            (2, Gen.Const(Kind.Misuse))),
        Gen.Int[0, 1 << 24],
        Gen.Int[0, 1 << 24],
        (kind, a, b) => new Operation(kind, a, b));

    public static TheoryData<KmemFrontEnd, KmemSizeClasses> HeapKinds
    {
        get
        {
            TheoryData<KmemFrontEnd, KmemSizeClasses> data = [];
            foreach (KmemFrontEnd frontEnd in FrontEnds.All)
            {
                data.Add(frontEnd, KmemSizeClasses.Default);
                data.Add(frontEnd, KmemSizeClasses.Kernel);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(HeapKinds))]
    public void A_full_heap_refuses_keeps_what_is_held_and_goes_on(KmemFrontEnd frontEnd, KmemSizeClasses classes)
    {
        int refusals = 0;
        s_operation.Array[40, 200].Sample(
            operations =>
            {
                using Subject subject = new(frontEnd, classes);
                subject.Run(operations);
                Interlocked.Add(ref refusals, subject.Refusals);
            },
            iter: 100,
            threads: 2,
            print: Print);
        Assert.True(refusals > 50, $"only {refusals} refusals: the heap was not full");
    }

    private static string Print(Operation[] operations) =>
        "[" + string.Join(", ", operations.Select(o => $"new(Kind.{o.Kind}, {o.A}, {o.B})")) + "]";

    private enum Source
    {
        Sized,
        Object,
        Pages,
    }

    private sealed record Holding(nint Address, int Size, byte Pattern, Source Source)
    {
        public bool IsTooRoomy { get; init; }
    }

    private sealed class Subject : IDisposable
    {
        private const int ObjectSize = 56;

        private readonly KmemHeap _heap;
        private readonly KmemCache _cache;
        private readonly List<Holding> _held = [];
        private byte _lastPattern;

        /// <summary>Requests that found no memory.</summary>
        public int Refusals { get; private set; }

        public Subject(KmemFrontEnd frontEnd, KmemSizeClasses classes)
        {
            KmemHeapOptions options = Heaps.Options(frontEnd);
            options.ReserveBytes = 8 << 20;
            options.Growable = false;
            options.SizeClasses = classes;
            options.PurgeDelayMilliseconds = 0;
            _heap = new KmemHeap(options);
            _cache = new KmemCache("model", ObjectSize, new KmemCacheOptions { Heap = _heap });
        }

        public void Run(Operation[] operations)
        {
            for (int step = 0; step < operations.Length; step++)
            {
                Apply(operations[step]);
                if (step % 8 == 0)
                {
                    AssertFigures(Ledger.AssertWhole(_heap));
                }
            }

            AssertFigures(Ledger.AssertWhole(_heap));
            while (_held.Count != 0)
            {
                Free(_held.Count - 1, sized: false);
            }

            Ledger.AssertEmptyAfterTrim(_heap);
        }

        public void Dispose() => _heap.Dispose();

        private void Apply(Operation operation)
        {
            int size = SizeOf(operation);
            switch (operation.Kind)
            {
                case Kind.Alloc:
                    Take((nint)_heap.TryAlloc((nuint)size), size, Source.Sized, zeroed: false);
                    break;
                case Kind.AllocZeroed:
                    Take(OrNull(() => (nint)_heap.AllocZeroed((nuint)size)), size, Source.Sized, zeroed: true);
                    break;
                case Kind.AllocAligned:
                    nint alignment = 1 << (operation.B % 17);
                    nint aligned = OrNull(() => (nint)_heap.AllocAligned((nuint)size, (nuint)alignment));
                    Assert.Equal(0, aligned % alignment);
                    Take(aligned, size, Source.Sized, zeroed: false, (int)alignment);
                    break;
                case Kind.AllocObject:
                    Take((nint)_cache.TryAlloc(), ObjectSize, Source.Object, zeroed: false);
                    break;
                case Kind.AllocPages:
                    int order = operation.A % 10;
                    Take((nint)_heap.Pages.TryAlloc(order, (KmemMobility)(operation.B % 3)), 4096 << order, Source.Pages, zeroed: false);
                    break;
                case Kind.AllocHuge:
                    Assert.True(_heap.TryAlloc(((nuint)1 << 44) + (nuint)operation.A) == null);
                    break;
                case Kind.Realloc when _held.Count != 0:
                    Realloc(operation.B % _held.Count, size);
                    break;
                case Kind.Free or Kind.SizedFree when _held.Count != 0:
                    Free(operation.A % _held.Count, operation.Kind == Kind.SizedFree);
                    break;
                case Kind.FreeMany:
                    for (int count = _held.Count * 2 / 3; count > 0; count--)
                    {
                        Free((operation.A + (count * 7)) % _held.Count, sized: count % 2 == 0);
                    }

                    break;
                case Kind.Shrink:
                    _cache.Shrink();
                    break;
                case Kind.Trim:
                    _ = _heap.Trim();
                    KmemStatistics trimmed = _heap.GetStatistics();
                    Assert.Equal((0ul, 0ul, 0ul), (trimmed.MagazineBytes, trimmed.DepotBytes, trimmed.EmptySlabBytes));
                    Assert.Equal(0ul, trimmed.FreePageBytes);
                    break;
                case Kind.Maintain:
                    _heap.Maintain();
                    break;
                case Kind.Misuse when _held.Count != 0:
                    Misuse(_held[operation.A % _held.Count], operation.B);
                    break;
            }
        }

        private static int SizeOf(Operation operation) => (operation.B % 16) switch
        {
            0 or 4 or 5 => operation.A % 2_000_000,
            1 or 2 => operation.A % 70_000,
            3 => (1 << (operation.A % 17)) + ((operation.B >> 4) % 3) - 1,
            _ => operation.A % 2000,
        };

        private nint OrNull(Func<nint> allocate)
        {
            try
            {
                return allocate();
            }
            catch (OutOfMemoryException)
            {
                return 0;
            }
        }

        private void Take(nint address, int size, Source source, bool zeroed, int alignment = 1)
        {
            if (address == 0)
            {
                Refuse(source == Source.Object ? _cache.Order : OrderFor(size, source == Source.Pages ? size : alignment));
                return;
            }

            Assert.True(!zeroed || new Span<byte>((void*)address, size).IndexOfAnyExcept((byte)0) < 0, "not zero");
            Assert.True(source == Source.Pages || _heap.UsableSize((void*)address) >= (nuint)size);
            _held.Add(Filled(address, size, source));
        }

        /// <summary>Right only when no free block is left that the request could be cut from; and nothing is lost by it.</summary>
        private void Refuse(int order)
        {
            Refusals++;
            KmemStatistics statistics = Ledger.AssertWhole(_heap);
            AssertFigures(statistics);
            Assert.True(statistics.Pages.FreeBlocks.Skip(order).Sum() == 0, $"refused, and there are blocks of order {order}: {string.Join(' ', statistics.Pages.FreeBlocks)}");
        }

        /// <summary>The order of the blocks that serve a size: slabs of its class, or a run.</summary>
        private int OrderFor(int size, int alignment = 1)
        {
            KmemStatistics statistics = _heap.GetStatistics();
            nuint rounded = _heap.RoundUpSize((nuint)size);
            if (alignment <= 4096 && statistics.Caches.Any(cache => cache.IsSizeClass && cache.StrideBytes >= rounded))
            {
                // An alignment may need any of the larger classes.
                return statistics.Caches.Where(cache => cache.IsSizeClass && (alignment > 1 || cache.StrideBytes == rounded)).Max(cache => cache.Order);
            }

            int pages = Math.Max((int)(((nuint)size + 4095) / 4096), alignment / 4096);
            return System.Numerics.BitOperations.Log2(System.Numerics.BitOperations.RoundUpToPowerOf2((uint)pages));
        }

        private Holding Filled(nint address, int size, Source source)
        {
            _lastPattern = (byte)((_lastPattern % 250) + 1);
            if (size != 0)
            {
                // Whatever overlaps overwrites a pattern, which is seen when that is given up.
                new Span<byte>((void*)address, size).Fill(_lastPattern);
            }

            return new Holding(address, size, _lastPattern, source);
        }

        private void Realloc(int index, int size)
        {
            Holding old = _held[index];
            if (old.Source == Source.Pages)
            {
                Assert.Equal(KmemMisuse.WrongKind, Assert.Throws<KmemMisuseException>(() => { _heap.Realloc((void*)old.Address, (nuint)size); }).Misuse);
                return;
            }

            nint moved = OrNull(() => (nint)_heap.Realloc((void*)old.Address, (nuint)size));
            if (moved == 0)
            {
                Refuse(OrderFor(size));
                AssertIntact(old, old.Size);
                return;
            }

            AssertIntact(old with { Address = moved }, Math.Min(old.Size, size));
            bool isObject = moved == old.Address && old.Source == Source.Object;

            // Where no smaller place was free, the allocation stays in one of more than twice the size, which a sized free does not believe.
            bool isTooRoomy = _heap.RoundUpSize((nuint)size) < _heap.UsableSize((void*)moved) / 2;
            _held[index] = Filled(moved, size, isObject ? Source.Object : Source.Sized) with { IsTooRoomy = isTooRoomy };
        }

        private void Free(int index, bool sized)
        {
            Holding holding = _held[index];
            AssertIntact(holding, holding.Size);
            _held[index] = _held[^1];
            _held.RemoveAt(_held.Count - 1);
            switch (holding.Source)
            {
                case Source.Pages:
                    _heap.Pages.Free((void*)holding.Address);
                    break;
                case Source.Object when sized:
                    _cache.Free((void*)holding.Address);
                    break;
                case Source.Sized when sized && !holding.IsTooRoomy:
                    _heap.Free((void*)holding.Address, (nuint)holding.Size);
                    break;
                default:
                    _heap.Free((void*)holding.Address);
                    break;
            }
        }

        private static void AssertIntact(Holding holding, int size) => Assert.True(
            size == 0 || new Span<byte>((void*)holding.Address, size).IndexOfAnyExcept(holding.Pattern) < 0,
            $"overwritten: {holding}");

        private void Misuse(Holding holding, int kind)
        {
            if (holding.Size < 2)
            {
                return;
            }

            nint inside = holding.Address + 1 + (kind % (holding.Size - 1));
            KmemMisuse expected = holding.Source == Source.Pages ? KmemMisuse.WrongKind : KmemMisuse.InteriorPointer;
            Assert.Equal(expected, Assert.Throws<KmemMisuseException>(() => _heap.Free((void*)inside)).Misuse);
            if (holding.Source == Source.Sized)
            {
                nuint tooMuch = _heap.UsableSize((void*)holding.Address) + 1;
                Assert.Equal(KmemMisuse.WrongSize, Assert.Throws<KmemMisuseException>(() => _heap.Free((void*)holding.Address, tooMuch)).Misuse);
                Assert.NotEqual(KmemMisuse.None, Assert.Throws<KmemMisuseException>(() => _cache.Free((void*)holding.Address)).Misuse);
            }
        }

        private void AssertFigures(KmemStatistics statistics)
        {
            long live = 0;
            foreach (KmemCacheStatistics cache in statistics.Caches)
            {
                live += cache.IsInternal ? 0 : cache.LiveObjects;
            }

            // An allocation of 0 bytes holds nothing.
            long pages = 0;
            long holdings = 0;
            foreach (Holding holding in _held)
            {
                pages += holding.Source == Source.Pages ? holding.Size / 4096 : 0;
                holdings += holding.Source == Source.Pages || holding.Size == 0 ? 0 : 1;
            }

            Assert.Equal(pages, statistics.PagesInUse);
            Assert.Equal(holdings, live + statistics.LargeAllocations);
        }
    }
}
