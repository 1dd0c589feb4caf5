using System;
using System.Buffers;
using System.Collections.Generic;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Diagnostics.Tracing;
using System.Linq;
using System.Text;
using System.Threading;
using Kmem;
using Kmem.Diagnostics;

// What a program uses of Kmem, without a JIT and after trimming. Each line of output is one thing that works; with the argument "wait" it then waits for its input to end.
unsafe
{
    nint[] sized = new nint[100];
    for (int index = 0; index < sized.Length; index++)
    {
        sized[index] = (nint)Kmalloc.Alloc((nuint)(index * 100));
    }

    foreach (nint each in sized)
    {
        Kmalloc.Free((void*)each);
    }

    Console.WriteLine($"kmalloc: {KmemHeap.Shared.FrontEnd}");

    using KmemHeap heap = new(new KmemHeapOptions { Name = "consumer", Debug = "U,checked" });
    using KmemCache<Point> points = new("points", new KmemCacheOptions { Heap = heap });
    Point* point = points.AllocZeroed();
    (point->X, point->Y) = (1, 2);
    KmemCache cache = new("checked", 100, new KmemCacheOptions { Heap = heap });
    _ = cache.Alloc();
    KmemStatistics statistics = heap.GetStatistics();
    Console.WriteLine($"cache: {statistics.Caches.Single(static each => each.Name == "points").LiveObjects} live, {statistics.CommittedBytes > 0}");
    Console.WriteLine($"slabinfo: {SlabInfoText.Format(statistics).Split('\n')[0]}");

    using (SlabMemoryPool pool = new(new SlabMemoryPoolOptions { Name = "frames", Heap = heap, BlockBytes = 4096 }))
    using (NativeList<int> list = new(heap: heap))
    using (KmemObjectCache<StringBuilder> builders = new(new BuilderPolicy()))
    using (IMemoryOwner<byte> owner = pool.Rent())
    {
        owner.Memory.Span.Fill(1);
        list.Add(42);
        StringBuilder text = builders.Get().Append(list[0]);
        Console.WriteLine($"safe: {owner.Memory.Length} bytes, {text}");
        builders.Return(text);
        Console.WriteLine($"object cache: {(ReferenceEquals(text, builders.Get()) ? "used again" : "new")}, {text.Length} characters");
    }

    string report = "none";
    KmemReports.Reported += told => report = told.Misuse.ToString();
    try
    {
        heap.Free((byte*)point + 1);
    }
    catch (KmemMisuseException)
    {
        Console.WriteLine($"report: {report}");
    }

    Console.WriteLine($"leaks: {heap.FindLeaks().Sites.Count} site(s), the first {(heap.FindLeaks().Sites[0].Stack.Any(static frame => frame.Contains("Main", StringComparison.Ordinal)) ? "names" : "does not name")} its caller");

    using SlabMemoryPool measured = new(new SlabMemoryPoolOptions { Name = "measured", Heap = heap });
    measured.Rent(100).Dispose();
    Dictionary<string, long> values = [];
    using MeterListener listener = new();
    listener.InstrumentPublished = static (instrument, each) =>
    {
        if (instrument.Meter.Name == KmemMetrics.MeterName)
        {
            each.EnableMeasurementEvents(instrument);
        }
    };
    listener.SetMeasurementEventCallback<long>((instrument, value, _, _) => values[instrument.Name] = values.GetValueOrDefault(instrument.Name) + value);
    listener.Start();
    for (int tries = 0; tries < 1000 && values.Count == 0; tries++)
    {
        listener.RecordObservableInstruments();
        Thread.Sleep(values.Count == 0 ? 1 : 0);
    }

    Console.WriteLine(values.Count == 0 ? "meter: switched off in this build" : $"meter: {values.Count} instruments, {values[KmemMetrics.CacheObjectCount]} live");

    List<string> spans = [];
    using ActivityListener spanListener = new()
    {
        ShouldListenTo = static source => source.Name == KmemMetrics.MeterName,
        Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
        ActivityStopped = span => spans.Add(span.OperationName),
    };
    ActivitySource.AddActivityListener(spanListener);
    _ = heap.Trim();
    heap.Validate();
    Console.WriteLine($"spans: {string.Join(", ", spans)}");
    bool hasSource = SpinWait.SpinUntil(static () => EventSource.GetSources().Any(static source => source.Name == "Kmem"), TimeSpan.FromSeconds(2));
    Console.WriteLine($"event source: {(hasSource ? "there" : "switched off in this build")}");
    points.Free(point);
}

if (args is ["wait"])
{
    Console.WriteLine($"pid: {Environment.ProcessId}");
    _ = Console.In.ReadToEnd();
}

internal sealed class BuilderPolicy : IKmemObjectPolicy<StringBuilder>
{
    public StringBuilder Create() => new(256);

    public bool Return(StringBuilder item) => item.Clear().Capacity <= 4096;
}

internal struct Point
{
    public int X;
    public int Y;
}
