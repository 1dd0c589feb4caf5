using System;
using System.Collections.Generic;
using System.Text;
using Kmem.Diagnostics;
using Kmem.Engine.Caches;
using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem;

/// <summary>Checks that are switched on and off while the heap is in use.</summary>
public sealed unsafe partial class KmemHeap
{
    /// <summary>Letters and names, as UTF-8 that ends with 0; empty for none.</summary>
    private byte[] _debug = [0];

    /// <summary>Policies of caches that have their own, by index.</summary>
    private readonly Dictionary<int, KmemMisusePolicy> _policies = [];

    /// <summary>What maintenance in the background found and nobody was told yet.</summary>
    private KmemMisuseException? _pendingDamage;

    /// <summary>
    /// Switches checks on, off or over in all caches with such names that there are, and in those that will be made. Objects that are live keep the layout that they were allocated with.
    /// The letter U stays on in a heap that had a <see cref="LeakScope"/>.
    /// </summary>
    /// <param name="debug">As for <see cref="KmemHeapOptions.Debug"/>; empty switches all off.</param>
    /// <exception cref="ArgumentException">A letter is unknown.</exception>
    /// <exception cref="OutOfMemoryException">A cache got no memory for its checks; others may have theirs.</exception>
    public void SetChecks(string debug)
    {
        byte[] spec = ParseDebug(debug, nameof(debug));
        lock (_maintenance)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            _debug = spec;
            TellRunsIfWanted();
            CacheRegistry* registry = &Core->Registry;
            int count = Atomic.Load(&registry->Count);
            for (int index = 1; index < count; index++)
            {
                Cache* cache = CacheRegistry.At(registry, index);
                if (CheckSwitch.MayHaveChecks(cache))
                {
                    ApplyDebug(cache);
                }
            }
        }
    }

    /// <summary>The checks of one cache by its name, size classes such as <c>kmalloc-64</c> included.</summary>
    /// <param name="cacheName">Name of the cache; of several with one name the first.</param>
    /// <returns>What is on.</returns>
    /// <exception cref="ArgumentException">There is no such cache.</exception>
    public KmemChecks GetChecks(string cacheName) => (KmemChecks)CheckSwitch.Get(CacheNamed(cacheName));

    /// <summary>Switches the checks of one cache.</summary>
    /// <param name="cacheName">As for <see cref="GetChecks"/>.</param>
    /// <param name="checks">What is on from now on.</param>
    /// <exception cref="ArgumentException">There is no such cache.</exception>
    /// <exception cref="OutOfMemoryException">There is no memory for the checks: nothing has changed.</exception>
    public void SetChecks(string cacheName, KmemChecks checks) => SetChecks(CacheNamed(cacheName), checks);

    /// <summary>What fails in a cache while <see cref="KmemChecks.Faults"/> is on. Counting starts anew.</summary>
    /// <param name="cacheName">As for <see cref="GetChecks"/>.</param>
    /// <param name="plan">The plan; null: nothing fails.</param>
    /// <exception cref="ArgumentException">There is no such cache.</exception>
    public void SetFaults(string cacheName, KmemFaultPlan? plan) => SetFaults(CacheNamed(cacheName), plan);

    internal static void SetFaults(Cache* cache, KmemFaultPlan? plan) => cache->Plan = plan == null ? default : new FaultPlan
    {
        OneIn = plan.OneIn,
        Interval = plan.Interval,
        TimesLeft = plan.Times,
        Nth = plan.Nth,
        Random = plan.Seed * 0x9E3779B97F4A7C15,
    };

    internal void SetChecks(Cache* cache, KmemChecks checks)
    {
        if ((checks & ~(KmemChecks.All | KmemChecks.Trace | KmemChecks.Faults | KmemChecks.Guard)) != 0)
        {
            throw new ArgumentOutOfRangeException(nameof(checks), checks, "There are no such checks.");
        }

        bool isSet;
        lock (_maintenance)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            isSet = CheckSwitch.TrySet(cache, (CacheChecks)checks);
        }

        if (!isSet)
        {
            throw OutOfMemory($"the checks of the cache '{AddressDescription.NameOf(cache)}'");
        }
    }

    /// <summary>Who allocated the large allocations; empty without the letter U.</summary>
    internal RunTracks RunTracks { get; } = new();

    /// <summary>The letter U for large allocations, which have no cache: by their name in tables.</summary>
    private void TellRunsIfWanted()
    {
        fixed (byte* debug = _debug, lent = System.Threading.Volatile.Read(ref _lent), name = "(large)\0"u8)
        {
            CacheChecks checks = CheckSpec.For(debug, name) | CheckSpec.For(lent, name);
            bool tells = (checks & CacheChecks.Users) != 0 || _hasScopes;
            Atomic.Store(&Core->Registry.TellsRuns, tells ? 1 : 0);
            if (!tells)
            {
                RunTracks.Clear();
            }
        }
    }

    private void SetChecksOfNewHeap()
    {
        TellRunsIfWanted();
        for (int index = CacheRegistry.FirstOrdinary; _debug.Length > 1 && index < Core->Registry.Count; index++)
        {
            Cache* cache = CacheRegistry.At(&Core->Registry, index);
            if (CheckSwitch.MayHaveChecks(cache))
            {
                ApplyDebug(cache);
            }
        }
    }

    /// <summary>What the heap's letters say for a cache. Called for every new one.</summary>
    internal void ApplyDebug(Cache* cache)
    {
        CacheChecks checks = OwnChecks(cache) | LentTo(cache);
        if (checks != CheckSwitch.Get(cache) && !CheckSwitch.TrySet(cache, checks))
        {
            throw OutOfMemory($"the checks of the cache '{AddressDescription.NameOf(cache)}'");
        }
    }

    internal KmemMisusePolicy PolicyOf(int cacheIndex)
    {
        lock (_policies)
        {
            return _policies.TryGetValue(cacheIndex, out KmemMisusePolicy own) ? own : _options.MisusePolicy;
        }
    }

    internal void SetPolicy(int cacheIndex, KmemMisusePolicy? policy)
    {
        lock (_policies)
        {
            _policies.Remove(cacheIndex);
            if (policy is KmemMisusePolicy own)
            {
                _policies.Add(cacheIndex, own);
            }
        }
    }

    /// <summary>Throws what this call, or maintenance before it, found.</summary>
    internal void ThrowIfDamage()
    {
        DamageReport.ThrowPending();
        KmemMisuseException? pending = _pendingDamage == null ? null : System.Threading.Interlocked.Exchange(ref _pendingDamage, null);
        if (pending != null)
        {
            throw pending;
        }
    }

    /// <summary>The same for a call that has something in hand, which its caller will never see.</summary>
    internal void* ThrowIfDamage(void* memory)
    {
        if (DamageReport.HasPending)
        {
            KmemMisuseException? damage = DamageReport.TakePending();
            if (memory != null)
            {
                _ = Engine.Sized.SizedHeap.Free(Core, memory);
            }

            throw damage!;
        }

        return memory;
    }

    private static byte[] ParseDebug(string? debug, string parameter)
    {
        byte[] spec = Encoding.UTF8.GetBytes((debug ?? "") + '\0');
        byte bad;
        fixed (byte* text = spec)
        {
            bad = CheckSpec.FindBad(text);
        }

        return bad == 0 ? spec
            : throw new ArgumentException($"Checks are the letters F, Z, P, U, T, A and G, or -, before names; '{(char)bad}' in '{debug}' is none of them.", parameter);
    }

    private Cache* CacheNamed(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        ObjectDisposedException.ThrowIf(_disposed, this);
        CacheRegistry* registry = &Core->Registry;
        for (int index = 1; index < Atomic.Load(&registry->Count); index++)
        {
            Cache* cache = CacheRegistry.At(registry, index);
            if (CheckSwitch.MayHaveChecks(cache) && AddressDescription.NameOf(cache) == name)
            {
                return cache;
            }
        }

        throw new ArgumentException($"The heap '{Name}' has no cache '{name}'.", nameof(name));
    }
}
