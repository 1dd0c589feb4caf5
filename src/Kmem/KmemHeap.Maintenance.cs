using System;
using System.Threading;
using Kmem.Diagnostics;
using Kmem.Engine.Sized;

namespace Kmem;

/// <summary>Maintenance in the background.</summary>
public sealed unsafe partial class KmemHeap
{
    private Timer? _timer;
    private int _maintenanceInterval;

    /// <summary>
    /// Interval of background maintenance in milliseconds, as <see cref="KmemHeapOptions.MaintenanceIntervalMilliseconds"/> began it. 0 leaves <see cref="Maintain"/> to the caller. May be
    /// changed at any time.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Negative.</exception>
    /// <exception cref="ObjectDisposedException">The heap was disposed.</exception>
    public int MaintenanceIntervalMilliseconds
    {
        get => _maintenanceInterval;
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            lock (_maintenance)
            {
                ObjectDisposedException.ThrowIf(_disposed, this);
                _maintenanceInterval = value;
                _timer?.Dispose();
                _timer = value == 0 ? null : new Timer(static heap => ((KmemHeap)heap!).MaintainInBackground(), this, value, value);
            }
        }
    }

    private void MaintainInBackground()
    {
        if (_maintenance.TryEnter())
        {
            try
            {
                if (!_disposed)
                {
                    // A mistake found here is reported by the next slow free or by Validate, in a caller's stack.
                    _ = SizedHeap.Maintain(Core, _options.PurgeDelayMilliseconds);
                    _pendingDamage ??= DamageReport.TakePending();
                }
            }
            finally
            {
                _maintenance.Exit();
            }
        }
    }
}
