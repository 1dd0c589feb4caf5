using System;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Threading;
using Kmem.Engine;
using Kmem.Engine.Primitives;

namespace Kmem.Tests;

/// <summary>
/// Runs a scenario on one CPU as the magazines see it, for tests that count what one CPU's magazines do. The thread is pinned; the kernel may
/// still renumber it, so a run during which the number changed does not count and is done again.
/// </summary>
internal static unsafe class OneCpu
{
    private const int AttemptsMax = 50;

    public static void Run(Action scenario)
    {
        Exception? failure = null;
        Thread thread = new(() => failure = Try(scenario));
        thread.Start();
        thread.Join();
        if (failure != null)
        {
            ExceptionDispatchInfo.Throw(failure);
        }
    }

    /// <summary>Pins the calling thread to one CPU; does nothing where that is not possible.</summary>
    public static bool Pin(int cpu)
    {
        ulong* mask = stackalloc ulong[16];
        new Span<ulong>(mask, 16).Clear();
        mask[cpu / 64] = 1ul << (cpu % 64);
        return OperatingSystem.IsLinux() && SetAffinity(0, 16 * sizeof(ulong), mask) == 0;
    }

    /// <summary>A number that stays as long as the thread stays where it is.</summary>
    private static long Where() => ((long)Thread.GetCurrentProcessorId() << 32) | (FaceStubs.Available ? (uint)RestartableSequence.CurrentCpu() : 0);

    private static Exception? Try(Action scenario)
    {
        _ = Pin(Thread.GetCurrentProcessorId());
        for (int attempt = 1; ; attempt++)
        {
            // The runtime remembers the processor for some thousands of calls.
            for (int call = 0; call < 20_000; call++)
            {
                _ = Thread.GetCurrentProcessorId();
            }

            long before = Where();
            Exception? failure = null;
            try
            {
                scenario();
            }
#pragma warning disable CA1031 // It leaves from the test's own thread.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                failure = exception;
            }

            if (before == Where() || attempt == AttemptsMax)
            {
                return failure;
            }
        }
    }

    [DllImport("libc", EntryPoint = "sched_setaffinity")]
    private static extern int SetAffinity(int thread, nuint bytes, ulong* mask);
}
