using Kmem.Engine;
using Xunit;

namespace Kmem.Tests;

/// <summary>The front ends that this machine has: every test that goes through magazines runs on each.</summary>
public sealed class FrontEnds : TheoryData<KmemFrontEnd>
{
    public FrontEnds()
    {
        foreach (KmemFrontEnd frontEnd in All)
        {
            Add(frontEnd);
        }
    }

    public static KmemFrontEnd[] All => FaceStubs.Available
        ? [KmemFrontEnd.RestartableSequences, KmemFrontEnd.TryLock]
        : [KmemFrontEnd.TryLock];
}

/// <summary>Heaps without background maintenance, so that nothing happens that a test did not ask for.</summary>
internal static class Heaps
{
    public static KmemHeap Create(KmemFrontEnd frontEnd) => new(Options(frontEnd));

    public static KmemHeapOptions Options(KmemFrontEnd frontEnd) => new()
    {
        Name = "test",
        FrontEnd = frontEnd,
        MaintenanceIntervalMilliseconds = 0,
        ReserveBytes = 1 << 30,
    };
}
