using System;
using Kmem.Diagnostics;
using Kmem.Engine.Caches;
using Kmem.Engine.Slabs;

namespace Kmem.Engine;

/// <summary>What the checks of the engine ask of the process: who is calling, and what is done about damage.</summary>
internal static unsafe partial class Face
{
    [ThreadStatic]
    private static bool t_injectedFault;

    /// <summary>Milliseconds since some moment, in steps of a few: what an age is made of.</summary>
    public static uint CoarseMilliseconds() => (uint)Environment.TickCount64;

    public static uint CurrentThreadNumber() => (uint)Environment.CurrentManagedThreadId;

    /// <summary>A number for the stack of the caller; 0 where there is none.</summary>
    public static uint CaptureStack() => StackDepot.Capture();

    /// <summary>A number for the innermost scope of the cache's heap that the caller is in; 0 for none.</summary>
    public static nuint CurrentScope(Cache* cache) => KmemLeakScope.NumberFor(cache);

    public static DamagePolicy PolicyFor(Cache* twin) => DamageReport.PolicyFor(twin);

    /// <summary>Tells of damage. No lock of the cache is held, but perhaps the reaper's: nothing is thrown here.</summary>
    public static void ReportDamage(Cache* twin, Damage* damage, DamagePolicy policy) => DamageReport.Raise(twin, damage, policy);

    /// <summary>Whether the present call will throw what was found in it: it is not to be done then.</summary>
    public static bool IsToStop() => DamageReport.HasPending;

    /// <summary>An allocation failed because it was told to: it is not tried again.</summary>
    public static void NoteInjectedFault() => t_injectedFault = true;

    public static bool TakeInjectedFault()
    {
        bool injected = t_injectedFault;
        t_injectedFault = false;
        return injected;
    }

    /// <summary>An object or run that the profile is to know; returns the sample's number. No lock is held.</summary>
    public static nuint NoteSampled(CacheRegistry* registry, SampleFacts* facts) => SiteProfile.Of(registry)?.Add(facts, registry->SampleIntervalBytes) ?? 0;

    public static void NoteSampleResized(CacheRegistry* registry, nuint sample, nuint capacityBytes, nuint requestedBytes) =>
        SiteProfile.Of(registry)?.Resize(sample, capacityBytes, requestedBytes);

    public static void NoteSampleFreed(CacheRegistry* registry, nuint sample) => SiteProfile.Of(registry)?.Remove(sample);

    /// <summary>A large allocation, with the letter U. No lock is held.</summary>
    public static void NoteRunAllocated(CacheRegistry* registry, void* address, nuint requestedBytes) =>
        HeapDirectory.Of(registry)?.RunTracks.Add((nuint)address, requestedBytes, KmemLeakScope.NumberFor(registry));

    public static void NoteRunResized(CacheRegistry* registry, void* address, nuint requestedBytes) => HeapDirectory.Of(registry)?.RunTracks.Resize((nuint)address, requestedBytes);

    public static void NoteRunFreed(CacheRegistry* registry, void* address) => HeapDirectory.Of(registry)?.RunTracks.Remove((nuint)address);

    /// <summary>Counts an allocation in the flow of the caller, and says whether it is the one that is to fail.</summary>
    public static bool FailsInSweep(CacheRegistry* registry) => SweepFlow.Fails(registry);

    public static void NoteAllocatedInSweep(CacheRegistry* registry, void* address, nuint requestedBytes) => SweepFlow.NoteAllocated(registry, address, requestedBytes);

    public static void NoteFreedInSweep(void* address) => SweepFlow.NoteFreed(address);

    public static void TraceAllocated(Cache* cache, void* address, nuint requestedBytes) => KmemReports.Trace(cache, (nuint)address, requestedBytes, isFree: false);

    public static void TraceFreed(Cache* twin, void* address) => KmemReports.Trace(twin, (nuint)address, 0, isFree: true);
}
