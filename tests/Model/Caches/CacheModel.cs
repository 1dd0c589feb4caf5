using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using Xunit;

namespace Kmem.Tests.Model.Caches;

internal readonly record struct CacheSettings(
    int ObjectSizeBytes,
    int AlignmentShift,
    KmemCacheFlags Flags,
    int MagazineCapacity,
    bool Constructs,
    KmemSlabRule Rule,
    KmemFrontEnd FrontEnd);

/// <summary>One operation: what it is, and two numbers that it reads as it likes.</summary>
internal readonly record struct CacheOperation(CacheOperationKind Kind, int A, int B);

internal enum CacheOperationKind
{
    Alloc,
    Free,
    AllocBulk,
    FreeBulk,
    AllocRefused,
    AllocBulkRefused,
    FreeBulkOfOneWrong,
    DisposeTooEarly,
    Shrink,
    Maintain,
}

/// <summary>A cache beside the set of objects that are out. Callers write to objects and, where these are constructed, put them back in constructed state.</summary>
internal sealed unsafe class CacheModel : IDisposable
{
    private const byte Constructed = 0xC5;
    private const byte Destroyed = 0xDE;

    private readonly CacheSettings _settings;
    private readonly KmemHeap _heap;
    private readonly KmemCache _cache;
    private readonly Tally* _tally = (Tally*)NativeMemory.AllocZeroed((nuint)sizeof(Tally));
    private readonly SortedDictionary<nint, int> _out = [];
    private readonly List<nint> _order = [];
    private int _lastId;

    public CacheModel(CacheSettings settings)
    {
        _settings = settings;
        _tally->ObjectSizeBytes = settings.ObjectSizeBytes;
        _tally->RefusesAfter = -1;
        _heap = new KmemHeap(new KmemHeapOptions
        {
            Name = "model",
            FrontEnd = settings.FrontEnd,
            ReserveBytes = 64 << 20,
            PurgeDelayMilliseconds = 0,
            MaintenanceIntervalMilliseconds = 0,
        });
        _cache = new KmemCache("model", (nuint)settings.ObjectSizeBytes, new KmemCacheOptions
        {
            Heap = _heap,
            AlignmentBytes = Alignment,
            Flags = Flags,
            SlabRule = settings.Rule,
            MagazineCapacity = settings.MagazineCapacity,
            Constructor = settings.Constructs ? &Construct : null,
            Destructor = settings.Constructs ? &Destroy : null,
            Context = _tally,
        });
    }

    private nuint Alignment => _settings.AlignmentShift == 0 ? 0 : (nuint)1 << _settings.AlignmentShift;

    /// <summary>Constructed objects cannot be cleared too.</summary>
    private KmemCacheFlags Flags => _settings.Constructs ? _settings.Flags & ~KmemCacheFlags.ZeroOnAlloc : _settings.Flags;

    public void Apply(CacheOperation operation)
    {
        switch (operation.Kind)
        {
            case CacheOperationKind.Alloc:
                Own((nint)_cache.Alloc());
                break;
            case CacheOperationKind.AllocBulk:
                nint[] objects = new nint[operation.A % 300];
                Assert.True(_cache.AllocBulk(objects));
                Array.ForEach(objects, Own);
                break;
            case CacheOperationKind.Free:
                if (_order.Count != 0)
                {
                    _cache.Free((void*)GiveUp(operation.A));
                }

                break;
            case CacheOperationKind.FreeBulk:
                FreeBulk(operation.A % 300, operation.B);
                break;
            case CacheOperationKind.AllocRefused:
                AllocRefused();
                break;
            case CacheOperationKind.AllocBulkRefused:
                AllocBulkRefused(1 + (operation.A % 300), operation.B % 50);
                break;
            case CacheOperationKind.FreeBulkOfOneWrong:
                FreeBulkOfOneWrong(operation.A);
                break;
            case CacheOperationKind.DisposeTooEarly:
                DisposeTooEarly();
                break;
            case CacheOperationKind.Shrink:
                _ = _cache.Shrink();
                KmemCacheStatistics shrunk = _cache.GetStatistics();
                Assert.Equal((0, 0, 0), (shrunk.MagazineObjects, shrunk.DepotObjects, shrunk.FreeSlabs));
                break;
            default:
                _heap.Maintain();
                break;
        }

        Check();
    }

    /// <summary>The cache ends when its objects are back: each was destroyed as often as constructed, and the heap holds only its own tables.</summary>
    public void Finish()
    {
        if (_order.Count != 0)
        {
            DisposeTooEarly();
        }

        FreeBulk(_order.Count / 2, 0);
        while (_order.Count != 0)
        {
            _cache.Free((void*)GiveUp(_order.Count / 2));
        }

        Check();
        _cache.Dispose();
        Assert.Equal(_tally->Constructs, _tally->Destructs);
        Assert.Equal(0, _tally->Mistakes);
        _ = Assert.Throws<ObjectDisposedException>(() => _ = _cache.Alloc() == null);
        _heap.Validate();
        _ = _heap.Trim();
        KmemStatistics statistics = _heap.GetStatistics();
        Assert.Equal(statistics.MetadataBytes, statistics.CommittedBytes);
        Assert.Equal(0, statistics.Pages.AllocatedPages);
    }

    public void Dispose()
    {
        _heap.Dispose();
        NativeMemory.Free(_tally);
    }

