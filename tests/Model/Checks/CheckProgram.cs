using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.CompilerServices;
using Xunit;

namespace Kmem.Tests.Model.Checks;

/// <summary>
/// A random program on a heap with checks, the same for the same seed. It makes no mistake, except for one where it is told to; every report of the heap is kept. Each object is filled to the last byte that was asked for,
/// and looked at before it is freed.
/// </summary>
internal sealed unsafe partial class CheckProgram : IDisposable
{
    private const int HeldMost = 400;
    private const nuint LargestPlain = 6000;

    private static readonly string[] s_letters = ["FZPU", "", "Z", "P", "U", "ZP", "FU", "PU", "F", "G", "FZPUG"];

    private readonly Random _random;
    private readonly KmemHeap _heap;
    private readonly List<KmemCache> _caches = [];
    private readonly List<Held> _held = [];
    private readonly List<KmemReport> _reports = [];
    private readonly bool _switches;

    /// <summary>What a caller holds. Cache −1: from the heap.</summary>
    private readonly record struct Held(nint Address, int Bytes, int Cache, int Id);

    public CheckProgram(int seed, string letters, KmemMisusePolicy policy = KmemMisusePolicy.Throw, bool switches = false, string? name = null)
    {
        _random = new Random(seed);
        _switches = switches;
        _heap = new KmemHeap(new KmemHeapOptions
        {
            Name = name ?? $"fuzz-{seed}",
            Debug = letters,
            MisusePolicy = policy,
            MaintenanceIntervalMilliseconds = 0,
            GuardedObjects = 32,
            FrontEnd = seed % 2 == 0 ? KmemFrontEnd.Auto : KmemFrontEnd.TryLock,
        });
        MakeCache("small", 24, new KmemCacheOptions());
        MakeCache("odd", 100, new KmemCacheOptions { AlignmentBytes = 64 });
        MakeCache("big", 3000, new KmemCacheOptions());
        MakeCache("built", 72, new KmemCacheOptions { Constructor = &Build, Destructor = &End });
        KmemReports.Reported += Keep;
    }

    public IReadOnlyList<KmemReport> Reports => _reports;

    public int Live => _held.Count;

    public KmemHeap Heap => _heap;

    /// <summary>So many operations.</summary>
    public void Run(int operations)
    {
        for (int count = 0; count < operations; count++)
        {
            Step();
        }
    }

    /// <summary>Frees everything, and lets every structure be looked at.</summary>
    public void Finish()
    {
        while (_held.Count != 0)
        {
            Drop(_held.Count - 1);
        }

        _ = Told(_heap.Validate);
        _ = Told(() => _heap.Trim());
        _ = Told(_heap.Validate);
        Assert.Equal(0, _heap.GetStatistics().Caches.Where(static cache => !cache.IsInternal).Sum(static cache => cache.LiveObjects));
    }

    public void Dispose()
    {
        foreach (KmemCache cache in _caches)
        {
            _ = Told(cache.Dispose);
        }

        _heap.Dispose();
        KmemReports.Reported -= Keep;
    }

    // ------------------------------------------------------------------ operations

    private void Step()
    {
        int dice = _random.Next(1000);
        if (dice < 480 && _held.Count < HeldMost)
        {
            Take();
        }
        else if (dice < 900 && _held.Count != 0)
        {
            Drop(_random.Next(_held.Count));
        }
        else if (dice < 970 && _held.Count != 0)
        {
            Resize(_random.Next(_held.Count));
        }
        else if (dice < 990)
        {
            TakeAndDropMany();
        }
        else
        {
            Tidy(dice);
        }
    }

    private void Tidy(int dice)
    {
        if (dice == 999 && _random.Next(4) == 0)
        {
            _ = Told(_heap.Validate);
        }
        else if (dice == 998 && _random.Next(4) == 0)
        {
            _ = Told(() => _heap.Trim());
        }
        else if (dice == 997)
        {
            _ = Told(_heap.Maintain);
        }
        else if (dice == 996)
        {
            KmemCache cache = _caches[_random.Next(_caches.Count)];
            _ = Told(() => cache.Shrink());
        }
        else if (_switches && dice >= 994)
        {
            string letters = s_letters[_random.Next(s_letters.Length)];
            string names = _random.Next(3) switch
            {
                0 => ",kmalloc-*",
                1 => "," + _caches[_random.Next(_caches.Count)].Name,
                _ => "",
            };
            _heap.SetChecks(letters.Length == 0 && names.Length != 0 ? "-" + names : letters + names);
        }
    }

    private void Take()
    {
        int cache = _random.Next(6) - 2;
        int bytes = cache >= 0 ? (int)_caches[cache].ObjectSizeBytes : Size();
        int alignment = cache == -2 && _random.Next(4) == 0 ? 16 << _random.Next(6) : 0;
        bool isZeroed = cache == -1 && _random.Next(8) == 0;
        nint address = 0;
        if (!Told(() => address = AllocateFuzzed(cache, (nuint)bytes, (nuint)alignment, isZeroed)))
        {
            return;
        }

        Assert.False(isZeroed && new Span<byte>((void*)address, bytes).ContainsAnyExcept((byte)0), "memory that should be zero is not");
        Assert.True(cache != BuiltCache || IsBuilt(address), "an object comes without its construction");
        Hold(address, bytes, Math.Max(cache, -1));
    }

