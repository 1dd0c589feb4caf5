using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Threading;
using Kmem.Tool.Hosting;
using Kmem.Tool.Traces;

namespace Kmem.Tool.Replay;

/// <summary>What a replay did.</summary>
internal sealed class ReplayResult
{
    /// <summary>Time from the release of the threads to the end of the last.</summary>
    public required TimeSpan Elapsed { get; init; }

    /// <summary>Allocations that failed.</summary>
    public required long Failed { get; init; }

    /// <summary>Objects whose mark was damaged: found when they were freed, or at the end.</summary>
    public required long Corrupt { get; init; }

    /// <summary>Objects allocated at the end, without those that failed.</summary>
    public required long LiveObjects { get; init; }

    /// <summary>Bytes asked for by <see cref="LiveObjects"/>.</summary>
    public required long RequestedBytes { get; init; }

    /// <summary>Of <see cref="RequestedBytes"/>: by objects of size classes.</summary>
    public required long SizeClassRequestedBytes { get; init; }

    /// <summary>Pages allocated at the end.</summary>
    public required long LivePages { get; init; }

    /// <summary>The heap at the end.</summary>
    public required KmemStatistics Statistics { get; init; }

    /// <summary>Bytes committed after the heap was trimmed, with the trace's objects still live.</summary>
    public required ulong TrimmedCommittedBytes { get; init; }

    /// <summary>What was done, by cache of the trace.</summary>
    public required OperationCount[] CacheOperations { get; init; }

    /// <summary>What was done, by name of size class.</summary>
    public required IReadOnlyDictionary<string, OperationCount> SizeClassOperations { get; init; }

    /// <summary>What was done with objects of <c>kmalloc</c> beyond the size classes.</summary>
    public required OperationCount LargeOperations { get; init; }
}

/// <summary>
/// Replays a plan through a heap of its own. Timed is the loop of the threads: allocate, write the marks at both ends of the
/// object, check them, free, and the waiting of threads for each other. Reading the file, making heap, caches and threads, and the
/// statistics are outside.
/// </summary>
internal sealed unsafe class Replayer : IDisposable
{
    private readonly TracePlan _plan;
    private readonly KmemHeap _heap;
    private readonly KmemCache[] _caches;
    private readonly ReplayTable _table;
    private readonly ReplayWorker[] _workers;

    public Replayer(TracePlan plan, ReplaySettings settings)
    {
        _plan = plan;
        try
        {
            _heap = new KmemHeap(settings.ToHeapOptions());
        }
        catch (Exception exception) when (exception is ArgumentException or PlatformNotSupportedException or OutOfMemoryException)
        {
            throw new ToolException($"no heap to replay into: {FirstLine(exception.Message)}", exception);
        }

        try
        {
            _caches = MakeCaches(plan, _heap);
            _table = new ReplayTable(plan.ObjectCount, plan.Reallocs > 0);
            _workers = new ReplayWorker[plan.Threads.Length];
            for (int thread = 0; thread < _workers.Length; thread++)
            {
                _workers[thread] = new ReplayWorker(plan.Threads[thread], _heap, _caches, _table);
            }
        }
        catch
        {
            _heap.Dispose();
            throw;
        }
    }

    /// <summary>Steps done so far, for a progress bar.</summary>
    public long Done
    {
        get
        {
            long done = 0;
            foreach (ReplayWorker worker in _workers)
            {
                done += worker.Done;
            }

            return done;
        }
    }

    /// <summary>Runs the plan once. Throws a <see cref="ToolException"/> when the heap refuses a step as a mistake, which would be the heap's.</summary>
    public ReplayResult Run()
    {
        TimeSpan elapsed = RunThreads();
        long failed = 0;
        long corrupt = 0;
        foreach (ReplayWorker worker in _workers)
        {
            if (worker.Failure is { } failure)
            {
                throw new ToolException($"the replay stopped: {failure.GetType().Name}: {FirstLine(failure.Message)}", failure);
            }

            failed += worker.Failed;
            corrupt += worker.Corrupt;
        }

        return Examine(elapsed, failed, corrupt);
    }

