using System;
using System.Collections.Generic;
using Kmem.Diagnostics;
using Kmem.Engine.Caches;
using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem;

/// <summary>What a heap does for fault sweeps: the letter A in all caches, and back.</summary>
public sealed unsafe partial class KmemHeap
{
    /// <summary>By index: what a cache had before the sweep, and what it has in it.</summary>
    private readonly Dictionary<int, (CacheChecks Before, CacheChecks Now)> _swept = [];

    private byte[] _debugBeforeSweep = [0];
    private int _sweeps;

    /// <summary>From the return on allocations ask whether they are to fail, those of caches that are made meanwhile too. Of sweeps at the same time the first one's checks are on.</summary>
    internal void BeginSweep(KmemChecks checks)
    {
        lock (_maintenance)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_sweeps == 0)
            {
                _debugBeforeSweep = _debug;
                _debug = ParseDebug(LettersOf(checks | KmemChecks.Faults), nameof(checks));
                CacheRegistry* registry = &Core->Registry;
                for (int index = 1; index < Atomic.Load(&registry->Count); index++)
                {
                    Cache* cache = CacheRegistry.At(registry, index);
                    if (CheckSwitch.MayHaveChecks(cache) && !TrySweep(cache, (CacheChecks)(checks | KmemChecks.Faults)))
                    {
                        RestoreAfterSweep();
                        throw OutOfMemory($"the checks of the cache '{AddressDescription.NameOf(cache)}'");
                    }
                }
            }

            _sweeps++;
            _ = Atomic.Add(&Core->Registry.Sweeps, 1);
        }
    }

    /// <summary>A cache whose checks somebody set meanwhile keeps them.</summary>
    internal void EndSweep()
    {
        lock (_maintenance)
        {
            _sweeps--;
            if (!_disposed)
            {
                _ = Atomic.Add(&Core->Registry.Sweeps, -1);
                if (_sweeps == 0)
                {
                    RestoreAfterSweep();
                }
            }
        }
    }

    private bool TrySweep(Cache* cache, CacheChecks checks)
    {
        CacheChecks before = CheckSwitch.Get(cache);
        if (!CheckSwitch.TrySet(cache, before | checks))
        {
            return false;
        }

        _swept[cache->Index] = (before, before | checks);
        return true;
    }

    private void RestoreAfterSweep()
    {
        CacheRegistry* registry = &Core->Registry;
        byte[] ofSweep = _debug;
        _debug = _debugBeforeSweep;
        for (int index = 1; index < Atomic.Load(&registry->Count); index++)
        {
            Cache* cache = CacheRegistry.At(registry, index);
            if (!CheckSwitch.MayHaveChecks(cache))
            {
                continue;
            }

            fixed (byte* own = _debug)
            fixed (byte* swept = ofSweep)
            {
                (CacheChecks before, CacheChecks now) = _swept.GetValueOrDefault(index, (CheckSpec.For(own, cache->Name), CheckSpec.For(swept, cache->Name)));
                if (CheckSwitch.Get(cache) == now)
                {
                    // Fewer letters need a twin too. Without memory for it they stay on.
                    _ = CheckSwitch.TrySet(cache, before);
                }
            }
        }

        _swept.Clear();
    }

    private static string LettersOf(KmemChecks checks)
    {
        ReadOnlySpan<(KmemChecks Check, char Letter)> all =
        [
            (KmemChecks.Consistency, 'F'), (KmemChecks.RedZones, 'Z'), (KmemChecks.Poison, 'P'), (KmemChecks.Users, 'U'), (KmemChecks.Trace, 'T'), (KmemChecks.Faults, 'A'),
        ];
        string letters = "";
        foreach ((KmemChecks check, char letter) in all)
        {
            letters += (checks & check) != 0 ? letter : "";
        }

        return letters;
    }
}
