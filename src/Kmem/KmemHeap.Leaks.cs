using System;
using System.Threading;
using Kmem.Diagnostics;
using Kmem.Engine.Caches;
using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem;

/// <summary>Who allocated what is live.</summary>
public sealed unsafe partial class KmemHeap
{
    /// <summary>Whether there was a scope: then all caches have the letter U.</summary>
    private bool _hasScopes;

    internal KmemMisusePolicy MisusePolicy => _options.MisusePolicy;

    /// <summary>
    /// The live objects of the heap by the stacks that allocated them. These are known of caches with the letter U (<see cref="KmemHeapOptions.Debug"/>), from when it was
    /// switched on; the rest is summed up by cache.
    /// </summary>
    /// <param name="options">What is left out; null: nothing.</param>
    /// <returns>The report; its text is a table.</returns>
    /// <remarks>Any thread. Costs time in proportion to the heap: each cache's slabs are locked while its objects are looked at. Not to be called by destructors.</remarks>
    /// <exception cref="ArgumentException">The pattern of names is empty.</exception>
    /// <exception cref="ObjectDisposedException">The heap was disposed.</exception>
    public KmemLeakReport FindLeaks(KmemLeakOptions? options = null)
    {
        options ??= new KmemLeakOptions();
        ArgumentException.ThrowIfNullOrEmpty(options.CacheNames, nameof(options));
        lock (_maintenance)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return LeakSearch.Find(this, options);
        }
    }

    /// <summary>The live objects of this moment, to see later what grew: <see cref="KmemLeakSnapshot.Minus"/>.</summary>
    /// <returns>The snapshot, as data: it keeps nothing of the heap.</returns>
    /// <remarks>As for <see cref="FindLeaks"/>.</remarks>
    /// <exception cref="ObjectDisposedException">The heap was disposed.</exception>
    public KmemLeakSnapshot TakeLeakSnapshot() => new(FindLeaks());

    /// <summary>
    /// Begins a scope: what is allocated in the heap until it is disposed, by this flow and those that it starts, must be freed by then. Scopes nest.
    /// </summary>
    /// <param name="name">Name in reports.</param>
    /// <returns>The scope; disposing it checks.</returns>
    /// <remarks>
    /// The first scope of a heap switches the letter U on, beside what is on, for all caches that there are and will be. It stays on when the scope ends. A cache whose
    /// <see cref="KmemCache.Checks"/> are then set without it is not watched.
    /// </remarks>
    /// <exception cref="ArgumentException">The name is empty.</exception>
    /// <exception cref="OutOfMemoryException">There is no memory for the letter U.</exception>
    /// <exception cref="ObjectDisposedException">The heap was disposed.</exception>
    public KmemLeakScope LeakScope(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        lock (_maintenance)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (!_hasScopes)
            {
                // First: a cache that is made meanwhile sees it, or is seen here.
                Volatile.Write(ref _hasScopes, true);
                AddUsersToAll();
            }
        }

        return new KmemLeakScope(this, name);
    }

    /// <summary>Counts in the caches whose bit is set and that are still there. False: the heap is disposed.</summary>
    internal bool TryTally(LeakTally tally, ReadOnlySpan<long> caches)
    {
        lock (_maintenance)
        {
            if (_disposed)
            {
                return false;
            }

            CacheRegistry* registry = &Core->Registry;
            RankedLock.Enter(&registry->ReaperLock, LockRank.Reaper);
            try
            {
                for (int index = 1; index < Atomic.Load(&registry->Count); index++)
                {
                    Cache* cache = CacheRegistry.At(registry, index);
                    if ((caches[index / 64] & (1L << (index % 64))) != 0 && cache->State == CacheState.Live)
                    {
                        tally.AddTwinsOf(cache);
                    }
                }
            }
            finally
            {
                RankedLock.Exit(&registry->ReaperLock, LockRank.Reaper);
            }

            tally.Add(RunTracks);
            return true;
        }
    }

    /// <summary>Tells of what is live while the heap is still there.</summary>
    private void ReportLeaks()
    {
        KmemLeakReport leaks = FindLeaks();
        if (leaks.Objects + leaks.UntrackedObjects == 0)
        {
            return;
        }

        KmemReport report = new()
        {
            Misuse = KmemMisuse.Leaked,
            Operation = nameof(Dispose),
            HeapName = Name,
            CacheName = leaks.Sites.Count != 0 ? leaks.Sites[0].CacheNames[0] : leaks.Untracked[0].CacheName,
            Address = 0,
            RequestedBytes = (nuint)(leaks.RequestedBytes + leaks.UntrackedBytes),
            AllocatedBy = leaks.Sites.Count != 0 ? leaks.Sites[0].Stack : [],
            Text = $"Kmem: {MisuseReport.Explain(KmemMisuse.Leaked)}: the heap '{Name}' is disposed with live objects\n{leaks.Text}",
        };
        MisuseReport.PublishAndGoOn(report);
    }

    private void AddUsersToAll()
    {
        TellRunsIfWanted();
        CacheRegistry* registry = &Core->Registry;
        for (int index = 1; index < Atomic.Load(&registry->Count); index++)
        {
            Cache* cache = CacheRegistry.At(registry, index);
            if (CheckSwitch.MayHaveChecks(cache) && !CheckSwitch.TrySet(cache, CheckSwitch.Get(cache) | CacheChecks.Users))
            {
                _hasScopes = false;
                throw OutOfMemory("the letter U");
            }
        }
    }
}
