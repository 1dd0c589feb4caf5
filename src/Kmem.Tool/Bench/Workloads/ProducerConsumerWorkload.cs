using System;
using System.Threading;
using Kmem.Tool.Bench.Allocators;

namespace Kmem.Tool.Bench.Workloads;

/// <summary>
/// One thread allocates, another frees: what happens to most memory that lives across an <c>await</c> or goes through a pipeline.
/// A figure is the time of the slower of the two, and needs two free CPUs to mean anything.
/// </summary>
internal sealed class ProducerConsumerWorkload : Workload
{
    public override string Name => "producer-consumer";

    public override string Summary => "One thread allocates 64 bytes and writes to them, another reads and frees them; they travel in parcels of 64.";

    public override WorkloadThreads Threads => WorkloadThreads.Fixed;

    public override WorkloadRun Start<TAllocator, TBlock>(WorkloadSettings settings) => new Pipe<TAllocator, TBlock>();

    private sealed class Pipe<TAllocator, TBlock> : WorkloadRun
        where TAllocator : struct, IAllocator<TBlock>
        where TBlock : struct, IBlock
    {
        private const int SizeBytes = 64;

        /// <summary>Many times what the ring holds: at the end of a round it runs empty.</summary>
        private const int ParcelsOfRound = 1024;

        private readonly ParcelQueue<TBlock> _queue = new();
        private readonly WorkerThreads _threads = new();
        private readonly Thread _consumer;
        private bool _isOver;
        private long _parcelsFreed;
        private ulong _hash;

        public Pipe() => _consumer = _threads.Start(Consume);

        public override long Operations => ParcelsOfRound * ParcelQueue<TBlock>.ParcelObjects;

        public override long PeakBytes => ParcelQueue<TBlock>.Parcels * ParcelQueue<TBlock>.ParcelObjects * SizeBytes;

        public override ulong Round()
        {
            ulong hashBefore = _hash;
            long end = Volatile.Read(ref _parcelsFreed) + ParcelsOfRound;
            for (int sent = 0; sent < ParcelsOfRound; sent++)
            {
                SendParcel(firstMark: sent * ParcelQueue<TBlock>.ParcelObjects);
            }

            SpinWait spin = default;
            while (Volatile.Read(ref _parcelsFreed) != end)
            {
                _threads.ThrowIfFailed();
                spin.SpinOnce(sleep1Threshold: -1);
            }

            return _hash - hashBefore;
        }

        public override void Dispose()
        {
            Volatile.Write(ref _isOver, true);
            _consumer.Join();
            base.Dispose();
        }

        private void SendParcel(int firstMark)
        {
            SpinWait spin = default;
            while (true)
            {
                if (_queue.TryGetEmpty(out Span<TBlock> parcel))
                {
                    for (int at = 0; at < parcel.Length; at++)
                    {
                        TBlock block = TAllocator.Alloc(SizeBytes);
                        block.Write((ulong)(firstMark + at));
                        parcel[at] = block;
                    }

                    _queue.Send();
                    return;
                }

                // Never sleeps: a millisecond would be counted as the allocator's.
                _threads.ThrowIfFailed();
                spin.SpinOnce(sleep1Threshold: -1);
            }
        }

        private void Consume()
        {
            SpinWait spin = default;
            while (!Volatile.Read(ref _isOver))
            {
                if (TryFreeParcel())
                {
                    spin.Reset();
                }
                else
                {
                    spin.SpinOnce(sleep1Threshold: -1);
                }
            }
        }

        private bool TryFreeParcel()
        {
            if (!_queue.TryGetFull(out Span<TBlock> parcel))
            {
                return false;
            }

            ulong hash = _hash;
            foreach (TBlock block in parcel)
            {
                hash += block.Read();
                TAllocator.Free(block);
            }

            _queue.Return();
            _hash = hash;

            // Publishes the hash to the producer, which waits for this count.
            Volatile.Write(ref _parcelsFreed, _parcelsFreed + 1);
            return true;
        }
    }
}
