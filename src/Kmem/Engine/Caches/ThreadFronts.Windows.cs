using System.Runtime.CompilerServices;
using Kmem.Engine.Primitives;

namespace Kmem.Engine.Caches;

/// <summary>The windows through which threads find their fronts. See the theory in <c>ThreadFronts.cs</c>.</summary>
internal unsafe partial struct ThreadFronts
{
    /// <summary>The front of the thread on whose stack the address is. False for a thread that has none yet, or is on that page for the first time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryFind(FrontWindow* windows, void* stackAddress, out ThreadFront* front)
    {
        nuint page = (nuint)stackAddress >> Address.PageShift;
        FrontWindow* window = WindowOf(windows, page);
        front = (ThreadFront*)Atomic.Load((nuint*)(&window->Front));
        return Atomic.Load(&window->Page) == page;
    }

    /// <summary>From now on the current thread's front is found from this address of its stack, where the caller looked for it.</summary>
    public static void LetFind(CacheRegistry* registry, void* stackAddress)
    {
        ThreadFront* front = Enter(registry);
        if (front != null)
        {
            OpenWindow(registry, front, stackAddress);
        }
    }

    /// <summary>
    /// Lets the front be found from a page of its owner's stack. Not from another stack that the thread may be on: another thread could be
    /// there later. Nor from a page at either end of which another stack has a part, as of a stack that the program placed itself.
    /// </summary>
    public static void OpenWindow(CacheRegistry* registry, ThreadFront* front, void* stackAddress)
    {
        nuint page = (nuint)stackAddress >> Address.PageShift;
        FrontWindow* window = WindowOf(registry->Fronts.Windows, page);
        nuint start = page << Address.PageShift;
        bool isWhole = start >= front->StackLow && start + Address.PageSizeBytes <= front->StackLow + front->StackBytes;
        if (!isWhole || Atomic.Load(&window->Page) == page)
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

    private static nuint* RememberedAt(ThreadFront* front, uint index) => (nuint*)((byte*)front + ThreadFront.RememberedOffset) + index;
}
