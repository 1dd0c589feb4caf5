using System.Threading;
using Kmem.Tool.Bench.Allocators;

namespace Kmem.Tool.Bench.Workloads;

/// <summary>
/// The types of a workload, defined once in a process: independent runs use the same types, as the threads of a program would.
/// </summary>
internal static class TypeDefinitions<TAllocator, TBlock>
    where TAllocator : struct, IAllocator<TBlock>
    where TBlock : struct, IBlock
{
    private static readonly Lock s_lock = new();
    private static bool s_isDone;

    public static void DefineOnce(int[] sizesBytes)
    {
        lock (s_lock)
        {
            if (!s_isDone)
            {
                TAllocator.DefineTypes(sizesBytes);
                s_isDone = true;
            }
        }
    }
}
