using System.Collections.Generic;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using HdrHistogram;
using Kmem.Tool.Bench.Report;

namespace Kmem.Tool.Bench.Measuring;

/// <summary>What stands around a single operation.</summary>
internal interface IMeter
{
    /// <summary>Before it.</summary>
    public long Start();

    /// <summary>After it.</summary>
    public void Stop(long start);
}

/// <summary>Nothing: the operations are counted and timed as a whole.</summary>
internal readonly struct NoMeter : IMeter
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public long Start() => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Stop(long start)
    {
    }
}

/// <summary>The clock. It costs some 20 ns itself, which every figure contains.</summary>
internal readonly struct Stopclock : IMeter
{
    private readonly LatencyRecorder _latency;

    public Stopclock(LatencyRecorder latency) => _latency = latency;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public long Start() => Stopwatch.GetTimestamp();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Stop(long start) => _latency.Record(Stopwatch.GetTimestamp() - start);
}

/// <summary>Times of single operations, in nanoseconds with three digits, up to ten seconds. For one thread.</summary>
internal sealed class LatencyRecorder
{
    private const long NanosecondsMax = 10_000_000_000;
    private const int Digits = 3;

    private static readonly double[] s_percentiles = [0, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 99.999, 100];
    private static readonly double s_nanosecondsPerTick = 1e9 / Stopwatch.Frequency;

    private readonly LongHistogram _histogram = new(1, NanosecondsMax, Digits);

    public void Record(long ticks)
    {
        long nanoseconds = (long)(ticks * s_nanosecondsPerTick);
        _histogram.RecordValue(nanoseconds < 1 ? 1 : nanoseconds > NanosecondsMax ? NanosecondsMax : nanoseconds);
    }

    public void Add(LatencyRecorder other) => _histogram.Add(other._histogram);

    public IReadOnlyList<LatencyPoint> ToPoints()
    {
        List<LatencyPoint> points = [];
        foreach (double percentile in s_percentiles)
        {
            points.Add(new LatencyPoint(percentile, _histogram.GetValueAtPercentile(percentile)));
        }

        return points;
    }
}
