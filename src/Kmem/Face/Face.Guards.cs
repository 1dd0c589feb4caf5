using Kmem.Diagnostics;
using Kmem.Engine.Caches;
using Kmem.Engine.Primitives;

namespace Kmem.Engine;

/// <summary>What guarded objects ask of the process.</summary>
internal static unsafe partial class Face
{
    /// <summary>From now on a fault in the pool says whose the address is, where the machine can.</summary>
    public static void WatchFaults(FaultPool pool) => FaultWatch.Add(pool);

    public static void UnwatchFaults(nuint start) => FaultWatch.Remove(start);

    /// <summary>Writes what a fault will say of the object into its slot; returns the bytes.</summary>
    public static int DescribeGuarded(Cache* twin, GuardSlot* slot, bool isFreed) => GuardText.Write(twin, slot, isFreed);
}
