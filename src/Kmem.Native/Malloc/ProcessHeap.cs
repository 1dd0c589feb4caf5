using System.Runtime;
using System.Runtime.CompilerServices;
using Kmem.Engine;
using Kmem.Engine.Caches;
using Kmem.Engine.Primitives;
using Kmem.Engine.Sized;
using Kmem.Engine.Slabs;

namespace Kmem.Native;

// Theory of the process's heap.
//
// A process has one heap. It is made by the first call that needs it, which may come before any constructor has run, and lives until the
// process ends: nothing is released then, since other code may still be freeing.
//
//      state     None → Making → Ready        or back to None, when the OS refuses: the next call tries again
//
// There is no thread of the library's own. What a background thread would do, giving back what nobody needs, does who comes to a
// slow rung when the time has come: Maintenance.

/// <summary>The heap that <c>malloc</c> and everything else in this library use.</summary>
internal static unsafe class ProcessHeap
{
    private const int None = 0;
    private const int Making = 1;
    private const int Ready = 2;

    /// <summary>The heap, or null. Read by fast paths, which run only in threads that have a front, and so after the heap was made.</summary>
    public static SizedHeap* Existing;

    /// <summary>
    /// Allocations of 0 bytes: every one has an address of its own, as C asks for, and an access ends the program. Null where the OS had no memory for it.
    /// </summary>
    public static Cache* Empty;

    /// <summary>Where a process may have less than 1 TiB of addresses, not all that the heap would reserve is there.</summary>
    private const ulong AddressesToCare = 1ul << 40;

    private static int s_state;

    /// <summary>The heap, made if need be; null when the OS refuses.</summary>
    public static SizedHeap* Get() => s_state == Ready ? Existing : MakeSlow();

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static SizedHeap* MakeSlow()
    {
        fixed (int* state = &s_state)
        {
            while (!Atomic.CompareExchange(state, None, Making))
            {
                if (Atomic.Load(state) == Ready)
                {
                    return Existing;
                }

                _ = Libc.sched_yield();
            }

            Existing = Make();
            Atomic.Store(state, Existing != null ? Ready : None);
        }

        if (Existing != null)
        {
            // Before anybody has memory of the heap, so that all of it is in the trace.
            if (TraceRecorder.Start(Options.TracePath()))
            {
                NativeThread.WithholdFronts();
            }

            // The C library may allocate to remember it.
            entry_watch_forks();
        }

        return Existing;
    }

    private static SizedHeap* Make()
    {
        bool restartable = false;
        if (!Options.WantsTryLock())
        {
            if (!FaceStubs.Available)
            {
                FaceStubs.Initialize();
            }

            restartable = FaceStubs.Available;
        }

        entry_watch_threads();
        FreedMark.Choose();
        HeapDefinition definition = default;
        Face.SelectOs(&definition.Os);
        definition.Growable = true;
        definition.CpuCount = Face.CpuCountMax();
        definition.Restartable = restartable;
        definition.FrontCountMax = restartable ? ThreadFronts.CountMax : 0;
        ulong addresses = AddressSpaceLimit.Bytes;
        if (addresses < AddressesToCare)
        {
            // Reserved addresses count, and the program needs some too.
            definition.ReserveBytes = (nuint)addresses / 4;
            definition.CapacityBytes = (nuint)addresses;
            ulong fronts = (addresses / 16 / ThreadFront.SizeBytes) + 1;
            definition.FrontCountMax = !restartable ? 0 : fronts < ThreadFronts.CountMax ? (uint)fronts : ThreadFronts.CountMax;
        }

        SizedHeap* heap = SizedHeap.Create(&definition);
        Empty = heap == null ? null : MakeEmpty(heap);
        Maintenance.GuardIntervalMilliseconds = Options.GuardIntervalMilliseconds();
        if (Maintenance.GuardIntervalMilliseconds < 0)
        {
            MisuseMessage.Warn("KMEM_GUARD is the milliseconds between two guarded allocations: nothing is guarded");
            Maintenance.GuardIntervalMilliseconds = 0;
        }

        if (heap != null && Options.Debug() != null)
        {
            CheckSizeClasses(heap, Options.Debug());
        }

        return heap;
    }

    private static void CheckSizeClasses(SizedHeap* heap, byte* spec)
    {
        if (CheckSpec.FindBad(spec) != 0)
        {
            MisuseMessage.Warn("KMEM_DEBUG has a letter that is none of F, Z, P, U, T, A, G and -: nothing is checked");
            return;
        }

        int count = heap->Registry.Count;
        for (int index = CacheRegistry.FirstOrdinary; index < count; index++)
        {
            ApplyDebug(CacheRegistry.At(&heap->Registry, index), spec);
        }
    }

