using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using System.Threading;
using Kmem.Tool.Bench.Report;
using Kmem.Tool.Bench.Workloads;
using Kmem.Tool.Hosting;

namespace Kmem.Tool.Bench.Measuring;

/// <summary>
/// Measures one workload with one allocator in this process: rounds until the code is compiled for good, rounds that are timed,
/// and rounds in which each operation is timed. The figure of an operation is the median of the rounds, which a
/// neighbour's burst does not move; the mean stands beside it.
/// </summary>
internal static class Measurer
{
    private const double WarmUpSeconds = 0.25;
    private const double LatencySecondsMax = 0.3;
    private const int RoundsLeast = 5;

    public static Measurement Measure(MeasurementOrder order)
    {
        Workload workload = WorkloadCatalog.Select([order.Workload])[0];
        Func<WorkloadSettings, WorkloadRun> start = order.Allocator.Bind(workload);
        try
        {
            return workload.IsOnce ? MeasureOnce(order, start) : MeasureRounds(order, workload, start);
        }
        catch (Exception exception) when (exception is NotSupportedException or DamagedBlockException)
        {
            // The allocator's failing, not the tool's: its text is all that there is to say.
            throw new ToolException(exception.Message, exception);
        }
        catch (NullReferenceException exception)
        {
            // Not looked for after each allocation, which would be in the time: the first write to no memory ends here.
            throw new ToolException("the allocator handed out no memory", exception);
        }
    }

    private static Measurement MeasureOnce(MeasurementOrder order, Func<WorkloadSettings, WorkloadRun> start)
    {
        using MemoryWatch watch = new();
        WorkloadSettings settings = new() { Threads = order.Threads, Memory = watch, Trace = order.Trace };
        using WorkloadRun run = start(settings);
        long baseline = MemoryBaseline();
        watch.Begin(baseline);
        long faults = ProcessMemory.MinorFaults();
        long began = Stopwatch.GetTimestamp();
        ulong hash = run.Round();
        double seconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
        faults = ProcessMemory.MinorFaults() - faults;

        // A workload that waits for memory to be given back times its own work.
        Dictionary<string, double> figures = new(run.Figures);
        double worked = figures.TryGetValue(WorkloadFigures.WorkSeconds, out double own) ? own : seconds;
        return new Measurement
        {
            NanosecondsPerOperation = worked * 1e9 / run.Operations,
            MeanNanosecondsPerOperation = worked * 1e9 / run.Operations,
            OperationsPerSecond = run.Operations / worked,
            Operations = run.Operations,
            Hash = HashText(hash),
            RequestedPeakBytes = run.PeakBytes,
            PeakRssBytes = ProcessMemory.PeakRssBytes() - baseline,
            PageFaults = faults,
            Memory = watch.Stop(),
            Figures = figures,
        };
    }

    private static Measurement MeasureRounds(MeasurementOrder order, Workload workload, Func<WorkloadSettings, WorkloadRun> start)
    {
        long baseline = MemoryBaseline();
        using Crew crew = new(workload.Threads == WorkloadThreads.Independent ? order.Threads : 1, index => start(new WorkloadSettings { Threads = order.Threads, Index = index, Trace = order.Trace }));
        baseline = workload.StartAllocates ? baseline : MemoryBaseline();
        crew.Run(WarmUpSeconds, RoundsLeast);
        KmemCounters counters = KmemCounters.Start(order.Allocator.Family);
        long faults = ProcessMemory.MinorFaults();
        IReadOnlyList<WorkerResult> results = crew.Run(order.Seconds, RoundsLeast);
        faults = ProcessMemory.MinorFaults() - faults;
        long operations = results.Sum(static result => result.Operations);
        Dictionary<string, double> figures = new(crew.Figures.Concat(counters.PerMillion(operations)));
        long peakRss = ProcessMemory.PeakRssBytes() - baseline;
        LatencyRecorder? latency = workload.HasLatency ? crew.RunTimed(Math.Min(order.Seconds, LatencySecondsMax)) : null;

        // A team's round is one for all its threads, each of which does its part of the operations in the whole of the time.
        int teamThreads = workload.Threads == WorkloadThreads.Team ? order.Threads : 1;
        double perSecond = results.Sum(static result => 1e9 / result.MedianNanoseconds);
        return new Measurement
        {
            NanosecondsPerOperation = teamThreads * results.Count * 1e9 / perSecond,
            MeanNanosecondsPerOperation = teamThreads * results.Average(static result => result.MeanNanoseconds),
            OperationsPerSecond = perSecond,
            Operations = operations,
            Hash = HashText(results.Aggregate(0ul, static (sum, result) => sum + result.Hash)),
            Latency = latency?.ToPoints(),
            RequestedPeakBytes = crew.PeakBytes,
            PeakRssBytes = peakRss,
            PageFaults = faults,
            Figures = figures.Count == 0 ? null : figures,
        };
    }

    /// <summary>What is resident now; the peak starts again from it.</summary>
    private static long MemoryBaseline()
    {
        ProcessMemory.ResetPeak();
        return ProcessMemory.RssBytes();
    }

    private static string HashText(ulong hash) => hash.ToString("x16", CultureInfo.InvariantCulture);
}
