using System;
using System.Diagnostics.CodeAnalysis;
#pragma warning disable CS1591, CA1822
namespace Kmem;

// Signatures only; replaced file by file.
public sealed unsafe class KmemHeap : IDisposable
{
    public KmemHeap(KmemHeapOptions? options = null) => throw new NotImplementedException();
    public static KmemHeap Shared => throw new NotImplementedException();
    public string Name => throw new NotImplementedException();
    public KmemFrontEnd FrontEnd => throw new NotImplementedException();
    public PageAllocator Pages => throw new NotImplementedException();
    public void* Alloc(nuint sizeBytes) => throw new NotImplementedException();
    public void* TryAlloc(nuint sizeBytes) => throw new NotImplementedException();
    public void* AllocZeroed(nuint sizeBytes) => throw new NotImplementedException();
    public void* AllocAligned(nuint sizeBytes, nuint alignmentBytes) => throw new NotImplementedException();
    public void* Realloc(void* pointer, nuint sizeBytes) => throw new NotImplementedException();
    public void Free(void* pointer) => throw new NotImplementedException();
    public void Free(void* pointer, nuint sizeBytes) => throw new NotImplementedException();
    public nuint UsableSize(void* pointer) => throw new NotImplementedException();
    public nuint RoundUpSize(nuint sizeBytes) => throw new NotImplementedException();
    /// One maintenance pass: ages, reaps, purges what is due.
    public void Maintain() => throw new NotImplementedException();
    /// Gives everything unused back to the OS now. Returns bytes given back.
    public nuint Trim() => throw new NotImplementedException();
    /// Walks and recounts everything; throws when a structure is broken.
    public void Validate() => throw new NotImplementedException();
    public KmemStatistics GetStatistics() => throw new NotImplementedException();
    /// What an address is, in words.
    public string Describe(void* address) => throw new NotImplementedException();
    public void Dispose() => throw new NotImplementedException();
}

public sealed unsafe class KmemCache : IDisposable
{
    public KmemCache(string name, nuint objectSizeBytes, KmemCacheOptions? options = null) => throw new NotImplementedException();
    public string Name => throw new NotImplementedException();
    public nuint ObjectSizeBytes => throw new NotImplementedException();
    public nuint StrideBytes => throw new NotImplementedException();
    public int Order => throw new NotImplementedException();
    public int ObjectsPerSlab => throw new NotImplementedException();
    public void* Alloc() => throw new NotImplementedException();
    public void* TryAlloc() => throw new NotImplementedException();
    public void* AllocZeroed() => throw new NotImplementedException();
    public void Free(void* obj) => throw new NotImplementedException();
    /// All or nothing: false when memory ran out.
    public bool AllocBulk(Span<nint> objects) => throw new NotImplementedException();
    public void FreeBulk(ReadOnlySpan<nint> objects) => throw new NotImplementedException();
    /// Empties magazines and gives empty slabs back; number of slabs given back.
    public int Shrink() => throw new NotImplementedException();
    public void Validate() => throw new NotImplementedException();
    public KmemCacheStatistics GetStatistics() => throw new NotImplementedException();
    public void Dispose() => throw new NotImplementedException();
}

public static unsafe class Kmalloc
{
    public static void* Alloc(nuint sizeBytes) => throw new NotImplementedException();
    public static void* TryAlloc(nuint sizeBytes) => throw new NotImplementedException();
    public static void* AllocZeroed(nuint sizeBytes) => throw new NotImplementedException();
    public static void* AllocAligned(nuint sizeBytes, nuint alignmentBytes) => throw new NotImplementedException();
    public static void* Realloc(void* pointer, nuint sizeBytes) => throw new NotImplementedException();
    public static void Free(void* pointer) => throw new NotImplementedException();
    public static void Free(void* pointer, nuint sizeBytes) => throw new NotImplementedException();
    public static nuint UsableSize(void* pointer) => throw new NotImplementedException();
    public static nuint RoundUpSize(nuint sizeBytes) => throw new NotImplementedException();
}

public sealed unsafe class PageAllocator
{
    internal PageAllocator() => throw new NotImplementedException();
    public const int MaxOrder = 10;
    public const int PageSizeBytes = 4096;
    /// 2^order pages, naturally aligned.
    public void* Alloc(int order, KmemMobility mobility = KmemMobility.Movable) => throw new NotImplementedException();
    public void* TryAlloc(int order, KmemMobility mobility = KmemMobility.Movable) => throw new NotImplementedException();
    public void Free(void* pages) => throw new NotImplementedException();
    public void Free(void* pages, int order) => throw new NotImplementedException();
    public KmemPageStatistics GetStatistics() => throw new NotImplementedException();
}

/// <summary>Lifetime of pages.</summary>
public enum KmemMobility { Unmovable, Reclaimable, Movable }

/// Rules for slab geometry as a pure function.
public readonly record struct KmemSlabLayout(nuint ObjectSizeBytes, nuint StrideBytes, nuint AlignmentBytes, int Order, int ObjectsPerSlab, nuint TailBytes)
{
    public static KmemSlabLayout Compute(nuint objectSizeBytes, nuint alignmentBytes, KmemSlabRule rule, int cpuCount, KmemCacheFlags flags = KmemCacheFlags.None) => throw new NotImplementedException();
}