    /// <summary>What the environment says of a cache. A cache without memory for its checks goes without.</summary>
    public static void ApplyDebug(Cache* cache, byte* spec)
    {
        CacheChecks checks = spec == null || !CheckSwitch.MayHaveChecks(cache) ? CacheChecks.None : CheckSpec.For(spec, cache->Name);
        if (checks != CacheChecks.None && CheckSpec.FindBad(spec) == 0)
        {
            _ = CheckSwitch.TrySet(cache, checks);
        }
    }

    /// <summary>The addresses are as far apart as those of any two allocations.</summary>
    private static Cache* MakeEmpty(SizedHeap* heap)
    {
        fixed (byte* name = "kmalloc-0"u8)
        {
            CacheDefinition definition = new()
            {
                Layout = SlabLayout.Compute(16, 16, SlabRule.Default, heap->Registry.CpuCount, false),
                Flags = CacheFlags.SizeClass | CacheFlags.Inaccessible,
                HasMagazines = true,
                Name = name,
                NameBytes = 9,
            };
            return CacheRegistry.Create(&heap->Registry, &definition);
        }
    }

    // ------------------------------------------------------------------ fork

    // A child has one thread, the one that forked. What other threads had in hand must be whole in its copy of the memory, so the thread that
    // forks takes every lock before, and both processes give them back. The fronts of the threads that are no more are left to new ones.
    //
    // A process with one thread takes none: what it has in hand itself, where a signal handler forks in the middle of an allocation, it goes on
    // with in both processes.
    //
    // A library that has registered handlers before the heap was made, as a constructor may, has its own run between these, in the thread that holds every
    // lock. If one allocates and comes to a slow rung, that gives the locks back for as long as it works; in the child for good.

    /// <summary>The thread that holds every lock, and its process. Guarded by the locks.</summary>
    private static NativeThread* s_forking;

    private static int s_forkingProcess;

    /// <summary>Before a slow rung, in any thread. True: after it <see cref="ReturnToFork"/> takes the locks again.</summary>
    public static bool LeaveFork() => s_forking != null && LeaveForkSlow();

    public static void ReturnToFork(bool hasLeft)
    {
        if (hasLeft)
        {
            EnterAll();
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool LeaveForkSlow()
    {
        if (s_forking != NativeThread.Current())
        {
            return false;
        }

        if (getpid() != s_forkingProcess)
        {
            ExitAllInChild();
            return false;
        }

        ExitAll();
        return true;
    }

    [RuntimeExport("face_before_fork")]
    private static void BeforeFork()
    {
        if (entry_is_single_threaded() == 0)
        {
            EnterAll();
        }
    }

    [RuntimeExport("face_after_fork_in_parent")]
    private static void AfterForkInParent()
    {
        if (s_forking != null)
        {
            ExitAll();
        }
    }

    [RuntimeExport("face_after_fork_in_child")]
    private static void AfterForkInChild()
    {
        if (s_forking != null)
        {
            ExitAllInChild();
        }

        TraceRecorder.AfterForkInChild(&NativeThread.Current()->Trace);
    }

    private static void EnterAll()
    {
        SizedHeap.EnterAll(Existing);
        s_forking = NativeThread.Current();
        s_forkingProcess = getpid();
    }

    private static void ExitAll()
    {
        s_forking = null;
        SizedHeap.ExitAll(Existing);
    }

    private static void ExitAllInChild()
    {
        ExitAll();
        SizedHeap.ForgetOtherThreads(Existing, NativeThread.Current()->Front);
    }

#pragma warning disable IDE1006, SYSLIB1054 // The names are libc's and those in entry.c.
    [RuntimeImport("*", "getpid")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    private static extern int getpid();

    /// <summary>Without it no thread gets a front.</summary>
    [RuntimeImport("*", "entry_watch_threads")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    private static extern void entry_watch_threads();

    /// <summary>Not 0 where the C library knows of no other thread.</summary>
    [RuntimeImport("*", "entry_is_single_threaded")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    private static extern int entry_is_single_threaded();

    /// <summary>Lets the three methods above be called.</summary>
    [RuntimeImport("*", "entry_watch_forks")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    private static extern void entry_watch_forks();
#pragma warning restore IDE1006, SYSLIB1054
}
