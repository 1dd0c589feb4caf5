using System;
using System.Collections.Generic;
using System.Diagnostics.Metrics;
using System.Linq;
using Xunit;

namespace Kmem.Tests.Unit.Metrics;

/// <summary>What a listener in the process gets: instruments, and values by the text <c>name{value of tag,value of tag}</c>.</summary>
internal sealed class MetricReader : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly Dictionary<string, long> _values = [];

    public MetricReader(Predicate<Instrument>? wanted = null)
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == KmemMetrics.MeterName && (wanted == null || wanted(instrument)))
            {
                Instruments.Add(instrument);
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) =>
            Assert.True(_values.TryAdd(Key(instrument.Name, tags), value), $"{Key(instrument.Name, tags)} comes twice"));
        _listener.Start();
    }

    public List<Instrument> Instruments { get; } = [];

    public IReadOnlyDictionary<string, long> Collect()
    {
        _values.Clear();
        _listener.RecordObservableInstruments();
        return new Dictionary<string, long>(_values);
    }

    public void Dispose() => _listener.Dispose();

    private static string Key(string name, ReadOnlySpan<KeyValuePair<string, object?>> tags) =>
        $"{name}{{{string.Join(',', tags.ToArray().Select(static tag => tag.Value))}}}";
}

/// <summary>What the instruments must say of a heap, from its statistics.</summary>
internal static class ExpectedMetrics
{
    public static Dictionary<string, long> Of(KmemStatistics all, params string[] caches)
    {
        string heap = all.HeapName;
        KmemCacheStatistics[] ordinary = [.. all.Caches.Where(static cache => !cache.IsInternal)];
        Dictionary<string, long> expected = new()
        {
            [$"kmem.memory.committed{{{heap},requested}}"] = (long)all.RequestedBytes,
            [$"kmem.memory.committed{{{heap},size_class}}"] = (long)all.SizeClassBytes,
            [$"kmem.memory.committed{{{heap},rounding}}"] = (long)all.RoundingBytes,
            [$"kmem.memory.committed{{{heap},magazine}}"] = (long)all.MagazineBytes,
            [$"kmem.memory.committed{{{heap},depot}}"] = (long)all.DepotBytes,
            [$"kmem.memory.committed{{{heap},free_in_slab}}"] = (long)all.FreeInSlabBytes,
            [$"kmem.memory.committed{{{heap},empty_slab}}"] = (long)all.EmptySlabBytes,
            [$"kmem.memory.committed{{{heap},slab_tail}}"] = (long)all.SlabTailBytes,
            [$"kmem.memory.committed{{{heap},free_page}}"] = (long)all.FreePageBytes,
            [$"kmem.memory.committed{{{heap},metadata}}"] = (long)all.MetadataBytes,
            [$"kmem.memory.reserved{{{heap}}}"] = (long)all.ReservedBytes,
            [$"kmem.page.count{{{heap},allocated}}"] = all.Pages.AllocatedPages,
            [$"kmem.page.count{{{heap},free}}"] = all.Pages.FreePages - all.Pages.ListedPages - all.Pages.PurgedPages,
            [$"kmem.page.count{{{heap},listed}}"] = all.Pages.ListedPages,
            [$"kmem.page.count{{{heap},purged}}"] = all.Pages.PurgedPages,
            [$"kmem.slab.count{{{heap},full}}"] = ordinary.Sum(static cache => cache.FullSlabs),
            [$"kmem.slab.count{{{heap},partial}}"] = ordinary.Sum(static cache => cache.PartialSlabs),
            [$"kmem.slab.count{{{heap},free}}"] = ordinary.Sum(static cache => cache.FreeSlabs),
            [$"kmem.object.count{{{heap},live}}"] = ordinary.Sum(static cache => cache.LiveObjects),
            [$"kmem.object.count{{{heap},magazine}}"] = ordinary.Sum(static cache => cache.MagazineObjects),
            [$"kmem.object.count{{{heap},free}}"] = ordinary.Sum(static cache => cache.FreeObjects),
            [$"kmem.object.count{{{heap},damaged}}"] = ordinary.Sum(static cache => cache.DamagedObjects),
            [$"kmem.large_allocation.count{{{heap}}}"] = all.LargeAllocations,
            [$"kmem.allocation.misses{{{heap},previous}}"] = ordinary.Sum(static cache => cache.AllocFromPrevious),
            [$"kmem.allocation.misses{{{heap},depot}}"] = ordinary.Sum(static cache => cache.AllocFromDepot),
            [$"kmem.allocation.misses{{{heap},slab}}"] = ordinary.Sum(static cache => cache.AllocFromSlab),
            [$"kmem.free.misses{{{heap},previous}}"] = ordinary.Sum(static cache => cache.FreeToPrevious),
            [$"kmem.free.misses{{{heap},depot}}"] = ordinary.Sum(static cache => cache.FreeToDepot),
            [$"kmem.free.misses{{{heap},slab}}"] = ordinary.Sum(static cache => cache.FreeToSlab),
            [$"kmem.depot.waits{{{heap}}}"] = ordinary.Sum(static cache => cache.DepotWaits),
            [$"kmem.slab.creations{{{heap}}}"] = ordinary.Sum(static cache => cache.SlabsCreated),
            [$"kmem.slab.destructions{{{heap}}}"] = ordinary.Sum(static cache => cache.SlabsDestroyed),
        };
        foreach (string name in caches)
        {
            KmemCacheStatistics[] lines = [.. ordinary.Where(cache => cache.Name.Split('(')[0] == name)];
            expected[$"kmem.cache.object.count{{{heap},{name}}}"] = lines.Sum(static cache => cache.LiveObjects);
            expected[$"kmem.cache.size{{{heap},{name}}}"] = lines.Sum(static cache => cache.Slabs * 4096L << cache.Order);
            expected[$"kmem.cache.allocation.misses{{{heap},{name}}}"] = lines.Sum(static cache => cache.AllocMisses);
            expected[$"kmem.cache.slab.creations{{{heap},{name}}}"] = lines.Sum(static cache => cache.SlabsCreated);
        }

        return expected;
    }

    /// <summary>Each expected value is there, and none of the caches is that was not named.</summary>
    public static void AssertIn(IReadOnlyDictionary<string, long> values, KmemStatistics all, params string[] caches)
    {
        Dictionary<string, long> expected = Of(all, caches);
        foreach ((string key, long value) in expected)
        {
            Assert.True(values.TryGetValue(key, out long found), $"{key} is not there");
            Assert.True(value == found, $"{key} is {found}, not {value}");
        }

        Assert.All(values.Keys, key => Assert.True(!key.StartsWith($"kmem.cache.", StringComparison.Ordinal) || !key.Contains($"{{{all.HeapName},", StringComparison.Ordinal) || expected.ContainsKey(key), $"{key} is too much"));
    }
}
