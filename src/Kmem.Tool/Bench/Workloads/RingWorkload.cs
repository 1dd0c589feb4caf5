using System;
using System.Threading;
using Kmem.Tool.Bench.Allocators;

namespace Kmem.Tool.Bench.Workloads;

/// <summary>
/// Threads in a ring: each allocates for the next and frees what comes from the one before it. All memory changes hands, and
/// every thread allocates as much as it frees.
/// </summary>
internal sealed class RingWorkload : Workload
{
    public override string Name => "ring";

    public override string Summary => "Threads in a ring: each allocates 16 to 255 bytes for the next, in parcels of 64, and frees what the one before it allocated.";

    public override WorkloadThreads Threads => WorkloadThreads.Team;

    public override WorkloadRun Start<TAllocator, TBlock>(WorkloadSettings settings) => new Ring<TAllocator, TBlock>(settings.Threads);

    private sealed class Ring<TAllocator, TBlock> : WorkloadRun
        where TAllocator : struct, IAllocator<TBlock>
        where TBlock : struct, IBlock
    {
        private const int SizeBytesEnd = 256;
        private const int ParcelsOfRound = 512;

        private readonly Member[] _members;
        private readonly Barrier _barrier;
        private readonly WorkerThreads _threads = new();
        private readonly Thread[] _started;
        private bool _isOver;

        public Ring(int threads)
        {
            ParcelQueue<TBlock>[] queues = new ParcelQueue<TBlock>[threads];
            for (int index = 0; index < threads; index++)
            {
                queues[index] = new ParcelQueue<TBlock>();
            }

            _barrier = new Barrier(threads + 1);
            _members = new Member[threads];
            _started = new Thread[threads];
            for (int index = 0; index < threads; index++)
            {
                Member member = new(_threads, index, received: queues[index], sent: queues[(index + 1) % threads]);
                _members[index] = member;
                _started[index] = _threads.Start(() => Live(member));
            }
        }

        public override long Operations => (long)_members.Length * ParcelsOfRound * ParcelQueue<TBlock>.ParcelObjects;

        /// <summary>With all queues full of the largest objects.</summary>
        public override long PeakBytes => (long)_members.Length * ParcelQueue<TBlock>.Parcels * ParcelQueue<TBlock>.ParcelObjects * SizeBytesEnd;

        public override ulong Round()
        {
            _barrier.SignalAndWait();
            _barrier.SignalAndWait();
            _threads.ThrowIfFailed();
            ulong hash = 0;
            foreach (Member member in _members)
            {
                hash += member.Hash;
            }

            return hash;
        }

        public override void Dispose()
        {
            _isOver = true;
            _barrier.SignalAndWait();
            foreach (Thread thread in _started)
            {
                thread.Join();
            }

            _barrier.Dispose();
            base.Dispose();
        }

        private void Live(Member member)
        {
            while (true)
            {
                _barrier.SignalAndWait();
                if (_isOver)
                {
                    return;
                }

                // Comes to the barrier even where it throws, or the others would wait there for good.
                _threads.Guard(member.Round);
                _barrier.SignalAndWait();
            }
        }

        private sealed class Member
        {
            private readonly WorkerThreads _threads;
            private readonly ParcelQueue<TBlock> _received;
            private readonly ParcelQueue<TBlock> _sent;
            private readonly byte[] _sizes = new byte[ParcelsOfRound * ParcelQueue<TBlock>.ParcelObjects];

            public Member(WorkerThreads threads, int index, ParcelQueue<TBlock> received, ParcelQueue<TBlock> sent)
            {
                _threads = threads;
                _received = received;
                _sent = sent;
                Random random = Sequences.Generator(index);
                for (int at = 0; at < _sizes.Length; at++)
                {
                    _sizes[at] = (byte)random.Next(Sequences.SizeBytesMin, SizeBytesEnd);
                }
            }

            /// <summary>Of the marks that it received in a round.</summary>
            public ulong Hash { get; private set; }

            public void Round()
            {
                Hash = 0;
                int sent = 0;
                int received = 0;
                SpinWait spin = default;
                while ((sent < ParcelsOfRound || received < ParcelsOfRound) && !_threads.HasFailed)
                {
                    // Receives whether or not it can send: if all queues are full, each thread makes room for another.
                    bool hasSent = sent < ParcelsOfRound && TrySend(sent);
                    bool hasReceived = TryReceive();
                    sent += hasSent ? 1 : 0;
                    received += hasReceived ? 1 : 0;
                    if (hasSent || hasReceived)
                    {
                        spin.Reset();
                    }
                    else
                    {
                        spin.SpinOnce(sleep1Threshold: -1);
                    }
                }
            }

            private bool TrySend(int number)
            {
                if (!_sent.TryGetEmpty(out Span<TBlock> parcel))
                {
                    return false;
                }

                ReadOnlySpan<byte> sizes = _sizes.AsSpan(number * parcel.Length, parcel.Length);
                for (int at = 0; at < parcel.Length; at++)
                {
                    TBlock block = TAllocator.Alloc(sizes[at]);
                    block.Write(sizes[at]);
                    parcel[at] = block;
                }

                _sent.Send();
                return true;
            }

            private bool TryReceive()
            {
                if (!_received.TryGetFull(out Span<TBlock> parcel))
                {
                    return false;
                }

                ulong hash = Hash;
                foreach (TBlock block in parcel)
                {
                    hash += block.Read();
                    TAllocator.Free(block);
                }

                _received.Return();
                Hash = hash;
                return true;
            }
        }
    }
}
