using System;
using System.Globalization;
using Kmem.Tool.Bench.Allocators;

namespace Kmem.Tool.Bench.Workloads;

/// <summary>In which order a batch is freed.</summary>
internal enum BatchOrder
{
    /// <summary>The oldest first.</summary>
    Fifo,

    /// <summary>The youngest first.</summary>
    Lifo,

    /// <summary>At random.</summary>
    Shuffled,
}

/// <summary>So many objects of 64 bytes allocated, then all freed.</summary>
internal sealed class BatchWorkload : Workload
{
    private const int SizeBytes = 64;
    private const int PairsOfRound = 10_000;

    private readonly int _objects;
    private readonly BatchOrder _order;

    public BatchWorkload(int objects, BatchOrder order)
    {
        _objects = objects;
        _order = order;
    }

    public override string Name => $"batch-{(_objects < 100_000 ? _objects.ToString(CultureInfo.InvariantCulture) : "100k")}{Suffix}";

    public override string Summary
    {
        get
        {
            string order = _order switch
            {
                BatchOrder.Fifo => "in the same order",
                BatchOrder.Lifo => "the youngest first",
                _ => "in random order",
            };
            return $"Allocates {_objects.ToString("N0", CultureInfo.InvariantCulture)} times 64 bytes, then frees them {order}.";
        }
    }

    private string Suffix => _order switch
    {
        BatchOrder.Fifo => "",
        BatchOrder.Lifo => "-lifo",
        _ => "-shuffled",
    };

    public override WorkloadRun Start<TAllocator, TBlock>(WorkloadSettings settings) => new Batches<TAllocator, TBlock>(_objects, _order, settings);

    private sealed class Batches<TAllocator, TBlock> : WorkloadRun
        where TAllocator : struct, IAllocator<TBlock>
        where TBlock : struct, IBlock
    {
        private readonly TBlock[] _blocks;
        private readonly int[] _freeOrder;
        private readonly int _batches;

        public Batches(int objects, BatchOrder order, WorkloadSettings settings)
        {
            _blocks = new TBlock[objects];
            _freeOrder = Sequences.Shuffled(objects, settings.Index);
            if (order != BatchOrder.Shuffled)
            {
                Array.Sort(_freeOrder);
            }

            if (order == BatchOrder.Lifo)
            {
                Array.Reverse(_freeOrder);
            }

            _batches = Math.Max(1, PairsOfRound / objects);
        }

        public override long Operations => (long)_batches * _blocks.Length;

        public override long PeakBytes => (long)_blocks.Length * SizeBytes;

        public override ulong Round()
        {
            ulong hash = 0;
            for (int batch = 0; batch < _batches; batch++)
            {
                TBlock[] blocks = _blocks;
                for (int at = 0; at < blocks.Length; at++)
                {
                    TBlock block = TAllocator.Alloc(SizeBytes);
                    block.Write((ulong)at);
                    blocks[at] = block;
                }

                foreach (int at in _freeOrder)
                {
                    hash += blocks[at].Read();
                    TAllocator.Free(blocks[at]);
                }
            }

            return hash;
        }
    }
}
