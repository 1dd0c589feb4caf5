using Kmem.Engine.Primitives;

namespace Kmem.Engine.Caches;

/// <summary>
/// The watched places of a cache that others were freed on top of: a stack of how many there are at which *level*, the rounds that lay in the depot, on the CPU's shelf and in
/// its previous magazine then. When no more than that is left there, they are next. Guarded by the depot's lock. See the theory in <c>Sampling.cs</c>.
/// </summary>
internal unsafe struct ColdPlaces
{
    private const int DepthMax = 8;

    /// <summary>All of them. Written under the lock, read by anyone.</summary>
    public uint Count;

    private int _depth;
    private fixed uint _levels[DepthMax];
    private fixed uint _counts[DepthMax];

    public static void Push(Cache* cache, uint count, long level)
    {
        ColdPlaces* cold = &cache->Cold;
        RankedLock.Enter(&cache->Depot.Lock, LockRank.Depot);

        // Those that should have been taken before are next with these.
        while (cold->_depth > 0 && cold->_levels[cold->_depth - 1] > level)
        {
            cold->_depth--;
            count += cold->_counts[cold->_depth];
            Atomic.Store(&cold->Count, cold->Count - cold->_counts[cold->_depth]);
        }

        if (cold->_depth == DepthMax)
        {
            // The upper half of the stack is not told apart any more.
            for (int each = DepthMax / 2; each < DepthMax - 1; each++)
            {
                cold->_counts[DepthMax - 1] += cold->_counts[each];
            }

            cold->_levels[DepthMax / 2] = cold->_levels[DepthMax - 1];
            cold->_counts[DepthMax / 2] = cold->_counts[DepthMax - 1];
            cold->_depth = (DepthMax / 2) + 1;
        }

        cold->_levels[cold->_depth] = (uint)level;
        cold->_counts[cold->_depth] = count;
        cold->_depth++;
        Atomic.Store(&cold->Count, cold->Count + count);
        RankedLock.Exit(&cache->Depot.Lock, LockRank.Depot);
    }

    /// <summary>Takes one, if so few rounds are left that it is next.</summary>
    public static bool TryPop(Cache* cache, long level)
    {
        RankedLock.Enter(&cache->Depot.Lock, LockRank.Depot);
        ColdPlaces* cold = &cache->Cold;
        bool isNext = cold->_depth > 0 && level <= cold->_levels[cold->_depth - 1];
        if (isNext)
        {
            Atomic.Store(&cold->Count, cold->Count - 1);
            if (--cold->_counts[cold->_depth - 1] == 0)
            {
                cold->_depth--;
            }
        }

        RankedLock.Exit(&cache->Depot.Lock, LockRank.Depot);
        return isNext;
    }

    public static void Clear(Cache* cache)
    {
        RankedLock.Enter(&cache->Depot.Lock, LockRank.Depot);
        cache->Cold = default;
        RankedLock.Exit(&cache->Depot.Lock, LockRank.Depot);
    }
}
