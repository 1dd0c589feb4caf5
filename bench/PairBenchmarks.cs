using BenchmarkDotNet.Attributes;

namespace Kmem.Bench;

/// <summary>Allocate 64 bytes, write eight of them, free: the shortest life that an object can have.</summary>
[BenchmarkCategory("1 pair")]
public unsafe class PairBenchmarks
{
    private const int Pairs = 1024;
    private const int SizeBytes = 64;

    [Benchmark(Baseline = true, OperationsPerInvoke = Pairs)]
    public void NativeMemory() => Pair<NativeMemoryAllocator>();

    [Benchmark(OperationsPerInvoke = Pairs)]
    public void Kmalloc() => Pair<KmallocAllocator>();

    [Benchmark(OperationsPerInvoke = Pairs)]
    public void KmemHeap() => Pair<HeapAllocator>();

    [Benchmark(OperationsPerInvoke = Pairs)]
    public void KmemHeapTryLock() => Pair<TryLockHeapAllocator>();

    [Benchmark(OperationsPerInvoke = Pairs)]
    public void KmemCache() => Pair<CacheAllocator>();

    private static void Pair<TAllocator>()
        where TAllocator : struct, IAllocator
    {
        for (int i = 0; i < Pairs; i++)
        {
            void* memory = TAllocator.Alloc(SizeBytes);
            *(ulong*)memory = (ulong)i;
            TAllocator.Free(memory);
        }
    }
}
