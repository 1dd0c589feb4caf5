using Kmem.Engine.Caches;
using Kmem.Engine.Pages;

namespace Kmem;

/// <summary>
/// What rung 0 needs of the shared heap, whose threads have fronts: read-only, so that the JIT folds it into the code. Not touched for other
/// heaps.
/// </summary>
internal static unsafe class SharedFronts
{
    private static readonly KmemHeap s_heap = KmemHeap.Shared;

    public static readonly bool AreUsed = s_heap.HasFronts;
    public static readonly FrontWindow* Windows = s_heap.Core->Registry.Fronts.Windows;
    public static readonly byte* FirstBase = s_heap.FirstBase;
    public static readonly Page* MemoryMap = s_heap.MemoryMap;
    public static readonly nuint* Frontier = s_heap.Frontier;
}
