namespace Kmem;

/// <summary>
/// Which allocations of a cache fail while <see cref="KmemChecks.Faults"/> is on, after the kernel's attributes of fault injection. All settings must agree on a failure; with the defaults nothing
/// fails.
/// </summary>
public sealed record KmemFaultPlan
{
    /// <summary>One allocation in so many fails, by chance. 0, the default, leaves it to the others; 1 is every one.</summary>
    public uint OneIn { get; init; }

    /// <summary>Each so-manyth allocation may fail. 0, the default, leaves it to the others.</summary>
    public uint Interval { get; init; }

    /// <summary>So many failures at most; −1, the default, without end.</summary>
    public long Times { get; init; } = -1;

    /// <summary>Only this allocation fails, counted from 1. 0, the default: any.</summary>
    public long Nth { get; init; }

    /// <summary>Start of the chance: the same seed gives the same failures in one thread.</summary>
    public ulong Seed { get; init; } = 1;
}
