using System.Collections.Generic;
using System.Runtime.CompilerServices;
using Kmem.Tool.Bench.Allocators;

namespace Kmem.Tool.Bench.Workloads;

/// <summary>
/// Buffers that grow while they are written to, as those of a list or of a text do. They are at different sizes at a time, so that
/// none has the memory behind it to itself.
/// </summary>
internal sealed class ReallocWorkload : Workload
{
    private const int Buffers = 8;
    private const int BytesMin = 16;
    private const int BytesMax = 256 << 10;

    /// <summary>A buffer starts when the one before it has grown so many times.</summary>
    private const int GrowthsBetween = 3;

    /// <summary>One mark is written for each so many bytes: every cache line of a buffer is touched.</summary>
    private const int MarkStride = 64;

    public override string Name => "realloc";

    public override string Summary =>
        "Grows 8 interleaved buffers by half from 16 bytes to 256 KiB, writes to what was added, reads all of it at the end and frees it; an operation is one growth.";

    public override string Operation => "growth";

    public override WorkloadRun Start<TAllocator, TBlock>(WorkloadSettings settings) => new Growing<TAllocator, TBlock>();

    private sealed class Growing<TAllocator, TBlock> : WorkloadRun
        where TAllocator : struct, IAllocator<TBlock>
        where TBlock : struct, IBlock
    {
        private readonly TBlock[] _buffers = new TBlock[Buffers];
        private readonly int[] _sizes = Sizes();

        public override long Operations => Buffers * (_sizes.Length - 1);

        public override long PeakBytes => (long)Buffers * BytesMax;

        public override ulong Round()
        {
            ulong hash = 0;
            int turns = _sizes.Length + 1 + ((Buffers - 1) * GrowthsBetween);
            for (int turn = 0; turn < turns; turn++)
            {
                for (int buffer = 0; buffer < Buffers; buffer++)
                {
                    int step = turn - (buffer * GrowthsBetween);
                    if (step >= 0 && step <= _sizes.Length)
                    {
                        hash += Step(buffer, step);
                    }
                }
            }

            return hash;
        }

        /// <summary>A buffer's first memory, its growths, and its end.</summary>
        private ulong Step(int buffer, int step)
        {
            ref TBlock block = ref _buffers[buffer];
            if (step == _sizes.Length)
            {
                ulong hash = ReadMarks(block, buffer);
                TAllocator.Free(block);
                block = default;
                return hash;
            }

            int oldSize = step == 0 ? 0 : _sizes[step - 1];
            block = step == 0 ? TAllocator.Alloc(_sizes[0]) : TAllocator.Realloc(block, oldSize, _sizes[step]);
            WriteMarks(block, buffer, oldSize, _sizes[step]);
            return 0;
        }

        private static void WriteMarks(TBlock block, int buffer, int oldSize, int newSize)
        {
            ref byte start = ref block.Start;
            for (int at = FirstMarkBeyond(oldSize); at + sizeof(ulong) <= newSize; at += MarkStride)
            {
                Unsafe.WriteUnaligned(ref Unsafe.Add(ref start, at), MarkOf(buffer, at));
            }
        }

        private static ulong ReadMarks(TBlock block, int buffer)
        {
            ulong hash = 0;
            ref byte start = ref block.Start;
            for (int at = 0; at + sizeof(ulong) <= BytesMax; at += MarkStride)
            {
                ulong mark = Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref start, at));
                if (mark != MarkOf(buffer, at))
                {
                    throw new DamagedBlockException(buffer);
                }

                hash += mark;
            }

            return hash;
        }

        /// <summary>The place of the first mark that did not fit into a size.</summary>
        private static int FirstMarkBeyond(int size) => size < sizeof(ulong) ? 0 : (((size - sizeof(ulong)) / MarkStride) + 1) * MarkStride;

        private static ulong MarkOf(int buffer, int at) => ((ulong)(uint)buffer << 32) | (uint)at;

        private static int[] Sizes()
        {
            List<int> sizes = [];
            for (int size = BytesMin; size < BytesMax; size += size / 2)
            {
                sizes.Add(size);
            }

            return [.. sizes, BytesMax];
        }
    }
}
