using System;
using System.Collections.Generic;

namespace Kmem.Diagnostics;

/// <summary>
/// Which heaps, caches and memory pools have time series of their own. A process may have any number of them, and what collects metrics keeps each series: so the first ones that come get
/// their own, and those that find no place are added up as <see cref="Others"/> for as long as they live, so that a flow does not pass from one series to another.
/// </summary>
/// <remarks>
/// <code>
///   6 heaps (the others are one) × 39 series + 4 × (156 caches + 6 rests) + 5 × (12 pools + 6 rests) + 15 kinds of misuse = 987, below the 1000 of dotnet-counters
/// </code>
/// Guarded by its user's lock.
/// </remarks>
internal sealed class MetricNames
{
    public const string Others = "(other)";
    public const int HeapsMax = 5;
    public const int CachesMax = 156;
    public const int PoolsMax = 12;

    private readonly NameTable<string> _heaps = new(HeapsMax);
    private readonly NameTable<(string Heap, string Cache)> _caches = new(CachesMax);
    private readonly NameTable<(string Heap, string Pool)> _pools = new(PoolsMax);

    /// <summary>The places of those that are gone are free again. Caches and pools go by the names that their heaps got.</summary>
    public void UpdateHeaps(IEnumerable<string> heaps) => _heaps.Update(heaps);

    /// <inheritdoc cref="UpdateHeaps(IEnumerable{string})"/>
    public void UpdateCaches(IEnumerable<(string Heap, string Cache)> caches) => _caches.Update(caches);

    /// <inheritdoc cref="UpdateHeaps(IEnumerable{string})"/>
    public void UpdatePools(IEnumerable<(string Heap, string Pool)> pools) => _pools.Update(pools);

    public string Heap(string name) => _heaps.HasPlace(name) ? name : Others;

    public string Cache(string heap, string name) => _caches.HasPlace((heap, name)) ? name : Others;

    public string Pool(string heap, string name) => _pools.HasPlace((heap, name)) ? name : Others;

    private sealed class NameTable<T>(int most)
        where T : notnull
    {
        /// <summary>All that there are, and whether they have a place.</summary>
        private readonly Dictionary<T, bool> _known = [];
        private int _placed;

        public bool HasPlace(T name) => _known.GetValueOrDefault(name);

        public void Update(IEnumerable<T> names)
        {
            HashSet<T> present = [.. names];
            foreach ((T name, bool isPlaced) in _known)
            {
                if (!present.Contains(name))
                {
                    // Removing does not disturb the enumeration of a dictionary.
                    _known.Remove(name);
                    _placed -= isPlaced ? 1 : 0;
                }
            }

            foreach (T name in present)
            {
                if (!_known.ContainsKey(name))
                {
                    _known.Add(name, _placed < most);
                    _placed += _placed < most ? 1 : 0;
                }
            }
        }
    }
}
