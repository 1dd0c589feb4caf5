using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Threading;
using Kmem.Tool.Bench.Allocators;
using Kmem.Tool.Bench.Measuring;
using Kmem.Tool.Bench.Report;
using Kmem.Tool.Bench.Workloads;

namespace Kmem.Tool.Bench;

/// <summary>What to measure: every workload, at every number of threads, with every allocator, so many times.</summary>
internal sealed record BenchSettings
{
    public required IReadOnlyList<Workload> Workloads { get; init; }

    public required IReadOnlyList<AllocatorSpec> Allocators { get; init; }

    public required IReadOnlyList<int> Threads { get; init; }

    public required int Runs { get; init; }

    /// <summary>Of measured rounds in each process.</summary>
    public required double Seconds { get; init; }

    public string? Trace { get; init; }
}

/// <summary>A case that has just ended.</summary>
/// <param name="Number">From 1.</param>
/// <param name="Total">Cases in all.</param>
/// <param name="Case">Its figures.</param>
/// <param name="Took">How long it took.</param>
/// <param name="Remaining">How long the others will take, if they are like those so far.</param>
internal readonly record struct FinishedCase(int Number, int Total, BenchCase Case, TimeSpan Took, TimeSpan Remaining);

/// <summary>
/// Goes through all cases. Allocators take turns (A B C A B C …), each in a fresh process: none finds a machine warmer or busier
/// than another does, or a heap as another left it.
/// </summary>
internal sealed class BenchSession
{
    private readonly BenchSettings _settings;
    private readonly List<(Workload Workload, int Threads)> _cases = [];
    private long _started;
    private long _lastEnded;
    private int _done;

    public BenchSession(BenchSettings settings)
    {
        _settings = settings;
        foreach (Workload workload in settings.Workloads)
        {
            foreach (int threads in ThreadsFor(workload))
            {
                _cases.Add((workload, threads));
            }
        }
    }

    /// <summary>Processes in all.</summary>
    public int Total => _cases.Count * _settings.Allocators.Count * _settings.Runs;

    /// <summary>Processes that have ended.</summary>
    public int Done => Volatile.Read(ref _done);

    /// <summary>How long the processes that are left will take, if they are like those so far; zero while nobody knows.</summary>
    public TimeSpan Remaining
    {
        get
        {
            int done = Done;
            if (done == 0)
            {
                return TimeSpan.Zero;
            }

            // The time of the process under way is counted down, not taken for a sign that all are slower.
            long lastEnded = Volatile.Read(ref _lastEnded);
            TimeSpan left = (Stopwatch.GetElapsedTime(_started, lastEnded) * ((double)(Total - done) / done)) - Stopwatch.GetElapsedTime(lastEnded);
            return left > TimeSpan.Zero ? left : TimeSpan.Zero;
        }
    }

    /// <summary>Called before each process with what it is about to measure.</summary>
    public Action<string>? Announce { get; init; }

    /// <summary>Called after each case.</summary>
    public Action<FinishedCase>? Finished { get; init; }

    public BenchReport Run()
    {
        BenchMachine machine = MachineReader.Read();
        _started = Stopwatch.GetTimestamp();
        List<BenchCase> cases = [];
        foreach ((Workload workload, int threads) in _cases)
        {
            long began = Stopwatch.GetTimestamp();
            cases.Add(RunCase(workload, threads));
            Finished?.Invoke(new FinishedCase(cases.Count, _cases.Count, cases[^1], Stopwatch.GetElapsedTime(began), Remaining));
        }

        return new BenchReport
        {
            Machine = machine,
            Allocators = [.. _settings.Allocators.Select(static each => new BenchAllocator { Name = each.Name, Description = each.Description, Family = each.Family, Path = each.Path })],
            Runs = _settings.Runs,
            Cases = cases,
        };
    }

    private IEnumerable<int> ThreadsFor(Workload workload) => workload.Threads switch
    {
        WorkloadThreads.Independent => _settings.Threads,
        WorkloadThreads.Team => _settings.Threads.Select(static threads => Math.Max(2, threads)).Distinct(),
        _ => [1],
    };

    private BenchCase RunCase(Workload workload, int threads)
    {
        List<Measurement>[] measurements = [.. _settings.Allocators.Select(static _ => new List<Measurement>())];
        string?[] failures = new string?[_settings.Allocators.Count];
        for (int run = 0; run < _settings.Runs; run++)
        {
            for (int index = 0; index < _settings.Allocators.Count; index++)
            {
                AllocatorSpec allocator = _settings.Allocators[index];
                Announce?.Invoke($"{ReportReading.LabelOf(workload.Name, threads)} · {allocator.Name}");
                if (failures[index] == null)
                {
                    MeasurementOrder order = new() { Workload = workload.Name, Allocator = allocator, Threads = threads, Seconds = _settings.Seconds, Trace = _settings.Trace };
                    (Measurement? measurement, failures[index]) = MeasurementProcess.Run(order);
                    if (measurement != null)
                    {
                        measurements[index].Add(measurement);
                    }
                }

                Volatile.Write(ref _lastEnded, Stopwatch.GetTimestamp());
                Volatile.Write(ref _done, _done + 1);
            }
        }

        return new BenchCase
        {
            Workload = workload.Name,
            Summary = workload.Summary,
            Operation = workload.Operation,
            Threads = threads,
            Outcomes = OutcomeBuilder.Build(_settings.Allocators, measurements, failures),
        };
    }
}
