using Kmem.Engine.Primitives;
using Kmem.Engine.Sized;

namespace Kmem.Native;

/// <summary>
/// Giving back what nobody needs, without a thread of the library's own: whoever comes to a slow rung looks at the clock, and one of
/// those who find that the time has come does the work. A program that does not allocate and does not free keeps what it has.
/// </summary>
internal static unsafe class Maintenance
{
    private const long IntervalMilliseconds = 250;

    /// <summary>How long pages stay free before they go back to the OS.</summary>
    private const long PurgeDelayMilliseconds = 500;

    private static ulong s_last;

    /// <summary>Called without a lock in hand.</summary>
    public static void Tick(SizedHeap* heap)
    {
        ulong now = (ulong)heap->Os.NowMilliseconds(heap->Os.Context);
        fixed (ulong* last = &s_last)
        {
            ulong before = Atomic.Load(last);
            if ((long)(now - before) < IntervalMilliseconds || !Atomic.CompareExchange(last, before, now))
            {
                return;
            }
        }

        int errno = Libc.Errno;
        _ = SizedHeap.Maintain(heap, PurgeDelayMilliseconds);
        Libc.Errno = errno;
    }
}
