namespace Kmem.Tests.Model.Kmalloc;

/// <summary>What the model drives: a heap as it is.</summary>
internal unsafe class SizedMemory(KmemHeap heap)
{
    protected KmemHeap Heap { get; } = heap;

    public virtual void* Alloc(nuint sizeBytes) => Heap.Alloc(sizeBytes);

    public virtual void* AllocZeroed(nuint sizeBytes) => Heap.AllocZeroed(sizeBytes);

    public virtual void* AllocAligned(nuint sizeBytes, nuint alignmentBytes) => Heap.AllocAligned(sizeBytes, alignmentBytes);

    public virtual void* Realloc(void* pointer, nuint sizeBytes) => Heap.Realloc(pointer, sizeBytes);

    public virtual void Free(void* pointer) => Heap.Free(pointer);

    public virtual void Free(void* pointer, nuint sizeBytes) => Heap.Free(pointer, sizeBytes);
}

public enum Lie
{
    HandsOutTwice,
    DoesNotClear,
    IgnoresAlignment,
    LosesBytesOnRealloc,
    WritesPastTheEnd,
    DoesNotFree,
    IgnoresWrongSizes,
}

/// <summary>A heap with one mistake, for the proof that the model sees it.</summary>
internal sealed unsafe class LyingMemory(KmemHeap heap, Lie lie) : SizedMemory(heap)
{
    private void* _last;
    private nuint _lastSizeBytes;

    public override void* Alloc(nuint sizeBytes)
    {
        if (lie == Lie.HandsOutTwice && _last != null && sizeBytes - 1 < _lastSizeBytes)
        {
            return _last;
        }

        byte* start = (byte*)Heap.Alloc(sizeBytes);
        if (lie == Lie.WritesPastTheEnd && _last != null)
        {
            // One byte of another's block.
            ((byte*)_last)[0] ^= 1;
        }

        _last = sizeBytes == 0 ? null : start;
        _lastSizeBytes = sizeBytes;
        return start;
    }

    public override void* AllocZeroed(nuint sizeBytes) => lie == Lie.DoesNotClear ? Heap.Alloc(sizeBytes) : Heap.AllocZeroed(sizeBytes);

    public override void* AllocAligned(nuint sizeBytes, nuint alignmentBytes) =>
        lie == Lie.IgnoresAlignment ? Heap.Alloc(sizeBytes) : Heap.AllocAligned(sizeBytes, alignmentBytes);

    public override void* Realloc(void* pointer, nuint sizeBytes)
    {
        if (lie != Lie.LosesBytesOnRealloc || pointer == null)
        {
            Forget(pointer);
            return Heap.Realloc(pointer, sizeBytes);
        }

        Heap.Free(pointer);
        return Heap.Alloc(sizeBytes);
    }

    public override void Free(void* pointer)
    {
        Forget(pointer);
        if (lie != Lie.DoesNotFree)
        {
            Heap.Free(pointer);
        }
    }

    public override void Free(void* pointer, nuint sizeBytes)
    {
        Forget(pointer);
        if (lie == Lie.IgnoresWrongSizes)
        {
            return;
        }

        Heap.Free(pointer, sizeBytes);
    }

    private void Forget(void* pointer) => _last = pointer == _last ? null : _last;
}
