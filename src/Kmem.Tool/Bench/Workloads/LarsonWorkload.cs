using System;
using System.Runtime.CompilerServices;
using System.Threading;
using Kmem.Tool.Bench.Allocators;

namespace Kmem.Tool.Bench.Workloads;

/// <summary>
/// A server after Larson and Krishnan ("Memory Allocation for Long-Running Server Applications", 1998): each thread replaces
/// random objects of a table for a while, and then leaves the table to a new thread. Most objects are freed by another
/// thread than the one that allocated them, which no longer exists.
/// </summary>
internal sealed class LarsonWorkload : Workload
{
    private const int Slots = 1000;
    private const int Generations = 4;

    /// <summary>Enough that the start of a thread is a small part of its life.</summary>
    private const int StepsOfGeneration = 16_384;

    public override string Name => "larson";

    public override string Summary =>
        "Threads replace random ones of 1,000 objects of 16 to 1015 bytes each; every 16,384 steps a thread ends and a new one goes on with its objects.";

    public override WorkloadThreads Threads => WorkloadThreads.Team;

    public override WorkloadRun Start<TAllocator, TBlock>(WorkloadSettings settings) => new Server<TAllocator, TBlock>(settings.Threads);

    private sealed class Server<TAllocator, TBlock> : WorkloadRun
        where TAllocator : struct, IAllocator<TBlock>
        where TBlock : struct, IBlock
    {
        private readonly Lane[] _lanes;
        private readonly WorkerThreads _threads = new();

        public Server(int threads)
        {
            _lanes = new Lane[threads];
            for (int lane = 0; lane < threads; lane++)
            {
                _lanes[lane] = new Lane(lane);
                PeakBytes += Slots * (long)Sequences.SizeBytesEnd;
            }
        }

        public override long Operations => (long)_lanes.Length * Generations * StepsOfGeneration;

        /// <summary>At most: the lanes do not stand at their highest together.</summary>
        public override long PeakBytes { get; }

        public override ulong Round()
        {
            foreach (Lane lane in _lanes)
            {
                lane.Hash = 0;
                StartThread(lane, generation: 0);
            }

            ulong hash = 0;
            foreach (Lane lane in _lanes)
            {
                // A thread has started its successor when it ends, unless it failed.
                for (int generation = 0; generation < Generations && !_threads.HasFailed; generation++)
                {
                    lane.Threads[generation]!.Join();
                }

                hash += lane.Hash;
            }

            _threads.ThrowIfFailed();
            return hash;
        }

        private void StartThread(Lane lane, int generation) => lane.Threads[generation] = _threads.Start(() => Serve(lane, generation));

        private void Serve(Lane lane, int generation)
        {
            lane.Hash += lane.Replace(generation * StepsOfGeneration);
            if (generation + 1 < Generations)
            {
                StartThread(lane, generation + 1);
            }
        }

        public override void Dispose()
        {
            foreach (Lane lane in _lanes)
            {
                lane.FreeAll();
            }

            base.Dispose();
        }

        /// <summary>A table that goes from thread to thread.</summary>
        private sealed class Lane
        {
            private readonly TBlock[] _slots = new TBlock[Slots];
            private readonly ushort[] _sizes;
            private readonly ushort[] _stepSizes;
            private readonly ushort[] _targets = new ushort[Generations * StepsOfGeneration];

            public Lane(int index)
            {
                _sizes = Sequences.Sizes(Slots, index);
                _stepSizes = Sequences.Sizes(_targets.Length, index + 1000);
                Random random = Sequences.Generator(index + 2000);
                for (int step = 0; step < _targets.Length; step++)
                {
                    _targets[step] = (ushort)random.Next(Slots);
                }

                for (int slot = 0; slot < Slots; slot++)
                {
                    _slots[slot] = TAllocator.Alloc(_sizes[slot]);
                    _slots[slot].Write(_sizes[slot]);
                }
            }

            public ulong Hash { get; set; }

            /// <summary>Those that had it in this round, in their order.</summary>
            public Thread?[] Threads { get; } = new Thread?[Generations];

            public ulong Replace(int firstStep)
            {
                ulong hash = 0;
                for (int step = firstStep; step < firstStep + StepsOfGeneration; step++)
                {
                    int slot = _targets[step];
                    FreeChecked(slot);
                    ushort size = _stepSizes[step];
                    TBlock block = TAllocator.Alloc(size);
                    block.Write(size);
                    _slots[slot] = block;
                    _sizes[slot] = size;
                    hash += size;
                }

                return hash;
            }

            public void FreeAll()
            {
                for (int slot = 0; slot < Slots; slot++)
                {
                    FreeChecked(slot);
                }
            }

            [MethodImpl(MethodImplOptions.AggressiveInlining)]
            private void FreeChecked(int slot)
            {
                if (_slots[slot].Read() != _sizes[slot])
                {
                    throw new DamagedBlockException(slot);
                }

                TAllocator.Free(_slots[slot]);
            }
        }
    }
}
