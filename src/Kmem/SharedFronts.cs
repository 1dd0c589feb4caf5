using Kmem.Engine.Caches;

namespace Kmem;

/// <summary>Where the threads of the shared heap find their fronts: read-only, so that the JIT folds it into the code. Not touched for other heaps.</summary>
internal static unsafe class SharedFronts
{
    public static readonly bool AreUsed = KmemHeap.Shared.HasFronts;
    public static readonly FrontWindow* Windows = KmemHeap.Shared.Core->Registry.Fronts.Windows;
}
