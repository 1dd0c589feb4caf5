using System;
using BenchmarkDotNet.Attributes;

namespace Kmem.Bench;

/// <summary>Allocate 1000 times 64 bytes, write to each, then free them in the order of allocation: more than magazines hold at first.</summary>
[BenchmarkCategory("2 batch")]
public unsafe class BatchBenchmarks
{
    private const int Objects = 1000;
    private const int SizeBytes = 64;

    private readonly nint[] _objects = new nint[Objects];
    private readonly KmemCache _cache = new("bench-bulk", SizeBytes);

    [Benchmark(Baseline = true, OperationsPerInvoke = Objects)]
    public void NativeMemory() => Batch<NativeMemoryAllocator>();

    [Benchmark(OperationsPerInvoke = Objects)]
    public void Kmalloc() => Batch<KmallocAllocator>();

    [Benchmark(OperationsPerInvoke = Objects)]
    public void KmemHeap() => Batch<HeapAllocator>();

    [Benchmark(OperationsPerInvoke = Objects)]
    public void KmemHeapTryLock() => Batch<TryLockHeapAllocator>();

    [Benchmark(OperationsPerInvoke = Objects)]
    public void KmemCache() => Batch<CacheAllocator>();

    /// <summary>One call allocates all, and one frees all.</summary>
    [Benchmark(OperationsPerInvoke = Objects)]
    public void KmemCacheBulk()
    {
        Span<nint> objects = _objects;
        if (!_cache.AllocBulk(objects))
        {
            throw new InvalidOperationException("No memory.");
        }

        for (int i = 0; i < objects.Length; i++)
        {
            *(ulong*)objects[i] = (ulong)i;
        }

        _cache.FreeBulk(objects);
    }

    private void Batch<TAllocator>()
        where TAllocator : struct, IAllocator
    {
        Span<nint> objects = _objects;
        for (int i = 0; i < objects.Length; i++)
        {
            void* memory = TAllocator.Alloc(SizeBytes);
            *(ulong*)memory = (ulong)i;
            objects[i] = (nint)memory;
        }

        foreach (nint memory in objects)
        {
            TAllocator.Free((void*)memory);
        }
    }
}
