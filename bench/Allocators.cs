using System.Runtime.InteropServices;

namespace Kmem.Bench;

/// <summary>
/// An allocator as a type argument: the JIT compiles each benchmark once for each of them, with the calls inlined as if they
/// had been written there.
/// </summary>
internal unsafe interface IAllocator
{
    public static abstract void* Alloc(nuint sizeBytes);

    public static abstract void Free(void* memory);
}

internal readonly unsafe struct NativeMemoryAllocator : IAllocator
{
    public static void* Alloc(nuint sizeBytes) => NativeMemory.Alloc(sizeBytes);

    public static void Free(void* memory) => NativeMemory.Free(memory);
}

internal readonly unsafe struct KmallocAllocator : IAllocator
{
    public static void* Alloc(nuint sizeBytes) => Kmalloc.Alloc(sizeBytes);

    public static void Free(void* memory) => Kmalloc.Free(memory);
}

/// <summary>A heap of one's own. Its front end is the best that the machine has.</summary>
internal readonly unsafe struct HeapAllocator : IAllocator
{
    private static readonly KmemHeap s_heap = new(new KmemHeapOptions { Name = "bench" });

    public static void* Alloc(nuint sizeBytes) => s_heap.Alloc(sizeBytes);

    public static void Free(void* memory) => s_heap.Free(memory);
}

/// <summary>A heap with the front end that works everywhere.</summary>
internal readonly unsafe struct TryLockHeapAllocator : IAllocator
{
    private static readonly KmemHeap s_heap = new(new KmemHeapOptions { Name = "bench-lock", FrontEnd = KmemFrontEnd.TryLock });

    public static void* Alloc(nuint sizeBytes) => s_heap.Alloc(sizeBytes);

    public static void Free(void* memory) => s_heap.Free(memory);
}

/// <summary>A cache of 64-byte objects; the size that is asked for is not looked at.</summary>
internal readonly unsafe struct CacheAllocator : IAllocator
{
    private static readonly KmemCache s_cache = new("bench-64", 64);

    public static void* Alloc(nuint sizeBytes) => s_cache.Alloc();

    public static void Free(void* memory) => s_cache.Free(memory);
}