    private static bool Construct(void* round, void* context)
    {
        Tally* tally = (Tally*)context;
        if (tally->RefusesAfter >= 0 && tally->RefusesAfter-- == 0)
        {
            tally->RefusesAfter = 0;
            tally->Refusals++;
            return false;
        }

        tally->Constructs++;
        new Span<byte>(round, tally->ObjectSizeBytes).Fill(Constructed);
        return true;
    }

    private static void Destroy(void* round, void* context)
    {
        Tally* tally = (Tally*)context;
        Span<byte> bytes = new(round, tally->ObjectSizeBytes);
        tally->Mistakes += bytes.IndexOfAnyExcept(Constructed) >= 0 ? 1 : 0;
        tally->Destructs++;
        bytes.Fill(Destroyed);
    }

    private void Check()
    {
        _cache.Validate();
        KmemCacheStatistics statistics = _cache.GetStatistics();
        Assert.Equal(_order.Count, statistics.LiveObjects);
        Assert.Equal(statistics.TotalObjects, statistics.LiveObjects + statistics.MagazineObjects + statistics.DepotObjects + statistics.FreeObjects);
        Assert.Equal(statistics.Slabs, statistics.FullSlabs + statistics.PartialSlabs + statistics.FreeSlabs);
        Assert.Equal(0, _tally->Mistakes);
        if (_settings.Constructs)
        {
            // What is out of the slabs is constructed, and nothing else is.
            Assert.Equal(statistics.TotalObjects - statistics.FreeObjects, _tally->Constructs - _tally->Destructs);
        }

        if ((Flags & KmemCacheFlags.NoMagazines) != 0)
        {
            Assert.Equal(0, statistics.MagazineObjects + statistics.DepotObjects);
        }
    }

    /// <summary>A fresh object: aligned, over no other, and in the state that was promised. Then the caller writes to it.</summary>
    private void Own(nint start)
    {
        Assert.NotEqual(0, start);
        Assert.Equal(0u, (nuint)start % (Alignment == 0 ? 8 : Alignment));
        Span<byte> bytes = new((void*)start, _settings.ObjectSizeBytes);
        if (_settings.Constructs)
        {
            Assert.Equal(-1, bytes.IndexOfAnyExcept(Constructed));
        }
        else if ((Flags & KmemCacheFlags.ZeroOnAlloc) != 0)
        {
            Assert.Equal(-1, bytes.IndexOfAnyExcept((byte)0));
        }

        // Objects of one size: two overlap when they are the same, or when a pattern is damaged.
        Assert.True(_out.TryAdd(start, ++_lastId), "An object was handed out twice.");
        _order.Add(start);
        Pattern.Fill((void*)start, (nuint)_settings.ObjectSizeBytes, _lastId);
    }

    /// <summary>The model's side of a free; the caller leaves the object as it was constructed.</summary>
    private nint GiveUp(int at)
    {
        int index = at % _order.Count;
        nint start = _order[index];
        _order[index] = _order[^1];
        _order.RemoveAt(_order.Count - 1);
        Assert.True(_out.Remove(start, out int id));
        Pattern.Check((void*)start, (nuint)_settings.ObjectSizeBytes, id);
        new Span<byte>((void*)start, _settings.ObjectSizeBytes).Fill(_settings.Constructs ? Constructed : (byte)0xFE);
        return start;
    }

    private void FreeBulk(int count, int at)
    {
        List<nint> objects = [];
        while (objects.Count < count && _order.Count != 0)
        {
            objects.Add(GiveUp(at + objects.Count));
        }

        _cache.FreeBulk(objects.ToArray());
    }

    /// <summary>Null only when the constructor was asked and refused.</summary>
    private void AllocRefused()
    {
        long refusals = _tally->Refusals;
        _tally->RefusesAfter = 0;
        nint start = (nint)_cache.TryAlloc();
        _tally->RefusesAfter = -1;
        Assert.Equal(start == 0, _tally->Refusals != refusals);
        if (start != 0)
        {
            Own(start);
        }
    }

    private void AllocBulkRefused(int count, int refusesAfter)
    {
        nint[] objects = new nint[count];
        long refusals = _tally->Refusals;
        _tally->RefusesAfter = refusesAfter;
        bool done = _cache.AllocBulk(objects);
        _tally->RefusesAfter = -1;
        if (done)
        {
            Array.ForEach(objects, Own);
        }
        else
        {
            Assert.NotEqual(refusals, _tally->Refusals);
            Assert.Equal(-1, objects.AsSpan().IndexOfAnyExcept(0));
        }
    }

    /// <summary>All addresses are checked before the first object is freed.</summary>
    private void FreeBulkOfOneWrong(int at)
    {
        if (_order.Count != 0)
        {
            nint some = _order[at % _order.Count];
            KmemMisuseException mistake = Assert.Throws<KmemMisuseException>(() => _cache.FreeBulk([some, some + 1]));
            Assert.Equal(KmemMisuse.InteriorPointer, mistake.Misuse);
        }
    }

    private void DisposeTooEarly()
    {
        if (_order.Count != 0)
        {
            KmemMisuseException mistake = Assert.Throws<KmemMisuseException>(_cache.Dispose);
            Assert.Equal(KmemMisuse.LiveObjects, mistake.Misuse);
        }
    }

    private struct Tally
    {
        public int ObjectSizeBytes;
        public long Constructs;
        public long Destructs;

        /// <summary>Objects that were not constructed when they were destroyed.</summary>
        public long Mistakes;

        public long Refusals;

        /// <summary>Constructions that succeed before the next is refused; negative never refuses.</summary>
        public long RefusesAfter;
    }
}
