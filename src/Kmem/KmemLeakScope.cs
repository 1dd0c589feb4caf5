using System;
using System.Collections.Generic;
using System.Globalization;
using System.Threading;
using Kmem.Diagnostics;
using Kmem.Engine.Caches;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Sized;
using Kmem.Engine.Slabs;

namespace Kmem;

/// <summary>A part of the program that must free what it allocates: made by <see cref="KmemHeap.LeakScope"/>, checked when it is disposed.</summary>
/// <remarks>
/// <para>The scope flows as <see cref="AsyncLocal{T}"/> does: through <c>await</c> and into tasks and threads that are started in it. What is allocated there in the scope's
/// heap belongs to the innermost scope of that heap. Who frees it, and where, does not matter.</para>
/// <para>Objects of caches and size classes belong to scopes; allocations with pages of their own and blocks of <see cref="PageAllocator"/> do not.</para>
/// <para>The end of a scope walks the caches that it allocated from, all of their objects: this is for tests and for looking, not for every request in production.</para>
/// </remarks>
public sealed unsafe class KmemLeakScope : IDisposable
{
    private const int BitsOfWord = 64;

    private static readonly AsyncLocal<KmemLeakScope?> s_current = new();
    private static long s_lastNumber;

    /// <summary>Whether there ever was a scope: without one, allocations look at nothing else.</summary>
    private static bool s_any;

    private readonly KmemLeakScope? _outer;
    private readonly nuint _number;

    /// <summary>Caches that were allocated from, a bit for each index.</summary>
    private readonly long[] _caches = new long[CacheRegistry.CachesMax / BitsOfWord];

    private int _disposed;

    internal KmemLeakScope(KmemHeap heap, string name)
    {
        Heap = heap;
        Name = name;
        _number = (nuint)Interlocked.Increment(ref s_lastNumber);
        _outer = s_current.Value;
        Volatile.Write(ref s_any, true);
        s_current.Value = this;
    }

    /// <summary>Name of the scope in reports.</summary>
    public string Name { get; }

    /// <summary>The heap whose objects belong to it.</summary>
    public KmemHeap Heap { get; }

    /// <summary>Takes an object out of the scope on purpose: it may live on. It belongs to the scope around this one, of the same heap, if there is one.</summary>
    /// <param name="pointer">A live object of the heap. Null is allowed and does nothing.</param>
    /// <returns>Whether it was of this scope.</returns>
    /// <exception cref="KmemMisuseException">The pointer is no live allocation of the heap.</exception>
    /// <exception cref="ObjectDisposedException">The heap was disposed.</exception>
    /// <safety>Nobody frees the object meanwhile.</safety>
    public bool Keep(void* pointer)
    {
        ObjectDisposedException.ThrowIf(Heap.IsDisposed, Heap);
        if (pointer == null || SizedHeap.IsZeroSizePointer(pointer))
        {
            return false;
        }

        _ = SizedHeap.UsableSize(Heap.Core, pointer, out Misuse misuse);
        Heap.ThrowIfMisuse(misuse, pointer, nameof(Keep));
        Page* page = Zone.PageOf(&Heap.Core->Zone, pointer);
        Cache* cache = page->CacheIndex == 0 ? null : CacheRegistry.At(&Heap.Core->Registry, page->CacheIndex);
        if (cache == null)
        {
            return Heap.RunTracks.TryMove((nuint)pointer, _number, Innermost(_outer, &Heap.Core->Registry)?._number ?? 0);
        }

        if (!LeakTally.HasUsers(cache))
        {
            return false;
        }

        if (!Cache.IsLive(cache, (nuint)pointer))
        {
            Heap.ThrowIfMisuse(Misuse.AlreadyFree, pointer, nameof(Keep));
        }

        KmemLeakScope? next = Innermost(_outer, cache->Registry);
        next?.NoteCache(cache->UserIndex);
        ObjectTrack* track = Cache.TrackOf(cache, (nuint)pointer);
        return Atomic.CompareExchange((ulong*)&track->NextOrScope, _number, next?._number ?? 0);
    }

    /// <summary>
    /// Ends the scope. Objects of it that are live are one <see cref="KmemMisuse.Leaked"/> report, by site. Then, as the heap's policy says, the call throws, ends
    /// the process, or goes on. An exception that passes through the scope is lost when this one is thrown.
    /// </summary>
    /// <exception cref="KmemMisuseException">Objects of the scope are live, and the heap's policy is <see cref="KmemMisusePolicy.Throw"/>.</exception>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        if (s_current.Value == this)
        {
            s_current.Value = _outer;
        }

        LeakTally tally = new() { Scope = _number };
        if (Heap.TryTally(tally, _caches) && tally.Objects != 0)
        {
            Report(tally);
        }
    }

    /// <summary>The number of the scope that an allocation of a cache belongs to; 0 for none. Called for each object with the letter U.</summary>
    internal static nuint NumberFor(Cache* cache) => Volatile.Read(ref s_any) ? FindNumber(cache) : 0;

    private static nuint FindNumber(Cache* cache)
    {
        KmemLeakScope? scope = Innermost(s_current.Value, cache->Registry);
        if (scope == null)
        {
            return 0;
        }

        scope.NoteCache(cache->UserIndex);
        return scope._number;
    }

    /// <summary>The same for a large allocation.</summary>
    internal static nuint NumberFor(CacheRegistry* registry) => Volatile.Read(ref s_any) ? Innermost(s_current.Value, registry)?._number ?? 0 : 0;

    /// <summary>Scopes that ended while a flow was in them are passed over, and so are those of other heaps.</summary>
    private static KmemLeakScope? Innermost(KmemLeakScope? scope, CacheRegistry* registry)
    {
        while (scope != null && (Volatile.Read(ref scope._disposed) != 0 || scope.Heap.IsDisposed || &scope.Heap.Core->Registry != registry))
        {
            scope = scope._outer;
        }

        return scope;
    }

    private void NoteCache(int index)
    {
        ref long word = ref _caches[index / BitsOfWord];
        long bit = 1L << (index % BitsOfWord);
        if ((Volatile.Read(ref word) & bit) == 0)
        {
            _ = Interlocked.Or(ref word, bit);
        }
    }

    private void Report(LeakTally tally)
    {
        IReadOnlyList<KmemLeakSite> sites = tally.TakeSites(1);
        KmemMisusePolicy policy = Heap.MisusePolicy;
        string done = policy switch
        {
            KmemMisusePolicy.Throw => "the end of the scope throws",
            KmemMisusePolicy.FailFast => "the process ends",
            _ => "the objects live on",
        };
        string text = string.Create(
            CultureInfo.InvariantCulture,
            $"Kmem: {MisuseReport.Explain(KmemMisuse.Leaked)}: {tally.Objects} live object(s) of {tally.Bytes} bytes at the end of the scope '{Name}' of the heap '{Heap.Name}'\n{LeakText.Rows(sites)}\n  done      {done}");
        KmemReport report = new()
        {
            Misuse = KmemMisuse.Leaked,
            Operation = nameof(Dispose),
            HeapName = Heap.Name,
            CacheName = sites[0].CacheNames[0],
            Address = tally.First,
            RequestedBytes = (nuint)tally.Bytes,
            AllocatedBy = sites[0].Stack,
            FoundBy = StackDepot.Now().Frames,
            Text = text,
        };
        MisuseReport.PublishAndAct(policy, report);
    }
}
