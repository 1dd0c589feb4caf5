using System;
using System.Collections.Generic;
using System.Linq;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using Xunit;

namespace Kmem.Tests.Unit.Metrics;

/// <summary>The meter through OpenTelemetry, as a service exports it.</summary>
public sealed unsafe class OpenTelemetryTests
{
    [Fact]
    public void In_a_process_of_its_own()
    {
        (int exitCode, string output) = ChildTest.Run(nameof(Child_exports));
        Assert.True(exitCode == 0, output);
    }

    [Fact(Explicit = true)]
    public void Child_exports()
    {
        using KmemHeap heap = new(new KmemHeapOptions { Name = "exported", MaintenanceIntervalMilliseconds = 0 });
        KmemCache cache = new("widget", 100, new KmemCacheOptions { Heap = heap });
        for (int count = 0; count < 1000; count++)
        {
            _ = cache.Alloc();
        }

        List<Metric> metrics = [];
        using MeterProvider provider = Sdk.CreateMeterProviderBuilder().AddMeter(KmemMetrics.MeterName).AddInMemoryExporter(metrics).AddConsoleExporter().Build();
        Assert.True(provider.ForceFlush());
        Dictionary<string, long> values = [];
        foreach (Metric metric in metrics)
        {
            Assert.Equal(KmemMetrics.MeterName, metric.MeterName);
            Assert.Equal(metric.Name.EndsWith('s'), metric.MetricType == MetricType.LongSum);
            Assert.True(metric.MetricType is MetricType.LongSum or MetricType.LongSumNonMonotonic, metric.MetricType.ToString());
            foreach (ref readonly MetricPoint point in metric.GetMetricPoints())
            {
                List<object?> tags = [];
                foreach (KeyValuePair<string, object?> tag in point.Tags)
                {
                    // They come in the order of their names here.
                    tags.Insert(tag.Key == KmemMetrics.HeapTag ? 0 : tags.Count, tag.Value);
                }

                values.Add($"{metric.Name}{{{string.Join(',', tags)}}}", point.GetSumLong());
            }
        }

        ExpectedMetrics.AssertIn(values, heap.GetStatistics(), "widget");
        Assert.Equal(heap.GetStatistics().Caches.Single(static each => each.Name == "widget").LiveObjects, values["kmem.cache.object.count{exported,widget}"]);
    }
}
