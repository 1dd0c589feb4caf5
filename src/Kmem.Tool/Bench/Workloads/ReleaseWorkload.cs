using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Threading;
using Kmem.Tool.Bench.Allocators;
using Kmem.Tool.Bench.Measuring;

namespace Kmem.Tool.Bench.Workloads;

/// <summary>
/// A program that was large for a moment. After it has freed most of its objects, at random, and later all of them, it does nothing:
/// what goes back to the system then, and when, is the allocator's own doing.
/// </summary>
internal sealed class ReleaseWorkload : Workload
{
    public override string Name => "release";

    public override string Summary =>
        "Grows to 1 GiB of objects, nearly all of 16 to 1015 bytes, frees 90 % of them at random, waits 10 seconds, frees the rest, waits again.";

    public override WorkloadThreads Threads => WorkloadThreads.Fixed;

    public override bool IsOnce => true;

    public override bool StartAllocates => false;

    public override WorkloadRun Start<TAllocator, TBlock>(WorkloadSettings settings) => new Once<TAllocator, TBlock>(settings.Memory!);

    private sealed class Once<TAllocator, TBlock> : WorkloadRun
        where TAllocator : struct, IAllocator<TBlock>
        where TBlock : struct, IBlock
    {
        /// <summary>Calls of so many objects: soon there are enough of them that their code is compiled for good.</summary>
        private const int Chunk = 1024;

        private readonly MemoryWatch _memory;
        private readonly ushort[] _sizes = ReleaseSizes.Create();
        private readonly int[] _freeOrder;
        private readonly TBlock[] _blocks;
        private readonly Dictionary<string, double> _figures = [];
        private long _requestedBytes;
        private TimeSpan _worked;

        public Once(MemoryWatch memory)
        {
            _memory = memory;
            _freeOrder = Sequences.Shuffled(_sizes.Length, index: 0);
            _blocks = new TBlock[_sizes.Length];

            // Written to, so that it is resident before the growth is counted.
            Array.Clear(_blocks);
        }

        public override long Operations => _sizes.Length;

        public override long PeakBytes => ReleaseSizes.Sum(_sizes);

        public override IEnumerable<KeyValuePair<string, double>> Figures => _figures;

        public override ulong Round()
        {
            int most = (int)(_sizes.Length * 0.9);
            long began = Stopwatch.GetTimestamp();
            for (int first = 0; first < _sizes.Length; first += Chunk)
            {
                Allocate(first, Math.Min(first + Chunk, _sizes.Length));
            }

            ulong hash = Free(0, most);
            _worked += Stopwatch.GetElapsedTime(began);
            Watch(WorkloadFigures.RssAfter1Second, WorkloadFigures.RssAfter10Seconds);

            began = Stopwatch.GetTimestamp();
            hash += Free(most, _sizes.Length);
            _worked += Stopwatch.GetElapsedTime(began);
            Watch(WorkloadFigures.RssAfterAll1Second, WorkloadFigures.RssAfterAll10Seconds);
            _figures[WorkloadFigures.WorkSeconds] = _worked.TotalSeconds;
            return hash;
        }

        private void Allocate(int first, int end)
        {
            for (int at = first; at < end; at++)
            {
                TBlock block = TAllocator.Alloc(_sizes[at]);
                block.Write((ulong)at);
                block.TouchPages(_sizes[at]);
                _blocks[at] = block;
                _requestedBytes += _sizes[at];
            }

            _memory.RequestedBytes = _requestedBytes;
        }

        private ulong Free(int first, int end)
        {
            ulong hash = 0;
            for (; first < end; first += Chunk)
            {
                hash += FreeChunk(first, Math.Min(first + Chunk, end));
            }

            return hash;
        }

        private ulong FreeChunk(int first, int end)
        {
            ulong hash = 0;
            for (int order = first; order < end; order++)
            {
                int at = _freeOrder[order];
                ulong mark = _blocks[at].Read();
                if (mark != (ulong)at)
                {
                    throw new DamagedBlockException(at);
                }

                TAllocator.Free(_blocks[at]);
                _blocks[at] = default;
                _requestedBytes -= _sizes[at];
                hash += mark + _sizes[at];
            }

            _memory.RequestedBytes = _requestedBytes;
            return hash;
        }

        private void Watch(string after1Second, string after10Seconds)
        {
            Thread.Sleep(TimeSpan.FromSeconds(1));
            _figures[after1Second] = _memory.RssBytes;
            Thread.Sleep(TimeSpan.FromSeconds(9));
            _figures[after10Seconds] = _memory.RssBytes;
        }
    }
}
