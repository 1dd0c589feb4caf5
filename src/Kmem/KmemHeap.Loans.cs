using System.Collections.Generic;
using System.Threading;
using Kmem.Engine.Caches;
using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem;

/// <summary>Checks that are on for a while, beside those that the program wants.</summary>
public sealed unsafe partial class KmemHeap
{
    private const CacheChecks Lendable = CheckSpec.All;

    /// <summary>As <see cref="_debug"/>; empty for none.</summary>
    private byte[] _lent = [0];

    /// <summary>By index: what a cache had before, and what it has now; the same where it got nothing. Caches that are not here were made since.</summary>
    private readonly Dictionary<int, (CacheChecks Before, CacheChecks Now)> _borrowers = [];

    /// <summary>Switches letters on until <see cref="TakeBack"/>, also in caches that are made meanwhile; returns how many caches got any. Where memory is out, a cache gets none.</summary>
    internal int Lend(byte[] spec)
    {
        lock (_maintenance)
        {
            if (_disposed)
            {
                return 0;
            }

            int caches = 0;
            Volatile.Write(ref _lent, spec);
            TellRunsIfWanted();
            CacheRegistry* registry = &Core->Registry;
            for (int index = 1; index < Atomic.Load(&registry->Count); index++)
            {
                Cache* cache = CacheRegistry.At(registry, index);
                if (CheckSwitch.MayHaveChecks(cache))
                {
                    CacheChecks before = CheckSwitch.Get(cache);
                    CacheChecks now = before | LentTo(cache);
                    bool borrows = now != before && CheckSwitch.TrySet(cache, now);
                    _borrowers[index] = (before, borrows ? now : before);
                    caches += borrows ? 1 : 0;
                }
            }

            return caches;
        }
    }

    /// <summary>A cache whose checks somebody set meanwhile keeps them.</summary>
    internal void TakeBack()
    {
        lock (_maintenance)
        {
            if (_disposed)
            {
                return;
            }

            CacheRegistry* registry = &Core->Registry;
            for (int index = 1; index < Atomic.Load(&registry->Count); index++)
            {
                Cache* cache = CacheRegistry.At(registry, index);
                if (!CheckSwitch.MayHaveChecks(cache))
                {
                    continue;
                }

                CacheChecks own = OwnChecks(cache);
                (CacheChecks Before, CacheChecks Now) borrowed = _borrowers.GetValueOrDefault(index, (own, own | LentTo(cache)));
                CacheChecks scoped = Volatile.Read(ref _hasScopes) ? CacheChecks.Users : CacheChecks.None;
                if (borrowed.Before != borrowed.Now && CheckSwitch.Get(cache) == (borrowed.Now | scoped))
                {
                    // Fewer letters need a twin too. Without memory for it they stay on.
                    _ = CheckSwitch.TrySet(cache, borrowed.Before | scoped);
                }
            }

            Volatile.Write(ref _lent, [0]);
            TellRunsIfWanted();
            _borrowers.Clear();
        }
    }

    private CacheChecks LentTo(Cache* cache)
    {
        fixed (byte* spec = Volatile.Read(ref _lent))
        {
            return CheckSpec.For(spec, cache->Name) & Lendable;
        }
    }

    /// <summary>What the heap's letters say for a cache, without what is lent.</summary>
    private CacheChecks OwnChecks(Cache* cache)
    {
        fixed (byte* spec = _debug)
        {
            return CheckSpec.For(spec, cache->Name) | (Volatile.Read(ref _hasScopes) ? CacheChecks.Users : CacheChecks.None);
        }
    }
}
