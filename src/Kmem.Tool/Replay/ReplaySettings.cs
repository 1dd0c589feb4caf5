namespace Kmem.Tool.Replay;

/// <summary>
/// How a trace is replayed. All choices about the heap are made here: named caches have slabs as the kernel sizes them,
/// whatever the size classes of <c>kmalloc</c> are; with the kernel's classes, those have them too.
/// </summary>
internal sealed record ReplaySettings
{
    /// <summary>Threads; the events of CPU <c>c</c> go to thread <c>c % Threads</c>.</summary>
    public int Threads { get; init; } = 1;

    /// <summary>Size classes of <c>kmalloc</c>.</summary>
    public KmemSizeClasses SizeClasses { get; init; } = KmemSizeClasses.Default;

    /// <summary>How magazines are reached.</summary>
    public KmemFrontEnd FrontEnd { get; init; } = KmemFrontEnd.Auto;

    /// <summary>Leave out the events of pages.</summary>
    public bool SkipPages { get; init; }

    /// <summary>Address space of the heap, in bytes, beyond which allocations fail; 0 is no limit.</summary>
    public ulong LimitBytes { get; init; }

    /// <summary>Replay into heaps that are thrown away first, until the runtime has compiled the code for good.</summary>
    public bool WarmUp { get; init; }

    /// <summary>Slabs of the trace's caches.</summary>
    public static KmemSlabRule CacheSlabRule => KmemSlabRule.Kernel;

    /// <summary>
    /// Settings of the heap. No background maintenance: nothing goes back to the OS while the replay runs, so that a result does not
    /// depend on how long it takes, and what is committed at the end is also the most that was.
    /// </summary>
    public KmemHeapOptions ToHeapOptions()
    {
        return new KmemHeapOptions
        {
            Name = "replay",
            FrontEnd = FrontEnd,
            SizeClasses = SizeClasses,
            SlabRule = SizeClasses == KmemSizeClasses.Kernel ? KmemSlabRule.Kernel : KmemSlabRule.Default,
            ReserveBytes = (nuint)LimitBytes,
            Growable = LimitBytes == 0,
            MaintenanceIntervalMilliseconds = 0,
            MisusePolicy = KmemMisusePolicy.Throw,
        };
    }
}
