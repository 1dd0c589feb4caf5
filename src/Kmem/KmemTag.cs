using System.Threading;
using Kmem.Engine.Caches;
using Kmem.Engine.Sized;

namespace Kmem;

/// <summary>A part of the program that counts exactly what it holds: made by <see cref="KmemHeap.Tag"/>, allocates from its heap.</summary>
/// <remarks>
/// <para>Thread-safe. A call costs that of the heap, a look at the size, and interlocked additions to counters that all threads of the tag share.</para>
/// <para>The counts are those of the tag's own calls: what is allocated through it and freed by <see cref="KmemHeap.Free(void*)"/> stays counted as live, and what is freed
/// through it but was allocated elsewhere is counted off.</para>
/// </remarks>
public sealed unsafe class KmemTag
{
    private long _allocated;
    private long _freed;
    private long _allocatedBytes;
    private long _freedBytes;

    internal KmemTag(KmemHeap heap, string name)
    {
        Heap = heap;
        Name = name;
    }

    /// <summary>Name in profiles.</summary>
    public string Name { get; }

    /// <summary>The heap that it allocates from.</summary>
    public KmemHeap Heap { get; }

    /// <inheritdoc cref="KmemHeap.Alloc(nuint)"/>
    /// <safety>As for <see cref="Kmalloc.Alloc"/>.</safety>
    public void* Alloc(nuint sizeBytes) => CountAllocated(Heap.Alloc(sizeBytes));

    /// <inheritdoc cref="KmemHeap.TryAlloc(nuint)"/>
    /// <safety>As for <see cref="Kmalloc.Alloc"/>.</safety>
    public void* TryAlloc(nuint sizeBytes)
    {
        void* memory = Heap.TryAlloc(sizeBytes);
        return memory == null ? null : CountAllocated(memory);
    }

    /// <inheritdoc cref="KmemHeap.AllocZeroed(nuint)"/>
    /// <safety>As for <see cref="Kmalloc.Alloc"/>.</safety>
    public void* AllocZeroed(nuint sizeBytes) => CountAllocated(Heap.AllocZeroed(sizeBytes));

    /// <inheritdoc cref="KmemHeap.Realloc(void*, nuint)"/>
    /// <remarks>Counts as a free and an allocation.</remarks>
    /// <safety>As for <see cref="Kmalloc.Realloc"/>.</safety>
    public void* Realloc(void* pointer, nuint sizeBytes)
    {
        long before = pointer == null ? 0 : BytesOf(pointer);
        void* moved = Heap.Realloc(pointer, sizeBytes);
        if (pointer != null)
        {
            CountFreed(before);
        }

        return pointer != null && sizeBytes == 0 ? moved : CountAllocated(moved);
    }

    /// <inheritdoc cref="KmemHeap.Free(void*)"/>
    /// <safety>As for <see cref="Kmalloc.Free(void*)"/>.</safety>
    public void Free(void* pointer)
    {
        if (pointer != null)
        {
            long bytes = BytesOf(pointer);
            Heap.Free(pointer);
            CountFreed(bytes);
        }
    }

    /// <summary>The counts of this moment. Each is exact; between them other threads may have been at work.</summary>
    /// <returns>The counts.</returns>
    public KmemTagStatistics GetStatistics()
    {
        // What is freed was allocated before: read first, it is never the greater.
        long freed = Interlocked.Read(ref _freed);
        long freedBytes = Interlocked.Read(ref _freedBytes);
        long allocated = Interlocked.Read(ref _allocated);
        long allocatedBytes = Interlocked.Read(ref _allocatedBytes);
        return new KmemTagStatistics(Name, allocated - freed, allocatedBytes - freedBytes, allocated, allocatedBytes);
    }

    private long BytesOf(void* pointer) => (long)Heap.CapacityOf(pointer);

    private void* CountAllocated(void* memory)
    {
        Interlocked.Add(ref _allocatedBytes, BytesOf(memory));
        Interlocked.Increment(ref _allocated);
        return memory;
    }

    private void CountFreed(long bytes)
    {
        Interlocked.Add(ref _freedBytes, bytes);
        Interlocked.Increment(ref _freed);
    }
}

/// <summary>What a tag counted.</summary>
/// <param name="Name">Name of the tag.</param>
/// <param name="LiveObjects">Allocated through it and not freed through it.</param>
/// <param name="LiveBytes">Their bytes, rounding included.</param>
/// <param name="TotalObjects">Allocated through it, ever.</param>
/// <param name="TotalBytes">Their bytes, rounding included.</param>
public readonly record struct KmemTagStatistics(string Name, long LiveObjects, long LiveBytes, long TotalObjects, long TotalBytes);
