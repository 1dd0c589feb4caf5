using Kmem.Engine;
using Kmem.Engine.Caches;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Sized;

namespace Kmem.Native;

/// <summary>
/// Giving back what nobody needs, without a thread of the library's own: whoever comes to a slow rung looks at the clock, and one of
/// those who find that the time has come does the work. A program that does not allocate and does not free keeps what it has.
/// </summary>
/// <remarks>
/// <para>A slow rung is also where a destructor comes that frees, under the lock of maintenance, trimming or destruction; and who holds what a destructor of
/// another thread waits for. So a slow rung only tries that lock.</para>
/// <para>A program may give up system calls as it goes (seccomp). Magazines are taken away from others with <c>membarrier</c>: without it they stay where
/// they are, and only free pages go back.</para>
/// </remarks>
internal static unsafe class Maintenance
{
    private const long IntervalMilliseconds = 250;

    /// <summary>How long pages stay free before they go back to the OS.</summary>
    private const long PurgeDelayMilliseconds = 500;

    private static ulong s_last;
    private static ulong s_lastGuard;

    /// <summary>0: nothing is guarded.</summary>
    public static long GuardIntervalMilliseconds;

    /// <summary>Called without a lock in hand.</summary>
    public static void Tick(SizedHeap* heap)
    {
        ulong now = (ulong)heap->Os.NowMilliseconds(heap->Os.Context);
        if (GuardIntervalMilliseconds != 0)
        {
            OpenGateIfDue(heap, now);
        }

        fixed (ulong* last = &s_last)
        {
            ulong before = Atomic.Load(last);
            if ((long)(now - before) < IntervalMilliseconds || !Atomic.CompareExchange(last, before, now))
            {
                return;
            }
        }

        int errno = Libc.Errno;
        if (MayTakeAway(heap))
        {
            _ = SizedHeap.TryMaintain(heap, PurgeDelayMilliseconds);
        }
        else
        {
            _ = Zone.Purge(&heap->Zone, (long)now, PurgeDelayMilliseconds);
        }

        Libc.Errno = errno;
    }

    private static void OpenGateIfDue(SizedHeap* heap, ulong now)
    {
        fixed (ulong* last = &s_lastGuard)
        {
            ulong before = Atomic.Load(last);
            if ((long)(now - before) >= GuardIntervalMilliseconds && Atomic.CompareExchange(last, before, now))
            {
                int errno = Libc.Errno;
                GuardPool.Tick(&heap->Registry, MayTakeAway(heap));
                Libc.Errno = errno;
            }
        }
    }

    /// <summary>Before giving up for want of memory.</summary>
    public static void Reclaim(SizedHeap* heap)
    {
        if (MayTakeAway(heap))
        {
            SizedHeap.ReclaimUnused(heap);
        }
        else
        {
            Zone.DrainPageLists(&heap->Zone);
        }
    }

    /// <summary>Gives everything back that can be; returns the bytes.</summary>
    public static nuint Trim(SizedHeap* heap)
    {
        Reclaim(heap);
        return Zone.Purge(&heap->Zone, heap->Os.NowMilliseconds(heap->Os.Context), 0);
    }

    /// <summary>Whether magazines of threads and CPUs can be taken away from them.</summary>
    private static bool MayTakeAway(SizedHeap* heap) => !heap->Registry.Restartable || Face.HasBarrier;
}
