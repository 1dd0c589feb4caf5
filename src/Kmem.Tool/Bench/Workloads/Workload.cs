using System;
using System.Collections.Generic;
using Kmem.Tool.Bench.Allocators;
using Kmem.Tool.Bench.Measuring;

namespace Kmem.Tool.Bench.Workloads;

/// <summary>How a workload uses threads.</summary>
internal enum WorkloadThreads
{
    /// <summary>Any number, each with a run of its own that shares nothing: throughput should grow with them.</summary>
    Independent,

    /// <summary>Any number, at least two, that one run starts itself.</summary>
    Team,

    /// <summary>One, or as many as the workload itself wants.</summary>
    Fixed,
}

/// <summary>
/// What a program might do with an allocator. A workload does the same work in the same order whatever the allocator, marks every
/// object and reads the mark back; the sum of the marks is its hash.
/// </summary>
internal abstract class Workload
{
    /// <summary>As on the command line.</summary>
    public abstract string Name { get; }

    /// <summary>One sentence.</summary>
    public abstract string Summary { get; }

    /// <summary>What is counted, such as <c>pair</c>: one allocation and its free.</summary>
    public virtual string Operation => "pair";

    public virtual WorkloadThreads Threads => WorkloadThreads.Independent;

    /// <summary>Whether single operations are timed too.</summary>
    public virtual bool HasLatency => false;

    /// <summary>Whether it is run once, from a cold start, and followed by its memory.</summary>
    public virtual bool IsOnce => false;

    /// <summary>
    /// Whether objects are allocated before the first round. Where none is, the growth of memory is counted from after the start,
    /// without the tables that the workload made for itself.
    /// </summary>
    public virtual bool StartAllocates => true;

    /// <summary>Prepares a run for an allocator.</summary>
    public abstract WorkloadRun Start<TAllocator, TBlock>(WorkloadSettings settings)
        where TAllocator : struct, IAllocator<TBlock>
        where TBlock : struct, IBlock;
}

internal sealed record WorkloadSettings
{
    /// <summary>Of a team; independent runs have one each.</summary>
    public int Threads { get; init; } = 1;

    /// <summary>Which of several independent runs.</summary>
    public int Index { get; init; }

    /// <summary>Where a workload reports what it holds, for memory over time.</summary>
    public MemoryWatch? Memory { get; init; }

    /// <summary>A trace to replay; null for workloads that need none.</summary>
    public string? Trace { get; init; }
}

/// <summary>A workload under way with one allocator.</summary>
internal abstract class WorkloadRun : IDisposable
{
    /// <summary>Of one round.</summary>
    public abstract long Operations { get; }

    /// <summary>The most bytes that are requested at a time.</summary>
    public virtual long PeakBytes => 0;

    /// <summary>What else it counted.</summary>
    public virtual IEnumerable<KeyValuePair<string, double>> Figures => [];

    /// <summary>All operations of a round; returns their hash, which is the same every time.</summary>
    public abstract ulong Round();

    /// <summary>The same with each operation timed.</summary>
    public virtual ulong TimedRound(LatencyRecorder latency) => throw new NotSupportedException();

    public virtual void Dispose() => GC.SuppressFinalize(this);
}

/// <summary>
/// A run whose round is compiled twice: with a clock around each operation, and without a trace of it.
/// </summary>
internal abstract class MeteredRun : WorkloadRun
{
    public sealed override ulong Round() => Run(default(NoMeter));

    public sealed override ulong TimedRound(LatencyRecorder latency) => Run(new Stopclock(latency));

    protected abstract ulong Run<TMeter>(TMeter meter)
        where TMeter : struct, IMeter;
}
