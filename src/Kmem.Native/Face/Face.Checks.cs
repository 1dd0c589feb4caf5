using Kmem.Engine.Caches;
using Kmem.Engine.Os;
using Kmem.Engine.Slabs;
using Kmem.Native;

namespace Kmem.Engine;

/// <summary>What the checks of the engine ask of the process. Damage ends it.</summary>
internal static unsafe partial class Face
{
    /// <summary>Milliseconds since some moment: what an age is made of.</summary>
    public static uint CoarseMilliseconds()
    {
        OsTable* os = &ProcessHeap.Existing->Os;
        return (uint)os->NowMilliseconds(os->Context);
    }

    public static uint CurrentThreadNumber() => (uint)Libc.gettid();

    /// <summary>Stacks are not kept here.</summary>
    public static uint CaptureStack() => 0;

    public static nuint CurrentScope(Cache* cache) => 0;

    public static DamagePolicy PolicyFor(Cache* twin) => DamagePolicy.FailFast;

    public static void ReportDamage(Cache* twin, Damage* damage, DamagePolicy policy) => MisuseMessage.FailForDamage(twin, damage);

    /// <summary>Damage ends the process before anybody can ask.</summary>
    public static bool IsToStop() => false;

    /// <summary>The caller sees null and <c>ENOMEM</c>, as for any other failure.</summary>
    public static void NoteInjectedFault()
    {
    }

    /// <summary>There is no profile here: no heap takes samples.</summary>
    public static nuint NoteSampled(CacheRegistry* registry, SampleFacts* facts) => 0;

    public static void NoteSampleResized(CacheRegistry* registry, nuint sample, nuint capacityBytes, nuint requestedBytes)
    {
    }

    public static void NoteSampleFreed(CacheRegistry* registry, nuint sample)
    {
    }

    public static void NoteRunAllocated(CacheRegistry* registry, void* address, nuint requestedBytes)
    {
    }

    public static void NoteRunResized(CacheRegistry* registry, void* address, nuint requestedBytes)
    {
    }

    public static void NoteRunFreed(CacheRegistry* registry, void* address)
    {
    }

    /// <summary>Nor are there sweeps.</summary>
    public static bool FailsInSweep(CacheRegistry* registry) => false;

    public static void NoteAllocatedInSweep(CacheRegistry* registry, void* address, nuint requestedBytes)
    {
    }

    public static void NoteFreedInSweep(void* address)
    {
    }

    public static void TraceAllocated(Cache* cache, void* address, nuint requestedBytes)
    {
    }

    public static void TraceFreed(Cache* twin, void* address)
    {
    }
}
