using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Threading;
using Kmem.Tool.Bench.Report;

namespace Kmem.Tool.Bench.Measuring;

/// <summary>Follows the resident memory of the process from a thread of its own, beside what the workload says it holds.</summary>
internal sealed class MemoryWatch : IDisposable
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(50);

    private readonly List<MemoryPoint> _points = [];
    private readonly ManualResetEventSlim _stopped = new(false);
    private readonly Thread _thread;
    private long _baselineBytes;
    private long _start;
    private long _requestedBytes;

    public MemoryWatch() => _thread = new Thread(Watch) { IsBackground = true, Name = "memory watch" };

    /// <summary>Watches from now on: what is resident beyond the baseline is the workload's.</summary>
    public void Begin(long baselineBytes)
    {
        _baselineBytes = baselineBytes;
        _start = Stopwatch.GetTimestamp();
        _thread.Start();
    }

    /// <summary>What the workload holds at the moment.</summary>
    public long RequestedBytes
    {
        get => Volatile.Read(ref _requestedBytes);
        set => Volatile.Write(ref _requestedBytes, value);
    }

    /// <summary>Growth of resident memory since <see cref="Begin"/>.</summary>
    public long RssBytes => ProcessMemory.RssBytes() - _baselineBytes;

    /// <summary>Ends the watch and gives what it saw.</summary>
    public IReadOnlyList<MemoryPoint> Stop()
    {
        _stopped.Set();
        _thread.Join();
        return _points;
    }

    public void Dispose() => _stopped.Dispose();

    private void Watch()
    {
        do
        {
            _points.Add(new MemoryPoint(Stopwatch.GetElapsedTime(_start).TotalSeconds, RssBytes, RequestedBytes));
        }
        while (!_stopped.Wait(s_interval));
    }
}
