using System;
using Kmem.Engine;
using Kmem.Engine.Os;
using Kmem.Engine.Primitives;

namespace Kmem;

/// <summary>
/// A slot that never holds a magazine, and a frontier of 0, for what was disposed: the first rung needs no test of its own for that, since
/// both send it to the slow rung, where the mistake is named.
/// </summary>
/// <remarks>One area of addresses for the process; a word for each front end, which must not meet in one.</remarks>
internal static unsafe class EmptySlot
{
    private const nuint FrontierOffset = 64;

    private static readonly byte* s_area = MakeArea();

    /// <summary>The slot on CPU 0.</summary>
    public static nuint For(bool restartable) => (nuint)s_area + (restartable ? 0u : 8u);

    /// <summary>Holds 0.</summary>
    public static nuint* Frontier => (nuint*)(s_area + FrontierOffset);

    private static byte* MakeArea()
    {
        OsTable os = Face.SelectOs();
        nuint bytes = (nuint)Face.CpuCountMax() << RestartableSequence.CpuAreaShift;
        byte* area = (byte*)os.Reserve(os.Context, bytes, Address.PageSizeBytes);
        for (int cpu = 0; area != null && cpu < Face.CpuCountMax(); cpu++)
        {
            if (!os.Commit(os.Context, area + ((nuint)cpu << RestartableSequence.CpuAreaShift), Address.PageSizeBytes))
            {
                os.Release(os.Context, area, bytes);
                area = null;
            }
        }

        return area != null ? area : throw new OutOfMemoryException("Kmem: the operating system refuses memory for the first cache.");
    }
}
