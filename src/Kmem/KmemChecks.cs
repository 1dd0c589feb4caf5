namespace Kmem;

/// <summary>What is checked in a cache. The letters are those of the kernel's <c>slab_debug</c>; <see cref="KmemHeapOptions.Debug"/> takes them.</summary>
[System.Flags]
public enum KmemChecks
{
    /// <summary>Nothing beyond what every free checks.</summary>
    None = 0,

    /// <summary>F: at each allocation and free, that the object's slab holds together.</summary>
    Consistency = 1,

    /// <summary>Z: bytes before an object, and past what was asked for, that nobody may write. Found at the free and by <see cref="KmemHeap.Validate"/>.</summary>
    RedZones = 2,

    /// <summary>P: free objects are filled. A write after the free is found when the object is handed out again, leaves the queue of freed objects, or is validated.</summary>
    Poison = 4,

    /// <summary>U: thread, time and stack of the last allocation and free of each object.</summary>
    Users = 8,

    /// <summary>T: each allocation and free is an event: <see cref="KmemReports.Traced"/>.</summary>
    Trace = 16,

    /// <summary>A: allocations fail as <see cref="KmemFaultPlan"/> says.</summary>
    Faults = 32,

    /// <summary>
    /// G: each object is on guarded pages (<see cref="KmemHeapOptions.GuardIntervalMilliseconds"/>), as long as fewer than <see cref="KmemHeapOptions.GuardedObjects"/> are
    /// live; others are checked as the other letters say. Objects of more than 4096 bytes are not guarded.
    /// </summary>
    Guard = 256,

    /// <summary>F, Z, P and U: what the kernel switches on for <c>slab_debug</c> without letters.</summary>
    All = Consistency | RedZones | Poison | Users,
}
