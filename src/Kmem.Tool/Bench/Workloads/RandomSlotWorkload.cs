using System;
using System.Globalization;
using Kmem.Tool.Bench.Allocators;
using Kmem.Tool.Bench.Measuring;

namespace Kmem.Tool.Bench.Workloads;

/// <summary>Many live objects of mixed sizes; one of them at random is replaced by one of another size.</summary>
internal sealed class RandomSlotWorkload : Workload
{
    private readonly int _live;

    public RandomSlotWorkload(int live) => _live = live;

    public override string Name => _live >= 1_000_000 ? "random-1m" : "random-10k";

    public override string Summary =>
        $"Keeps {_live.ToString("N0", CultureInfo.InvariantCulture)} objects of 16 to 1015 bytes and replaces one at random.";

    public override bool HasLatency => true;

    public override WorkloadRun Start<TAllocator, TBlock>(WorkloadSettings settings) => new Slots<TAllocator, TBlock>(_live, settings);

    private sealed class Slots<TAllocator, TBlock> : MeteredRun
        where TAllocator : struct, IAllocator<TBlock>
        where TBlock : struct, IBlock
    {
        private const int StepsOfRound = 1 << 16;

        private readonly TBlock[] _slots;
        private readonly ushort[] _sizes;
        private readonly int[] _targets;
        private readonly ushort[] _stepSizes;
        private long _requestedBytes;
        private long _peakBytes;

        public Slots(int live, WorkloadSettings settings)
        {
            _slots = new TBlock[live];
            _sizes = Sequences.Sizes(live, settings.Index);

            // Every slot should have its turn in a round: else a few of a million would stay hot.
            int steps = live > StepsOfRound ? live : StepsOfRound;
            _stepSizes = Sequences.Sizes(steps, settings.Index + 1000);
            _targets = new int[steps];
            Random random = Sequences.Generator(settings.Index + 2000);
            for (int step = 0; step < steps; step++)
            {
                _targets[step] = random.Next(live);
            }

            for (int slot = 0; slot < live; slot++)
            {
                _slots[slot] = TAllocator.Alloc(_sizes[slot]);
                _slots[slot].Write(_sizes[slot]);
                _requestedBytes += _sizes[slot];
            }

            _peakBytes = _requestedBytes;
        }

        public override long Operations => _targets.Length;

        public override long PeakBytes => _peakBytes;

        protected override ulong Run<TMeter>(TMeter meter)
        {
            ulong hash = 0;
            long requested = _requestedBytes;
            for (int step = 0; step < _targets.Length; step++)
            {
                int slot = _targets[step];
                ushort size = _stepSizes[step];
                requested += size - _sizes[slot];
                long start = meter.Start();
                TAllocator.Free(_slots[slot]);
                TBlock block = TAllocator.Alloc(size);
                meter.Stop(start);
                block.Write(size);
                _slots[slot] = block;
                _sizes[slot] = size;
                hash += size;
            }

            _requestedBytes = requested;
            _peakBytes = requested > _peakBytes ? requested : _peakBytes;
            return hash;
        }

        public override void Dispose()
        {
            // Reading marks in the rounds would fetch objects into the cache that a program has long forgotten.
            for (int slot = 0; slot < _slots.Length; slot++)
            {
                if (_slots[slot].Read() != _sizes[slot])
                {
                    throw new DamagedBlockException(slot);
                }

                TAllocator.Free(_slots[slot]);
            }

            base.Dispose();
        }
    }
}
