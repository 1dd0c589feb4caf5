using System;
using System.Collections.Concurrent;
using System.IO.Pipelines;
using System.Threading;

namespace Kmem.AspNetCore.Transport;

/// <summary>Work of several connections that one thread of the pool does in turn: many small pieces cost one hand-over.</summary>
internal sealed class TransportQueue : PipeScheduler, IThreadPoolWorkItem
{
    private readonly ConcurrentQueue<(Action<object?> Action, object? State)> _work = new();
    private int _isUnderWay;

    public override void Schedule(Action<object?> action, object? state)
    {
        _work.Enqueue((action, state));
        StartIfIdle();
    }

    void IThreadPoolWorkItem.Execute()
    {
        while (_work.TryDequeue(out (Action<object?> Action, object? State) next))
        {
            next.Action(next.State);
        }

        // Whoever adds work from here on starts it. What was added just before is seen: the exchange orders the two.
        Interlocked.Exchange(ref _isUnderWay, 0);
        if (!_work.IsEmpty)
        {
            StartIfIdle();
        }
    }

    private void StartIfIdle()
    {
        if (Interlocked.CompareExchange(ref _isUnderWay, 1, 0) == 0)
        {
            System.Threading.ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }
    }
}
