using System;
using System.Runtime.ExceptionServices;
using System.Threading;

namespace Kmem.Tool.Bench.Workloads;

/// <summary>Threads that a run starts itself. What one of them throws is thrown again to whoever waits for them.</summary>
internal sealed class WorkerThreads
{
    private Exception? _failure;

    /// <summary>Whether one of them threw: who waits for its work waits in vain.</summary>
    public bool HasFailed => Volatile.Read(ref _failure) != null;

    public Thread Start(Action body)
    {
        Thread thread = new(() => Guard(body)) { IsBackground = true, Name = "bench worker" };
        thread.Start();
        return thread;
    }

    /// <summary>Does it on this thread and keeps what it throws.</summary>
    public void Guard(Action body)
    {
        try
        {
            body();
        }
        catch (Exception exception)
        {
            // Unhandled it would end the process without a word of which workload it was.
            Interlocked.CompareExchange(ref _failure, exception, null);
        }
    }

    public void ThrowIfFailed()
    {
        if (Volatile.Read(ref _failure) is { } failure)
        {
            ExceptionDispatchInfo.Throw(failure);
        }
    }
}
