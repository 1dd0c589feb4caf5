using System.Runtime.CompilerServices;
using Kmem.Engine.Primitives;

namespace Kmem.Engine.Caches;

// How a thread finds its front.
//
// Thread-local memory costs a .NET caller a call, but the address of a local variable is known to the code that has
// it, and a page of a stack is one thread's alone. So there are *windows*, found by the low bits of the number of a
// stack page: the number of the page that it was made for, and the front of the thread whose stack has that page. A
// caller whose page it is has found its front; any other asks the face which one it has, and makes the window its
// own: that of the page from which it looked, since the frames of what it calls may lie on others. Windows are
// written one at a time, the page last, and the page is read last: so a front that is read beside a thread's own page
// is that thread's. A front remembers which windows lead to it, and when its thread ends, emitted code closes them
// all, before the stack can be another thread's.

/// <summary>Leads from a page of a stack to its thread's front.</summary>
internal unsafe struct FrontWindow
{
    public ThreadFront* Front;

    /// <summary>Number of the page; 0: closed. Only the thread whose stack has the page ever writes its number here.</summary>
    public nuint Page;
}

internal unsafe partial struct ThreadFronts
{
    /// <summary>1 MiB of them, of which a line or two are touched for each stack. Two pages of stacks share one if they are a multiple of 256 MiB apart.</summary>
    private const nuint WindowCount = 1 << 16;

    /// <summary>Of two threads that share a window, one has it for so many misses of the other.</summary>
    private const uint MissesToTakeWindow = 1024;

    private const nuint WindowsBytes = WindowCount * 16;

    /// <summary>The front of the thread on whose stack the address is. False for a thread that has none yet, or is on that page for the first time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryFind(FrontWindow* windows, void* stackAddress, out ThreadFront* front)
    {
        nuint page = (nuint)stackAddress >> Address.PageShift;
        FrontWindow* window = WindowOf(windows, page);
        front = (ThreadFront*)Atomic.Load((nuint*)(&window->Front));
        return Atomic.Load(&window->Page) == page;
    }

    /// <summary>
    /// Lets the front be found from a page of its owner's stack. Not from another stack that the thread may be on: another thread could be
    /// there later. Nor from a page at either end of which another stack has a part, as of a stack that the program placed itself.
    /// </summary>
    public static void OpenWindow(CacheRegistry* registry, ThreadFront* front, void* stackAddress)
    {
        nuint page = (nuint)stackAddress >> Address.PageShift;
        FrontWindow* window = WindowOf(registry->Fronts.Windows, page);
        nuint present = Atomic.Load(&window->Page);
        nuint start = page << Address.PageShift;
        bool isWhole = start >= front->StackLow && start + Address.PageSizeBytes <= front->StackLow + front->StackBytes;
        if (!isWhole
            || present == page
            || (present != 0 && ++front->WindowMisses % MissesToTakeWindow != 0))
        {
            return;
        }

        RankedLock.Enter(&registry->Lock, LockRank.Registry);

        // One that is given up costs its page the way through here again.
        nuint* remembered = RememberedAt(front, front->NextRemembered);
        front->NextRemembered = (front->NextRemembered + 1) % ThreadFront.RememberedCount;
        Atomic.Store((nuint*)*remembered, 0);
        *remembered = (nuint)(&window->Page);
        Atomic.Store(&window->Page, 0);
        Atomic.Store((nuint*)(&window->Front), (nuint)front);
        Atomic.Store(&window->Page, page);
        RankedLock.Exit(&registry->Lock, LockRank.Registry);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static FrontWindow* WindowOf(FrontWindow* windows, nuint page) => windows + (page & (WindowCount - 1));
}
