using System;
using System.Threading;
using Kmem.Tool.Bench.Allocators;

namespace Kmem.Tool.Bench.Workloads;

/// <summary>
/// Threads that live for a moment: what an allocator prepares for a thread, and takes back at its end, is worth little to them.
/// </summary>
internal sealed class ShortThreadsWorkload : Workload
{
    private const int ThreadsInTurn = 8;
    private const int PairsOfThread = 2000;
    private const int Held = 200;

    public override string Name => "short-threads";

    public override string Summary =>
        "Starts threads that each allocate and free 2,000 objects of 16 to 1015 bytes, of which they hold 200; a thread's start and end are in the time.";

    public override WorkloadThreads Threads => WorkloadThreads.Team;

    public override WorkloadRun Start<TAllocator, TBlock>(WorkloadSettings settings) => new Waves<TAllocator, TBlock>(settings.Threads);

    private sealed class Waves<TAllocator, TBlock> : WorkloadRun
        where TAllocator : struct, IAllocator<TBlock>
        where TBlock : struct, IBlock
    {
        private readonly Life[] _lives;
        private readonly Thread[] _started;
        private readonly WorkerThreads _threads = new();

        public Waves(int threads)
        {
            _started = new Thread[threads];
            _lives = new Life[threads];
            for (int thread = 0; thread < threads; thread++)
            {
                _lives[thread] = new Life(thread);
            }
        }

        public override long Operations => (long)_lives.Length * ThreadsInTurn * PairsOfThread;

        /// <summary>At most: if all threads hold the largest objects.</summary>
        public override long PeakBytes => (long)_lives.Length * Held * Sequences.SizeBytesEnd;

        public override ulong Round()
        {
            ulong hash = 0;
            for (int turn = 0; turn < ThreadsInTurn; turn++)
            {
                for (int thread = 0; thread < _lives.Length; thread++)
                {
                    _started[thread] = _threads.Start(_lives[thread].Live);
                }

                for (int thread = 0; thread < _lives.Length; thread++)
                {
                    _started[thread].Join();
                    hash += _lives[thread].Hash;
                }

                _threads.ThrowIfFailed();
            }

            return hash;
        }

        /// <summary>What a thread does, and the table that it does it with.</summary>
        private sealed class Life
        {
            private readonly TBlock[] _held = new TBlock[Held];
            private readonly ushort[] _sizes;
            private readonly byte[] _targets = new byte[PairsOfThread];

            public Life(int index)
            {
                _sizes = Sequences.Sizes(PairsOfThread, index);
                Random random = Sequences.Generator(index + 1000);
                for (int pair = 0; pair < PairsOfThread; pair++)
                {
                    _targets[pair] = (byte)random.Next(Held);
                }
            }

            /// <summary>Of the marks that the last thread read.</summary>
            public ulong Hash { get; private set; }

            public void Live()
            {
                Hash = 0;
                for (int pair = 0; pair < PairsOfThread; pair++)
                {
                    ref TBlock slot = ref _held[_targets[pair]];
                    ReadAndFree(ref slot);
                    slot = TAllocator.Alloc(_sizes[pair]);
                    slot.Write(_sizes[pair]);
                }

                foreach (ref TBlock slot in _held.AsSpan())
                {
                    ReadAndFree(ref slot);
                }
            }

            private void ReadAndFree(ref TBlock slot)
            {
                if (!slot.IsEmpty)
                {
                    Hash += slot.Read();
                    TAllocator.Free(slot);
                    slot = default;
                }
            }
        }
    }
}
