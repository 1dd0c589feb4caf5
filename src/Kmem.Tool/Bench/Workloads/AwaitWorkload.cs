using System;
using System.Threading.Tasks;
using Kmem.Tool.Bench.Allocators;

namespace Kmem.Tool.Bench.Workloads;

/// <summary>
/// Memory that lives across an <c>await</c>. Every wait suspends and is resumed by the thread pool, often on another thread: objects
/// are freed where nobody allocated them, and the order is the scheduler's. Its cost is in the figure.
/// </summary>
internal sealed class AwaitWorkload : Workload
{
    private const int Loops = 64;
    private const int AwaitsOfLoop = 128;
    private const int ObjectsOfAwait = 8;

    public override string Name => "await";

    public override string Summary =>
        "64 loops on the thread pool: each allocates 8 objects of 64 to 1000 bytes, awaits its next turn, and frees them; an operation is one await with its 8 objects.";

    public override string Operation => "await";

    public override WorkloadThreads Threads => WorkloadThreads.Fixed;

    public override WorkloadRun Start<TAllocator, TBlock>(WorkloadSettings settings) => new Turns<TAllocator, TBlock>();

    private sealed class Turns<TAllocator, TBlock> : WorkloadRun
        where TAllocator : struct, IAllocator<TBlock>
        where TBlock : struct, IBlock
    {
        private const int SizeBytesMin = 64;
        private const int SizeBytesMax = 1000;

        private readonly Loop[] _loops = new Loop[Loops];
        private readonly Task<ulong>[] _tasks = new Task<ulong>[Loops];

        public Turns()
        {
            for (int loop = 0; loop < Loops; loop++)
            {
                _loops[loop] = new Loop(loop);
            }
        }

        public override long Operations => Loops * AwaitsOfLoop;

        /// <summary>At most: if all loops hold the largest objects.</summary>
        public override long PeakBytes => Loops * ObjectsOfAwait * SizeBytesMax;

        public override ulong Round()
        {
            for (int loop = 0; loop < Loops; loop++)
            {
                _tasks[loop] = Task.Run(_loops[loop].Run);
            }

            ulong hash = 0;
            foreach (ulong each in Task.WhenAll(_tasks).GetAwaiter().GetResult())
            {
                hash += each;
            }

            return hash;
        }

        private sealed class Loop
        {
            private readonly TBlock[] _blocks = new TBlock[ObjectsOfAwait];
            private readonly ushort[] _sizes = new ushort[AwaitsOfLoop * ObjectsOfAwait];

            public Loop(int index)
            {
                Random random = Sequences.Generator(index);
                for (int at = 0; at < _sizes.Length; at++)
                {
                    _sizes[at] = (ushort)random.Next(SizeBytesMin, SizeBytesMax + 1);
                }
            }

            public async Task<ulong> Run()
            {
                ulong hash = 0;
                for (int turn = 0; turn < AwaitsOfLoop; turn++)
                {
                    Allocate(turn);

                    // Always suspends: the loop goes to the end of the pool's queue, behind all the others.
                    await Task.Yield();
                    hash += Free();
                }

                return hash;
            }

            private void Allocate(int turn)
            {
                for (int at = 0; at < ObjectsOfAwait; at++)
                {
                    ushort size = _sizes[(turn * ObjectsOfAwait) + at];
                    TBlock block = TAllocator.Alloc(size);
                    block.Write(size);
                    _blocks[at] = block;
                }
            }

            private ulong Free()
            {
                ulong hash = 0;
                foreach (TBlock block in _blocks)
                {
                    hash += block.Read();
                    TAllocator.Free(block);
                }

                return hash;
            }
        }
    }
}
