using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Runtime.ExceptionServices;
using System.Threading;
using Kmem.Tool.Bench.Workloads;

namespace Kmem.Tool.Bench.Measuring;

/// <summary>What one thread did in its rounds.</summary>
internal readonly record struct WorkerResult(long Operations, double MedianNanoseconds, double MeanNanoseconds, ulong Hash);

/// <summary>
/// Threads that each have a run of a workload and start its rounds together. A thread keeps its run for life: what it
/// allocates in one round it frees in another.
/// </summary>
internal sealed class Crew : IDisposable
{
    private readonly Barrier _barrier;
    private readonly Worker[] _workers;

    public Crew(int count, Func<int, WorkloadRun> start)
    {
        _barrier = new Barrier(count + 1);
        _workers = [.. Enumerable.Range(0, count).Select(index => new Worker(_barrier, () => start(index)))];
        Step(new Task(TaskKind.Start, 0, 0));
    }

    public long PeakBytes => _workers.Sum(static worker => worker.WorkloadRun!.PeakBytes);

    public IEnumerable<KeyValuePair<string, double>> Figures => _workers[0].WorkloadRun!.Figures;

    /// <summary>Rounds for so long, and at least so many.</summary>
    public IReadOnlyList<WorkerResult> Run(double seconds, int roundsLeast)
    {
        Step(new Task(TaskKind.Rounds, seconds, roundsLeast));
        return [.. _workers.Select(static worker => worker.Result)];
    }

    /// <summary>Timed rounds for so long, after two that do not count.</summary>
    public LatencyRecorder RunTimed(double seconds)
    {
        Step(new Task(TaskKind.TimedRounds, seconds, 1));
        LatencyRecorder all = new();
        foreach (Worker worker in _workers)
        {
            all.Add(worker.Latency!);
        }

        return all;
    }

    public void Dispose()
    {
        Step(new Task(TaskKind.End, 0, 0));
        _barrier.Dispose();
    }

    private void Step(Task task)
    {
        foreach (Worker worker in _workers)
        {
            worker.Next = task;
        }

        _barrier.SignalAndWait();
        _barrier.SignalAndWait();
        if (_workers.Select(static worker => worker.Failure).FirstOrDefault(static failure => failure != null) is { } first)
        {
            // With its own type: what the user can mend is told from what nobody expected by it.
            ExceptionDispatchInfo.Throw(first);
        }
    }

    private enum TaskKind
    {
        Start,
        Rounds,
        TimedRounds,
        End,
    }

    private readonly record struct Task(TaskKind Kind, double Seconds, int RoundsLeast);

    private sealed class Worker
    {
        private const int TimedWarmUpRounds = 2;

        private readonly Barrier _barrier;
        private readonly Func<WorkloadRun> _start;

        public Worker(Barrier barrier, Func<WorkloadRun> start)
        {
            _barrier = barrier;
            _start = start;
            new Thread(Live) { IsBackground = true, Name = "bench" }.Start();
        }

        public Task Next { get; set; }

        public WorkloadRun? WorkloadRun { get; private set; }

        public WorkerResult Result { get; private set; }

        public LatencyRecorder? Latency { get; private set; }

        public Exception? Failure { get; private set; }

        private void Live()
        {
            bool isOver = false;
            while (!isOver)
            {
                _barrier.SignalAndWait();
                isOver = Next.Kind == TaskKind.End;
                if (Failure == null)
                {
                    try
                    {
                        Do(Next);
                    }
                    catch (Exception exception)
                    {
                        // Told to the thread that waits; here it would end the process without a word of which workload it was.
                        Failure = exception;
                    }
                }

                _barrier.SignalAndWait();
            }
        }

        private void Do(Task task)
        {
            switch (task.Kind)
            {
                case TaskKind.Start:
                    WorkloadRun = _start();
                    break;
                case TaskKind.Rounds:
                    Result = Rounds(WorkloadRun!, task.Seconds, task.RoundsLeast);
                    break;
                case TaskKind.TimedRounds:
                    Latency = TimedRounds(WorkloadRun!, task.Seconds);
                    break;
                default:
                    WorkloadRun!.Dispose();
                    break;
            }
        }

        private static WorkerResult Rounds(WorkloadRun run, double seconds, int roundsLeast)
        {
            List<double> rounds = [];
            ulong? known = null;
            long began = Stopwatch.GetTimestamp();
            long end = began + (long)(seconds * Stopwatch.Frequency);
            long now = began;
            while (now < end || rounds.Count < roundsLeast)
            {
                ulong hash = run.Round();
                if (hash != (known ??= hash))
                {
                    throw new DamagedBlockException(known.Value, hash);
                }

                long after = Stopwatch.GetTimestamp();
                rounds.Add((after - now) * 1e9 / Stopwatch.Frequency / run.Operations);
                now = after;
            }

            double mean = rounds.Average();
            rounds.Sort();
            return new WorkerResult(rounds.Count * run.Operations, rounds[rounds.Count / 2], mean, known ?? 0);
        }

        private static LatencyRecorder TimedRounds(WorkloadRun run, double seconds)
        {
            for (int round = 0; round < TimedWarmUpRounds; round++)
            {
                run.TimedRound(new LatencyRecorder());
            }

            LatencyRecorder latency = new();
            long end = Stopwatch.GetTimestamp() + (long)(seconds * Stopwatch.Frequency);
            do
            {
                run.TimedRound(latency);
            }
            while (Stopwatch.GetTimestamp() < end);
            return latency;
        }
    }
}
