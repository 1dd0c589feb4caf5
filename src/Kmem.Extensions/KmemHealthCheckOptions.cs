namespace Kmem.Extensions;

/// <summary>Settings of the health check.</summary>
public sealed class KmemHealthCheckOptions
{
    /// <summary>
    /// The limit that committed bytes of the heap are compared with. Null takes <see cref="KmemOptions.MaxBytes"/>, else what the garbage collector says the process may use: the
    /// memory of the container or the machine.
    /// </summary>
    public long? LimitBytes { get; set; }

    /// <summary>Share of the limit from which on the heap is degraded, 0 to 1. Default 0.75.</summary>
    public double DegradedShare { get; set; } = 0.75;

    /// <summary>Share of the limit from which on the heap is unhealthy, 0 to 1, no less than <see cref="DegradedShare"/>. Default 0.9.</summary>
    public double UnhealthyShare { get; set; } = 0.9;

    /// <summary>Whether each check walks and recounts the heap (<see cref="KmemHeap.Validate"/>), which costs time in proportion to the heap. Default false.</summary>
    public bool Validates { get; set; }

    /// <summary>
    /// Whether reports count: of damage, unhealthy until the process ends, since memory cannot be trusted any more; of other mistakes but leaks, which were refused and harmed nothing, degraded. Default true.
    /// </summary>
    public bool CountsReports { get; set; } = true;
}
