using Kmem.Tool.Bench.Allocators;
using Kmem.Tool.Bench.Measuring;

namespace Kmem.Tool.Bench.Workloads;

/// <summary>The shortest life that an object can have: allocated, marked, freed.</summary>
internal sealed class PairWorkload : Workload
{
    private readonly bool _isRandom;

    public PairWorkload(bool isRandom) => _isRandom = isRandom;

    public override string Name => _isRandom ? "pair-random" : "pair-64";

    public override string Summary => _isRandom
        ? "Allocates 16 to 1015 bytes, writes to them, and frees them at once."
        : "Allocates 64 bytes, writes to them, and frees them at once.";

    public override bool HasLatency => true;

    public override WorkloadRun Start<TAllocator, TBlock>(WorkloadSettings settings) =>
        _isRandom ? new RandomRun<TAllocator, TBlock>(settings) : new ConstantRun<TAllocator, TBlock>();

    private sealed class ConstantRun<TAllocator, TBlock> : MeteredRun
        where TAllocator : struct, IAllocator<TBlock>
        where TBlock : struct, IBlock
    {
        private const int Pairs = 1 << 14;
        private const int SizeBytes = 64;

        public override long Operations => Pairs;

        protected override ulong Run<TMeter>(TMeter meter)
        {
            ulong hash = 0;
            for (int pair = 0; pair < Pairs; pair++)
            {
                long start = meter.Start();
                TBlock block = TAllocator.Alloc(SizeBytes);
                block.Write((ulong)pair);
                hash += block.Read();
                TAllocator.Free(block);
                meter.Stop(start);
            }

            return hash;
        }
    }

    private sealed class RandomRun<TAllocator, TBlock> : MeteredRun
        where TAllocator : struct, IAllocator<TBlock>
        where TBlock : struct, IBlock
    {
        private readonly ushort[] _sizes;

        public RandomRun(WorkloadSettings settings) => _sizes = Sequences.Sizes(1 << 14, settings.Index);

        public override long Operations => _sizes.Length;

        protected override ulong Run<TMeter>(TMeter meter)
        {
            ulong hash = 0;
            foreach (ushort sizeBytes in _sizes)
            {
                long start = meter.Start();
                TBlock block = TAllocator.Alloc(sizeBytes);
                block.Write(sizeBytes);
                hash += block.Read();
                TAllocator.Free(block);
                meter.Stop(start);
            }

            return hash;
        }
    }
}
