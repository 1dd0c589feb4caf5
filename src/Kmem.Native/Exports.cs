using System.Runtime;
using Kmem.Engine;
using Kmem.Engine.Primitives;
using Kmem.Engine.Sized;

namespace Kmem.Native;

/// <summary>
/// Plain C functions on one heap of the process. <c>kmem_start</c> comes first and once; the others may then be called from any
/// thread.
/// </summary>
internal static unsafe class Exports
{
    private static SizedHeap* s_heap;

    /// <summary>Makes the heap; 0, or -1 when the OS refuses. <paramref name="restartable"/> 0 takes the try-lock front end.</summary>
    [RuntimeExport("kmem_start")]
    public static int Start(int restartable)
    {
        if (restartable != 0)
        {
            FaceStubs.Initialize();
        }

        HeapDefinition definition = default;
        Face.SelectOs(&definition.Os);
        definition.Growable = true;
        definition.CpuCount = Face.CpuCountMax();
        definition.Restartable = FaceStubs.Available;
        s_heap = SizedHeap.Create(&definition);
        return s_heap != null ? 0 : -1;
    }

    /// <summary>1 when the heap uses restartable sequences.</summary>
    [RuntimeExport("kmem_is_restartable")]
    public static int IsRestartable() => FaceStubs.Available ? 1 : 0;

    /// <summary>Null when memory is out.</summary>
    [RuntimeExport("kmem_alloc")]
    public static void* Alloc(nuint sizeBytes) => SizedHeap.Allocate(s_heap, sizeBytes);

    /// <summary>0, or the number of the misuse.</summary>
    [RuntimeExport("kmem_free")]
    public static int Free(void* memory) => (int)SizedHeap.Free(s_heap, memory);
}
