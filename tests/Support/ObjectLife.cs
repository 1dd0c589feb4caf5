using System;
using System.Runtime.InteropServices;
using System.Threading;
using Xunit;

namespace Kmem.Tests;

/// <summary>
/// A constructor and a destructor that count, mark the object, and check the mark: an object is constructed once when it leaves the slabs and destroyed
/// once when it returns. Objects have at least 16 bytes.
/// </summary>
internal sealed unsafe class ObjectLife : IDisposable
{
    private const ulong Mark = 0xC0DE_C0DE_C0DE_C0DE;
    private const ulong DeadMark = 0xDEAD_DEAD_DEAD_DEAD;

    private readonly Counters* _counters = (Counters*)NativeMemory.AllocZeroed((nuint)sizeof(Counters));

    public long Constructed => Volatile.Read(ref _counters->Constructed);

    public long Destroyed => Volatile.Read(ref _counters->Destroyed);

    /// <summary>Objects that were destroyed without being constructed.</summary>
    public long Wrong => Volatile.Read(ref _counters->Wrong);

    /// <summary>Calls of the constructor from now on: so many succeed, then it returns false; negative: always succeeds.</summary>
    public void RefuseAfter(long calls) => _counters->RefuseAfter = calls;

    /// <summary>The same, throwing instead.</summary>
    public void ThrowAfter(long calls) => _counters->ThrowAfter = calls;

    public ObjectLife()
    {
        RefuseAfter(-1);
        ThrowAfter(-1);
    }

    public KmemCacheOptions Options(KmemHeap heap, KmemCacheFlags flags = KmemCacheFlags.None) => new()
    {
        Heap = heap,
        Flags = flags,
        Constructor = &Construct,
        Destructor = &Destroy,
        Context = _counters,
    };

    public static bool IsConstructed(void* pointer) => *(ulong*)pointer == Mark && ((ulong*)pointer)[1] == (ulong)pointer;

    /// <summary>What the constructor does, for a cache without one.</summary>
    public void ConstructAsCaller(void* pointer) => Assert.True(Construct(pointer, _counters));

    /// <summary>Every object that was constructed was destroyed, and none that was not.</summary>
    public void AssertBalanced(long live = 0)
    {
        Assert.Equal(0, Wrong);
        Assert.Equal(live, Constructed - Destroyed);
    }

    public void Dispose() => NativeMemory.Free(_counters);

    private static bool Construct(void* pointer, void* context)
    {
        Counters* counters = (Counters*)context;
        if (counters->RefuseAfter >= 0 && Interlocked.Decrement(ref counters->RefuseAfter) < 0)
        {
            counters->RefuseAfter = 0;
            return false;
        }

        if (counters->ThrowAfter >= 0 && Interlocked.Decrement(ref counters->ThrowAfter) < 0)
        {
            counters->ThrowAfter = 0;
            throw new TimeoutException("thrown by the constructor");
        }

        if (IsConstructed(pointer))
        {
            Interlocked.Increment(ref counters->Wrong);
        }

        *(ulong*)pointer = Mark;
        ((ulong*)pointer)[1] = (ulong)pointer;
        Interlocked.Increment(ref counters->Constructed);
        return true;
    }

    private static void Destroy(void* pointer, void* context)
    {
        Counters* counters = (Counters*)context;
        if (!IsConstructed(pointer))
        {
            Interlocked.Increment(ref counters->Wrong);
        }

        *(ulong*)pointer = DeadMark;
        Interlocked.Increment(ref counters->Destroyed);
    }

    private struct Counters
    {
        public long Constructed;
        public long Destroyed;
        public long Wrong;
        public long RefuseAfter;
        public long ThrowAfter;
    }
}