    private void Drop(int index)
    {
        Held held = _held[index];
        Check(held);
        Forget(index);
        _ = Told(() => FreeFuzzed(held.Cache, held.Address));
    }

    private void Resize(int index)
    {
        Held held = _held[index];
        if (held.Cache >= 0)
        {
            return;
        }

        Check(held);
        int bytes = _random.Next(2) == 0 ? Math.Max(1, held.Bytes - _random.Next(held.Bytes)) : Size();
        nint moved = 0;
        KmemMisuseException? told = null;
        try
        {
            moved = ReallocateFuzzed(held.Address, (nuint)bytes);
        }
        catch (KmemMisuseException exception) when (IsMistaken)
        {
            told = exception;
        }

        // Damage of the object itself ends it; that of another only ends the call.
        if (told == null || told.Address == (nuint)held.Address)
        {
            Forget(index);
        }

        if (told == null)
        {
            Pattern.Check((void*)moved, (nuint)Math.Min(bytes, held.Bytes), held.Id);
            Hold(moved, bytes, -1);
        }
    }

    private void TakeAndDropMany()
    {
        int which = _random.Next(_caches.Count);
        KmemCache cache = _caches[which];
        nint[] objects = new nint[_random.Next(1, 40)];
        bool isAll = false;
        if (Told(() => isAll = cache.AllocBulk(objects)) && isAll)
        {
            foreach (nint each in objects)
            {
                Fill(new Held(each, (int)cache.ObjectSizeBytes, which, 1));
            }

            foreach (nint each in objects)
            {
                Check(new Held(each, (int)cache.ObjectSizeBytes, which, 1));
            }

            _ = Told(() => cache.FreeBulk(objects));
        }
    }

    /// <summary>False: the call threw what it found, and is not done.</summary>
    private bool Told(Action call)
    {
        try
        {
            call();
            return true;
        }
        catch (KmemMisuseException) when (IsMistaken)
        {
            return false;
        }
    }

    private int Size() => _random.Next(10) switch
    {
        < 5 => _random.Next(1, 130),
        < 9 => _random.Next(1, (int)LargestPlain),
        _ => _random.Next(1, 40_000),
    };

    [MethodImpl(MethodImplOptions.NoInlining)]
    private nint AllocateFuzzed(int cache, nuint bytes, nuint alignment, bool isZeroed) => (nint)(cache >= 0 ? _caches[cache].Alloc()
        : alignment != 0 ? _heap.AllocAligned(bytes, alignment)
        : isZeroed ? _heap.AllocZeroed(bytes)
        : _heap.Alloc(bytes));

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void FreeFuzzed(int cache, nint address)
    {
        if (cache >= 0)
        {
            _caches[cache].Free((void*)address);
        }
        else
        {
            _heap.Free((void*)address);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private nint ReallocateFuzzed(nint address, nuint bytes) => (nint)_heap.Realloc((void*)address, bytes);

    // ------------------------------------------------------------------ what is held

    private const int BuiltCache = 3;
    private const long BuiltMark = 0x1122334455667788;

    private int _nextId;

    private void Hold(nint address, int bytes, int cache)
    {
        Held held = new(address, bytes, cache, ++_nextId);
        Fill(held);
        _held.Add(held);
    }

    private void Forget(int index)
    {
        _held[index] = _held[^1];
        _held.RemoveAt(_held.Count - 1);
    }

    /// <summary>The first bytes of a constructed object stay as they are.</summary>
    private static void Fill(Held held)
    {
        int kept = held.Cache == BuiltCache ? 8 : 0;
        Pattern.Fill((void*)(held.Address + kept), (nuint)(held.Bytes - kept), held.Id);
    }

    private static void Check(Held held)
    {
        int kept = held.Cache == BuiltCache ? 8 : 0;
        Assert.True(kept == 0 || IsBuilt(held.Address), "a constructed object lost its mark");
        Pattern.Check((void*)(held.Address + kept), (nuint)(held.Bytes - kept), held.Id);
    }

    private static bool IsBuilt(nint address) => *(long*)address == BuiltMark;

    private static bool Build(void* each, void* context)
    {
        *(long*)each = BuiltMark;
        return true;
    }

    private static void End(void* each, void* context) => Assert.True(IsBuilt((nint)each), "destroyed without having been built");

    private void MakeCache(string name, nuint bytes, KmemCacheOptions options)
    {
        options.Heap = _heap;
        _caches.Add(new KmemCache(name, bytes, options));
    }

    private void Keep(KmemReport report)
    {
        if (report.HeapName == _heap.Name)
        {
            lock (_reports)
            {
                _reports.Add(report);
            }
        }
    }
}
