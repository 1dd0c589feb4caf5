using System;
using BenchmarkDotNet.Attributes;

namespace Kmem.Bench;

/// <summary>
/// 10,000 live objects of 16 to 1015 bytes. Each operation frees the object in a random slot, allocates one of a random size in
/// its place, and writes eight bytes. The sequence is made beforehand from a fixed seed, so all allocators get the same.
/// </summary>
[BenchmarkCategory("3 random slot")]
public unsafe class RandomSlotBenchmarks
{
    private const int Live = 10_000;
    private const int Steps = 1 << 16;
    private const int SizeBytesMin = 16;
    private const int SizeBytesEnd = 1016;
    private const int Seed = 20_230_917;

    private readonly nint[] _slots = new nint[Live];
    private readonly Step[] _steps = new Step[Steps];

    public RandomSlotBenchmarks()
    {
        // A seeded generator: the same sequence in every process.
        Random random = new(Seed);
        for (int i = 0; i < Steps; i++)
        {
            _steps[i] = new((ushort)random.Next(Live), (ushort)random.Next(SizeBytesMin, SizeBytesEnd));
        }
    }

    [Benchmark(Baseline = true, OperationsPerInvoke = Steps)]
    public void NativeMemory() => Run<NativeMemoryAllocator>();

    [Benchmark(OperationsPerInvoke = Steps)]
    public void Kmalloc() => Run<KmallocAllocator>();

    [Benchmark(OperationsPerInvoke = Steps)]
    public void KmemHeap() => Run<HeapAllocator>();

    [Benchmark(OperationsPerInvoke = Steps)]
    public void KmemHeapTryLock() => Run<TryLockHeapAllocator>();

    // Every one of them frees null without complaint: the first round of the warm-up fills the slots.
    private void Run<TAllocator>()
        where TAllocator : struct, IAllocator
    {
        Span<nint> slots = _slots;
        foreach (Step step in _steps)
        {
            ref nint slot = ref slots[step.Slot];
            TAllocator.Free((void*)slot);
            void* memory = TAllocator.Alloc(step.SizeBytes);
            *(ulong*)memory = step.SizeBytes;
            slot = (nint)memory;
        }
    }

    private readonly record struct Step(ushort Slot, ushort SizeBytes);
}
