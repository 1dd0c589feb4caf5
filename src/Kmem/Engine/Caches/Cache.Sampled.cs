using Kmem.Engine.Primitives;

namespace Kmem.Engine.Caches;

/// <summary>What sampling and fault sweeps add to checked objects.</summary>
internal unsafe partial struct Cache
{
    /// <summary>A sampled object waits for nothing: few are freed twice, and each that waits holds a slab.</summary>
    public static void ReturnSampled(Cache* twin, nuint address)
    {
        _ = Atomic.Add(&twin->DirectFrees, 1);
        ReturnChecked(twin, address);
    }

    /// <summary>Whether a sweep wants this allocation to fail. See <c>KmemFaultSweep</c>.</summary>
    public static bool FailsInSweep(CacheRegistry* registry) => Atomic.Load(&registry->Sweeps) != 0 && Face.FailsInSweep(registry);

    public static void NoteAllocatedInSweep(CacheRegistry* registry, nuint address, nuint requestedBytes)
    {
        if (Atomic.Load(&registry->Sweeps) != 0)
        {
            Face.NoteAllocatedInSweep(registry, (void*)address, requestedBytes);
        }
    }

    public static void NoteFreedInSweep(CacheRegistry* registry, nuint address)
    {
        if (Atomic.Load(&registry->Sweeps) != 0)
        {
            Face.NoteFreedInSweep((void*)address);
        }
    }
}
