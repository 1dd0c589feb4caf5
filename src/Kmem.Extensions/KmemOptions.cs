using System;

namespace Kmem.Extensions;

/// <summary>Settings of Kmem in a host. All may come from configuration; <see cref="KmemOptionsValidator"/> checks them when the host starts.</summary>
public sealed class KmemOptions
{
    /// <summary>
    /// Name of a heap of the host's own. Null, the default, takes <see cref="KmemHeap.Shared"/>: the one that <see cref="Kmalloc"/>, caches and pools use unless they are told otherwise.
    /// </summary>
    public string? HeapName { get; set; }

    /// <summary>The most that a heap of the host's own may hold, in bytes, its own tables included; at least 16 MiB. Null: no limit.</summary>
    public long? MaxBytes { get; set; }

    /// <summary>Free pages of a heap of the host's own go back to the OS when they have been free for so long. Null: one second.</summary>
    public TimeSpan? PurgeDelay { get; set; }

    /// <summary>What a heap of the host's own does about a caller's mistake. Null: <see cref="KmemMisusePolicy.Throw"/>.</summary>
    public KmemMisusePolicy? MisusePolicy { get; set; }

    /// <summary>Whether a heap of the host's own reports what is live when it is disposed.</summary>
    public bool ReportLeaksAtDispose { get; set; }

    /// <summary>
    /// Interval of maintenance, 100 ms to a day. While the host runs, its reaper does it instead of the heap's own timer. Null: every second. Zero: nobody does.
    /// </summary>
    public TimeSpan? MaintenanceInterval { get; set; }

    /// <summary>Letters of checks, as for <see cref="KmemHeapOptions.Debug"/>, such as <c>FZPU,kmalloc-*</c>. Null leaves what the environment says.</summary>
    public string? Debug { get; set; }

    /// <summary>At such intervals an allocation is guarded (<see cref="KmemHeap.GuardIntervalMilliseconds"/>), 1 ms to a day. Zero: none. Null leaves what the environment says.</summary>
    public TimeSpan? GuardInterval { get; set; }

    /// <summary>Mean bytes between two samples of the profile (<see cref="KmemHeap.ProfileIntervalBytes"/>), at most 1 TiB. 0: none. Null leaves what the environment says.</summary>
    public long? ProfileIntervalBytes { get; set; }

    /// <summary>Whether reports of all heaps of the process go to the log. Default true.</summary>
    public bool LogReports { get; set; } = true;
}