    public void Dispose() => _heap.Dispose();

    private static string FirstLine(string text) => text.Split('\n', 2)[0].TrimEnd();

    private static KmemCache[] MakeCaches(TracePlan plan, KmemHeap heap)
    {
        KmemCache[] caches = new KmemCache[plan.Caches.Count];
        for (int index = 0; index < caches.Length; index++)
        {
            PlannedCache planned = plan.Caches[index];
            try
            {
                KmemCacheOptions options = new() { Heap = heap, SlabRule = ReplaySettings.CacheSlabRule };
                caches[index] = new KmemCache(planned.Name, (nuint)Math.Max(1, planned.ObjectSizeBytes), options);
            }
            catch (Exception exception) when (exception is ArgumentException or OutOfMemoryException)
            {
                throw new ToolException($"cache '{planned.Name}' of {planned.ObjectSizeBytes:N0}-byte objects cannot be made: {FirstLine(exception.Message)}", exception);
            }
        }

        return caches;
    }

    private TimeSpan RunThreads()
    {
        int waiting = _workers.Length;
        bool go = false;
        long end = 0;
        Thread[] threads = new Thread[_workers.Length];
        for (int index = 0; index < threads.Length; index++)
        {
            ReplayWorker worker = _workers[index];
            threads[index] = new Thread(() =>
            {
                Interlocked.Decrement(ref waiting);
                SpinWait wait = default;
                while (!Volatile.Read(ref go))
                {
                    wait.SpinOnce(sleep1Threshold: -1);
                }

                worker.Run();
                long now = Stopwatch.GetTimestamp();
                for (long known = Volatile.Read(ref end); now > known;)
                {
                    long seen = Interlocked.CompareExchange(ref end, now, known);
                    if (seen == known)
                    {
                        break;
                    }

                    known = seen;
                }
            })
            {
                IsBackground = true,
                Name = $"replay {index}",
            };
            threads[index].Start();
        }

        SpinWait ready = default;
        while (Volatile.Read(ref waiting) > 0)
        {
            ready.SpinOnce(sleep1Threshold: -1);
        }

        long start = Stopwatch.GetTimestamp();
        Volatile.Write(ref go, true);
        foreach (Thread thread in threads)
        {
            thread.Join();
        }

        return Stopwatch.GetElapsedTime(start, end);
    }

    /// <summary>Looks at every object that is left, and takes the heap's own figures.</summary>
    private ReplayResult Examine(TimeSpan elapsed, long failed, long corrupt)
    {
        KmemStatistics statistics = _heap.GetStatistics();
        OperationCounter counter = new(_plan, _table, _heap, statistics);
        counter.Count();
        long liveObjects = 0;
        long livePages = 0;
        long requestedBytes = 0;
        long sizeClassRequestedBytes = 0;
        foreach (LivingObject living in _plan.Living)
        {
            nint address = _table.Get(living.Object);
            if (address == ReplayTable.Failed)
            {
                continue;
            }

            corrupt += ObjectMark.IsIntact((void*)address, living.SizeBytes, living.Object) ? 0 : 1;
            if (living.IsPages)
            {
                livePages += living.SizeBytes / PageAllocator.PageSizeBytes;
                continue;
            }

            liveObjects++;
            requestedBytes += living.SizeBytes;
            if (living.Cache < 0 && counter.SizeClassOf(living) != null)
            {
                sizeClassRequestedBytes += living.SizeBytes;
            }
        }

        _heap.Trim();
        return new ReplayResult
        {
            Elapsed = elapsed,
            Failed = failed,
            Corrupt = corrupt,
            LiveObjects = liveObjects,
            RequestedBytes = requestedBytes,
            SizeClassRequestedBytes = sizeClassRequestedBytes,
            LivePages = livePages,
            Statistics = statistics,
            TrimmedCommittedBytes = _heap.GetStatistics().CommittedBytes,
            CacheOperations = counter.Caches,
            SizeClassOperations = counter.SizeClasses,
            LargeOperations = counter.Large,
        };
    }
}
