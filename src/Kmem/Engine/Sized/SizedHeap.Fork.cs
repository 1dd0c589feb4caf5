using Kmem.Engine.Caches;
using Kmem.Engine.Pages;

namespace Kmem.Engine.Sized;

/// <summary>
/// A process that copies itself (<c>fork</c>) while other threads are at work: the copy has one thread, and whatever the others had in hand must
/// be whole in it. So the thread that copies takes every lock of the heap before, and both processes give them back.
/// </summary>
/// <remarks>
/// What works without a lock needs none here: a restartable sequence, or a pop or push of a front, is done or not done as far as the memory knows; an
/// object that it had taken is lost with the thread that wanted it. Cost: a lock for each cache and CPU, whether used or not.
/// </remarks>
internal unsafe partial struct SizedHeap
{
    public static void EnterAll(SizedHeap* heap)
    {
        CacheRegistry.EnterAll(&heap->Registry);
        Zone.EnterAll(&heap->Zone);
    }

    public static void ExitAll(SizedHeap* heap)
    {
        Zone.ExitAll(&heap->Zone);
        CacheRegistry.ExitAll(&heap->Registry);
    }

    /// <summary>In the copy, after <see cref="ExitAll"/>: <paramref name="own"/> is the front of its only thread, or null.</summary>
    public static void ForgetOtherThreads(SizedHeap* heap, ThreadFront* own) => CacheRegistry.ForgetOtherThreads(&heap->Registry, own);
}
