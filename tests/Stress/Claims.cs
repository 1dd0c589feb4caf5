using System;
using System.Threading;

namespace Kmem.Tests.Stress;

/// <summary>
/// Who holds what, by address: a word for each 16 bytes of a heap's first range. An object that is handed out twice is found when it is claimed,
/// before anybody writes to it; so is one that nobody holds when it is given up, and one whose contents another changed.
/// </summary>
internal sealed unsafe class Claims(KmemHeap heap, nuint rangeBytes)
{
    private const ulong Multiplier = 0x9E37_79B9_7F4A_7C15;

    private readonly int[] _owners = new int[rangeBytes / 16];
    private readonly byte* _base = heap.FirstBase;
    private long _held;

    public long Held => Volatile.Read(ref _held);

    /// <summary>The object is the calling thread's now; all of it from <paramref name="from"/> on is marked. At least 16 bytes.</summary>
    public void Claim(void* pointer, int size, int from = 0)
    {
        int previous = Interlocked.CompareExchange(ref WordOf(pointer), Environment.CurrentManagedThreadId, 0);
        if (previous != 0)
        {
            throw new InvalidOperationException($"handed out twice: 0x{(nuint)pointer:x}, {size} bytes, held by thread {previous}");
        }

        for (int index = from / 8; index < size / 8; index++)
        {
            ((ulong*)pointer)[index] = Mark(pointer, index);
        }

        Interlocked.Increment(ref _held);
    }

    /// <summary>Checks the marks and gives the object up: it may be freed then.</summary>
    public void Release(void* pointer, int size, int from = 0)
    {
        for (int index = from / 8; index < size / 8; index++)
        {
            ulong word = ((ulong*)pointer)[index];
            if (word != Mark(pointer, index))
            {
                throw new InvalidOperationException($"overwritten: 0x{(nuint)pointer:x} + {index * 8} of {size} bytes: {word:x}");
            }
        }

        if (Interlocked.Exchange(ref WordOf(pointer), 0) == 0)
        {
            throw new InvalidOperationException($"nobody holds 0x{(nuint)pointer:x}, {size} bytes");
        }

        Interlocked.Decrement(ref _held);
    }

    private ref int WordOf(void* pointer)
    {
        nuint offset = (nuint)((byte*)pointer - _base);
        if (offset >= rangeBytes)
        {
            throw new InvalidOperationException($"not memory of the heap: 0x{(nuint)pointer:x}");
        }

        return ref _owners[offset / 16];
    }

    private static ulong Mark(void* pointer, int index) => ((ulong)pointer + (ulong)index) * Multiplier;
}
