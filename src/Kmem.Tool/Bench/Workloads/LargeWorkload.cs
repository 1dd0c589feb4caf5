using System;
using Kmem.Tool.Bench.Allocators;
using Kmem.Tool.Bench.Measuring;

namespace Kmem.Tool.Bench.Workloads;

/// <summary>
/// Blocks beyond all size classes. Their pages are what costs: an allocator that gives them back at once has them faulted in
/// again, one that keeps them holds memory that nobody uses.
/// </summary>
internal sealed class LargeWorkload : Workload
{
    private const int Live = 16;
    private const int StepsOfRound = 64;
    private const int SizeBytesMin = 64 << 10;

    /// <summary>Sizes are spread evenly over so many doublings: up to 16 MiB.</summary>
    private const int Doublings = 8;

    public override string Name => "large";

    public override string Summary => "Keeps 16 blocks of 64 KiB to 16 MiB, small ones as likely as large ones, replaces one at random and writes to each of its pages.";

    public override bool HasLatency => true;

    public override bool StartAllocates => false;

    public override WorkloadRun Start<TAllocator, TBlock>(WorkloadSettings settings) => new Slots<TAllocator, TBlock>(settings);

    private sealed class Slots<TAllocator, TBlock> : MeteredRun
        where TAllocator : struct, IAllocator<TBlock>
        where TBlock : struct, IBlock
    {
        private readonly TBlock[] _slots = new TBlock[Live];
        private readonly int[] _sizes = new int[Live];
        private readonly int[] _targets = new int[StepsOfRound];
        private readonly int[] _stepSizes = new int[StepsOfRound];
        private long _requestedBytes;
        private long _peakBytes;

        public Slots(WorkloadSettings settings)
        {
            Random random = Sequences.Generator(settings.Index);
            for (int step = 0; step < StepsOfRound; step++)
            {
                // The first round fills the slots: each has its turn.
                _targets[step] = step < Live ? step : random.Next(Live);
                _stepSizes[step] = (int)(SizeBytesMin * Math.Pow(2, random.NextDouble() * Doublings));
            }
        }

        public override long Operations => StepsOfRound;

        public override long PeakBytes => _peakBytes;

        protected override ulong Run<TMeter>(TMeter meter)
        {
            ulong hash = 0;
            for (int step = 0; step < StepsOfRound; step++)
            {
                int slot = _targets[step];
                int size = _stepSizes[step];
                RequireMark(slot);
                long start = meter.Start();
                if (!_slots[slot].IsEmpty)
                {
                    TAllocator.Free(_slots[slot]);
                }

                TBlock block = TAllocator.Alloc(size);
                block.Write((ulong)size);
                block.TouchPages(size);
                meter.Stop(start);
                _slots[slot] = block;
                _requestedBytes += size - _sizes[slot];
                _peakBytes = Math.Max(_peakBytes, _requestedBytes);
                _sizes[slot] = size;
                hash += (ulong)size;
            }

            return hash;
        }

        public override void Dispose()
        {
            for (int slot = 0; slot < Live && !_slots[slot].IsEmpty; slot++)
            {
                RequireMark(slot);
                TAllocator.Free(_slots[slot]);
            }

            base.Dispose();
        }

        private void RequireMark(int slot)
        {
            if (!_slots[slot].IsEmpty && _slots[slot].Read() != (ulong)_sizes[slot])
            {
                throw new DamagedBlockException(slot);
            }
        }
    }
}
