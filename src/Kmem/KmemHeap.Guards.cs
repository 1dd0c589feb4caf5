using System;
using System.Globalization;
using System.Threading;
using Kmem.Diagnostics;
using Kmem.Engine.Caches;

namespace Kmem;

/// <summary>Objects that have pages of their own.</summary>
public sealed unsafe partial class KmemHeap
{
    private const string GuardVariable = "KMEM_GUARD";

    private Timer? _guardTimer;
    private int _guardInterval;

    /// <summary>
    /// At such intervals, in milliseconds, one allocation of at most 4096 bytes gets a page of its own between pages that cannot be accessed; 0: none does. May be changed at any time; objects that are guarded remain so.
    /// An access past its end, before its start or after its free ends the process with a report that names whose it was.
    /// </summary>
    /// <remarks>
    /// An allocation is guarded when it comes to a slow path. Where none does, the magazines of one cache are emptied at the next interval, another cache each time.
    /// </remarks>
    /// <exception cref="ArgumentOutOfRangeException">Negative.</exception>
    /// <exception cref="ObjectDisposedException">The heap was disposed.</exception>
    public int GuardIntervalMilliseconds
    {
        get => _guardInterval;
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            lock (_maintenance)
            {
                ObjectDisposedException.ThrowIf(_disposed, this);
                _guardInterval = value;
                _guardTimer?.Dispose();
                _guardTimer = value == 0 ? null : new Timer(static heap => ((KmemHeap)heap!).OpenGate(), this, value, value);
            }
        }
    }

    /// <summary>How many objects were guarded, and are.</summary>
    /// <returns>The figures of this moment.</returns>
    /// <exception cref="ObjectDisposedException">The heap was disposed.</exception>
    public KmemGuardStatistics GetGuardStatistics()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return HeapSnapshot.GuardsOf(this);
    }

    /// <summary>The next allocation on a slow rung is guarded. What the timer does; tests call it.</summary>
    internal void OpenGate()
    {
        if (_maintenance.TryEnter())
        {
            try
            {
                if (!_disposed)
                {
                    GuardPool.Tick(&Core->Registry, mayTakeAway: true);
                }
            }
            finally
            {
                _maintenance.Exit();
            }
        }
    }

    private static int ChooseGuardInterval(int? option)
    {
        string? text = option == null ? Environment.GetEnvironmentVariable(GuardVariable) : null;
        int interval = option ?? 0;
        return string.IsNullOrEmpty(text) || int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out interval) ? interval
            : throw new ArgumentException($"{GuardVariable} is the milliseconds between two guarded allocations, or 0, not '{text}'.");
    }
}
