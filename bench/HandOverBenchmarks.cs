using System.Threading;
using BenchmarkDotNet.Attributes;

namespace Kmem.Bench;

/// <summary>
/// One thread allocates 64 bytes and writes to them, another frees: what happens to most memory that lives across an
/// <c>await</c>. The pointers travel in parcels of 64 through a ring, so that handing over costs little of a pair's time.
/// A figure is the time of the slower of the two, and needs two free CPUs to mean anything.
/// </summary>
[BenchmarkCategory("4 hand-over")]
public unsafe class HandOverBenchmarks
{
    private const int SizeBytes = 64;
    private const int ParcelObjects = 64;
    private const int RingParcels = 16;
    private const int ParcelsPerInvoke = 64;
    private const int Pairs = ParcelsPerInvoke * ParcelObjects;

    /// <summary>A parcel's state, 0 empty or 1 full, is alone on two cache lines.</summary>
    private const int StateStride = 32;

    private readonly int[] _states = new int[(RingParcels + 1) * StateStride];
    private readonly nint[] _objects = new nint[RingParcels * ParcelObjects];
    private Thread? _receiver;
    private volatile bool _stop;
    private int _nextParcel;

    [GlobalSetup(Target = nameof(NativeMemory))]
    public void StartNativeMemory() => Start<NativeMemoryAllocator>();

    [GlobalSetup(Target = nameof(Kmalloc))]
    public void StartKmalloc() => Start<KmallocAllocator>();

    [GlobalSetup(Target = nameof(KmemHeap))]
    public void StartHeap() => Start<HeapAllocator>();

    [GlobalSetup(Target = nameof(KmemHeapTryLock))]
    public void StartTryLockHeap() => Start<TryLockHeapAllocator>();

    [Benchmark(Baseline = true, OperationsPerInvoke = Pairs)]
    public void NativeMemory() => Send<NativeMemoryAllocator>();

    [Benchmark(OperationsPerInvoke = Pairs)]
    public void Kmalloc() => Send<KmallocAllocator>();

    [Benchmark(OperationsPerInvoke = Pairs)]
    public void KmemHeap() => Send<HeapAllocator>();

    [Benchmark(OperationsPerInvoke = Pairs)]
    public void KmemHeapTryLock() => Send<TryLockHeapAllocator>();

    [GlobalCleanup]
    public void Stop()
    {
        _stop = true;
        _receiver!.Join();
    }

    private void Start<TAllocator>()
        where TAllocator : struct, IAllocator
    {
        _receiver = new Thread(Receive<TAllocator>) { IsBackground = true };
        _receiver.Start();
    }

    private void Send<TAllocator>()
        where TAllocator : struct, IAllocator
    {
        for (int sent = 0; sent < ParcelsPerInvoke; sent++)
        {
            int parcel = _nextParcel;
            _nextParcel = (parcel + 1) % RingParcels;
            WaitFor(parcel, state: 0);
            int first = parcel * ParcelObjects;
            for (int i = first; i < first + ParcelObjects; i++)
            {
                void* memory = TAllocator.Alloc(SizeBytes);
                *(ulong*)memory = (ulong)i;
                _objects[i] = (nint)memory;
            }

            Volatile.Write(ref _states[(parcel + 1) * StateStride], 1);
        }
    }

    private void Receive<TAllocator>()
        where TAllocator : struct, IAllocator
    {
        for (int parcel = 0; WaitFor(parcel, state: 1); parcel = (parcel + 1) % RingParcels)
        {
            int first = parcel * ParcelObjects;
            for (int i = first; i < first + ParcelObjects; i++)
            {
                TAllocator.Free((void*)_objects[i]);
            }

            Volatile.Write(ref _states[(parcel + 1) * StateStride], 0);
        }
    }

    /// <summary>False when the benchmark is over and the state will not come.</summary>
    private bool WaitFor(int parcel, int state)
    {
        SpinWait spin = default;
        while (Volatile.Read(ref _states[(parcel + 1) * StateStride]) != state)
        {
            if (_stop)
            {
                return false;
            }

            // Never sleeps: a millisecond would be counted as the allocator's.
            spin.SpinOnce(sleep1Threshold: -1);
        }

        return true;
    }
}
