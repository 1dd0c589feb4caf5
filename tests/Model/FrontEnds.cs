using System;
using System.Collections.Generic;
using System.Threading;

namespace Kmem.Tests.Model;

/// <summary>The front ends that this machine has: what a model runs on, it runs on each of them.</summary>
internal static class FrontEnds
{
    private static readonly Lazy<IReadOnlyList<KmemFrontEnd>> s_available = new(Find, LazyThreadSafetyMode.ExecutionAndPublication);

    public static IReadOnlyList<KmemFrontEnd> Available => s_available.Value;

    private static List<KmemFrontEnd> Find()
    {
        try
        {
            using KmemHeap heap = new(new KmemHeapOptions { FrontEnd = KmemFrontEnd.RestartableSequences, MaintenanceIntervalMilliseconds = 0 });
            return [KmemFrontEnd.TryLock, KmemFrontEnd.RestartableSequences];
        }
        catch (PlatformNotSupportedException)
        {
            return [KmemFrontEnd.TryLock];
        }
    }
}
