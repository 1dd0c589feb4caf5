using System;
using Kmem.Tool.Bench.Allocators;
using Kmem.Tool.Bench.Measuring;

namespace Kmem.Tool.Bench.Workloads;

/// <summary>
/// A large program has many types, and few objects of most: what an allocator keeps for each type, and whether that fits into the
/// processor's caches, decides here.
/// </summary>
internal sealed class ManyCachesWorkload : Workload
{
    private const int Types = 1000;
    private const int Live = 20_000;

    public override string Name => "caches-1000";

    public override string Summary => "Keeps 20,000 objects of 1,000 types, one for each size of 16 to 1015 bytes, and replaces one at random by one of another type.";

    public override bool HasLatency => true;

    public override bool StartAllocates => false;

    public override WorkloadRun Start<TAllocator, TBlock>(WorkloadSettings settings) => new Slots<TAllocator, TBlock>(settings);

    private sealed class Slots<TAllocator, TBlock> : MeteredRun
        where TAllocator : struct, IAllocator<TBlock>
        where TBlock : struct, IBlock
    {
        private const int StepsOfRound = 1 << 16;

        private readonly TBlock[] _slots = new TBlock[Live];
        private readonly ushort[] _types = new ushort[Live];
        private readonly int[] _sizes = new int[Types];
        private readonly ushort[] _targets = new ushort[StepsOfRound];
        private readonly ushort[] _stepTypes = new ushort[StepsOfRound];
        private long _requestedBytes;
        private long _peakBytes;

        public Slots(WorkloadSettings settings)
        {
            for (int type = 0; type < Types; type++)
            {
                _sizes[type] = Sequences.SizeBytesMin + type;
            }

            TypeDefinitions<TAllocator, TBlock>.DefineOnce(_sizes);
            Random random = Sequences.Generator(settings.Index);
            for (int step = 0; step < StepsOfRound; step++)
            {
                _targets[step] = (ushort)random.Next(Live);
                _stepTypes[step] = (ushort)random.Next(Types);
            }
        }

        public override long Operations => StepsOfRound;

        public override long PeakBytes => _peakBytes;

        protected override ulong Run<TMeter>(TMeter meter)
        {
            if (_requestedBytes == 0)
            {
                Fill();
            }

            ulong hash = 0;
            long requested = _requestedBytes;
            for (int step = 0; step < StepsOfRound; step++)
            {
                int slot = _targets[step];
                int freed = _types[slot];
                int type = _stepTypes[step];
                int size = _sizes[type];
                requested += size - _sizes[freed];
                long start = meter.Start();
                TAllocator.FreeTyped(freed, _slots[slot]);
                TBlock block = TAllocator.AllocTyped(type, size);
                meter.Stop(start);
                block.Write((ulong)type);
                _slots[slot] = block;
                _types[slot] = (ushort)type;
                hash += (ulong)type;
            }

            _requestedBytes = requested;
            _peakBytes = Math.Max(_peakBytes, requested);
            return hash;
        }

        public override void Dispose()
        {
            for (int slot = 0; slot < Live && !_slots[slot].IsEmpty; slot++)
            {
                if (_slots[slot].Read() != _types[slot])
                {
                    throw new DamagedBlockException(slot);
                }

                TAllocator.FreeTyped(_types[slot], _slots[slot]);
            }

            base.Dispose();
        }

        private void Fill()
        {
            for (int slot = 0; slot < Live; slot++)
            {
                int type = slot % Types;
                _slots[slot] = TAllocator.AllocTyped(type, _sizes[type]);
                _slots[slot].Write((ulong)type);
                _types[slot] = (ushort)type;
                _requestedBytes += _sizes[type];
            }

            _peakBytes = _requestedBytes;
        }
    }
}
