using System;
using System.Collections.Generic;
using Xunit;

namespace Kmem.Tests.Model.Kmalloc;

/// <summary>One operation: what it is, and three numbers that it reads as it likes.</summary>
internal readonly record struct KmallocOperation(KmallocOperationKind Kind, int A, int B, int C);

internal enum KmallocOperationKind
{
    Alloc,
    AllocZeroed,
    AllocAligned,
    Realloc,
    Free,
    FreeSized,
    FreeWrongSize,
    AllocPages,
    FreePages,
    Trim,
    Maintain,
    Validate,
}

/// <summary>
/// A heap beside the plainest description of it: the live blocks in the order of their addresses. Every block is full of its own pattern up to
/// its usable size, and the pattern must be there when the block is resized or freed.
/// </summary>
internal sealed unsafe class KmallocModel(KmemHeap heap, SizedMemory memory, KmemSizeClasses classes)
{
    private const int OperationsPerCheck = 16;

    private readonly List<Block> _blocks = [];
    private int _lastId;
    private int _operations;

    public void Apply(KmallocOperation operation)
    {
        switch (operation.Kind)
        {
            case KmallocOperationKind.Alloc:
                Alloc(operation);
                break;
            case KmallocOperationKind.AllocZeroed:
                AllocZeroed(operation);
                break;
            case KmallocOperationKind.AllocAligned:
                AllocAligned(operation);
                break;
            case KmallocOperationKind.Realloc:
                Realloc(operation);
                break;
            case KmallocOperationKind.AllocPages:
                AllocPages(operation);
                break;
            case KmallocOperationKind.Trim:
                _ = heap.Trim();
                KmemStatistics trimmed = heap.GetStatistics();
                Assert.Equal(0ul, trimmed.MagazineBytes + trimmed.DepotBytes + trimmed.EmptySlabBytes + trimmed.FreePageBytes);
                break;
            case KmallocOperationKind.Maintain:
                heap.Maintain();
                break;
            case KmallocOperationKind.Validate:
                Check();
                break;
            default:
                FreeOne(operation);
                break;
        }

        if (++_operations % OperationsPerCheck == 0)
        {
            Check();
        }
    }

    /// <summary>With everything freed and trimmed, the heap holds nothing but its own tables.</summary>
    public void Finish()
    {
        Check();
        while (_blocks.Count != 0)
        {
            int index = _blocks.Count / 2;
            FreeAt(index, sized: _blocks[index].Id % 2 == 0);
        }

        _ = heap.Trim();
        Check();
        KmemStatistics statistics = heap.GetStatistics();
        Assert.Equal(statistics.MetadataBytes, statistics.CommittedBytes);
        if (classes == KmemSizeClasses.Default)
        {
            // The kernel's class of 8 bytes keeps its tables of bits, which are metadata.
            Assert.Equal(0, statistics.Pages.AllocatedPages);
        }

        foreach (KmemCacheStatistics cache in statistics.Caches)
        {
            Assert.True(cache is { LiveObjects: 0, Slabs: 0 }, $"{cache.Name}: {cache.LiveObjects} live objects, {cache.Slabs} slabs.");
        }
    }

    /// <summary>The heap's structures hold, its bytes add up, and its counts are those of the model.</summary>
    private void Check()
    {
        heap.Validate();
        KmemStatistics s = heap.GetStatistics();
        Assert.Equal(
            s.CommittedBytes,
            s.RequestedBytes + s.SizeClassBytes + s.RoundingBytes + s.MagazineBytes + s.DepotBytes + s.FreeInSlabBytes
            + s.EmptySlabBytes + s.SlabTailBytes + s.FreePageBytes + s.MetadataBytes);
        long pages = 0;
        long large = 0;
        ulong largeBytes = 0;
        ulong classBytes = 0;
        foreach (Block block in _blocks)
        {
            bool isLarge = block.Order < 0 && block.IsRun;
            pages += block.Order >= 0 ? 1L << block.Order : 0;
            large += isLarge ? 1 : 0;
            largeBytes += isLarge ? block.SizeBytes : 0;
            classBytes += block.Order < 0 && !block.IsRun ? block.UsableBytes : 0;
        }

        Assert.Equal(pages, s.PagesInUse);
        Assert.Equal(large, s.LargeAllocations);
        Assert.Equal(largeBytes, s.LargeRequestedBytes);
        Assert.Equal(classBytes, s.SizeClassBytes);
        Assert.Equal(largeBytes + ((ulong)pages << 12), s.RequestedBytes);
    }

    private void Alloc(KmallocOperation operation)
    {
        nuint size = SizeFrom(operation);
        void* start = memory.Alloc(size);
        Assert.Equal(heap.RoundUpSize(size), Own(start, size, AlignmentFor(size)).UsableBytes);
    }

    private void AllocZeroed(KmallocOperation operation)
    {
        nuint size = SizeFrom(operation);
        void* start = memory.AllocZeroed(size);
        if (size != 0)
        {
            Assert.Equal(-1, new ReadOnlySpan<byte>(start, (int)size).IndexOfAnyExcept((byte)0));
        }

        _ = Own(start, size, AlignmentFor(size));
    }

    private void AllocAligned(KmallocOperation operation)
    {
        nuint size = SizeFrom(operation);
        nuint alignment = (nuint)1 << (operation.C % (operation.B % 5 == 0 ? 21 : 13));
        _ = Own(memory.AllocAligned(size, alignment), size, alignment);
    }

    private void Realloc(KmallocOperation operation)
    {
        nuint size = SizeFrom(operation);
        int index = FindBlock(operation.C, isPages: false);
        if (index < 0)
        {
            _ = Own(memory.Realloc(null, size), size, AlignmentFor(size));
            return;
        }

        // Half of the new sizes are near the old one, where the block may stay in place.
        Block block = _blocks[index];
        size = operation.C % 2 == 0 ? size : block.SizeBytes + (nuint)(operation.C % 8192);
        void* moved = memory.Realloc((void*)block.Start, size);
        _blocks.RemoveAt(index);
        Pattern.Check(moved, size < block.UsableBytes ? size : block.UsableBytes, block.Id);
        _ = Own(moved, size, 8);
    }

    private void AllocPages(KmallocOperation operation)
    {
        int order = operation.A % (operation.B % 8 == 0 ? PageAllocator.MaxOrder + 1 : 5);
        void* start = heap.Pages.Alloc(order, (KmemMobility)(operation.C % 3));
        nuint size = (nuint)PageAllocator.PageSizeBytes << order;
        Assert.Equal((nuint)0, (nuint)start % size);
        Insert(new Block { Start = (nuint)start, SizeBytes = size, UsableBytes = size, Id = ++_lastId, Order = order });
    }

    private void FreeOne(KmallocOperation operation)
    {
        int index = FindBlock(operation.A, isPages: operation.Kind == KmallocOperationKind.FreePages);
        if (index >= 0 && operation.Kind == KmallocOperationKind.FreeWrongSize)
        {
            Block block = _blocks[index];
            KmemMisuseException mistake = Assert.Throws<KmemMisuseException>(() => memory.Free((void*)block.Start, block.UsableBytes + 1));
            Assert.Equal(KmemMisuse.WrongSize, mistake.Misuse);
        }
        else if (index >= 0)
        {
            FreeAt(index, sized: operation.Kind == KmallocOperationKind.FreeSized || operation.B % 2 == 0);
        }
    }

    private void FreeAt(int index, bool sized)
    {
        Block block = _blocks[index];
        _blocks.RemoveAt(index);
        Pattern.Check((void*)block.Start, block.UsableBytes, block.Id);
        switch (block.Order >= 0, sized)
        {
            case (true, true):
                heap.Pages.Free((void*)block.Start, block.Order);
                break;
            case (true, false):
                heap.Pages.Free((void*)block.Start);
                break;
            case (false, true):
                memory.Free((void*)block.Start, block.SizeBytes);
                break;
            default:
                memory.Free((void*)block.Start);
                break;
        }
    }

    /// <summary>The model's side of every allocation: aligned, large enough, and over no other block.</summary>
    private Block Own(void* start, nuint size, nuint alignment)
    {
        Assert.True(start != null);
        Assert.Equal((nuint)0, (nuint)start % alignment);
        nuint usable = heap.UsableSize(start);
        Assert.True(usable >= size, $"{usable} usable bytes of {size}.");
        Block block = new() { Start = (nuint)start, SizeBytes = size, UsableBytes = usable, Id = ++_lastId };
        block.IsRun = size != 0 && heap.Describe(start).Contains("large allocation", StringComparison.Ordinal);
        Insert(block);
        return block;
    }

    private void Insert(Block block)
    {
        // Blocks without a byte may share one address.
        int index = LowerBound(block.Start);
        if (block.UsableBytes != 0)
        {
            Assert.True(index == _blocks.Count || block.Start + block.UsableBytes <= _blocks[index].Start, "Two live blocks overlap.");
            Assert.True(index == 0 || _blocks[index - 1].Start + _blocks[index - 1].UsableBytes <= block.Start, "Two live blocks overlap.");
        }

        _blocks.Insert(index, block);
        Pattern.Fill((void*)block.Start, block.UsableBytes, block.Id);
    }

    private int LowerBound(nuint start)
    {
        int low = 0;
        int high = _blocks.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            (low, high) = _blocks[middle].Start < start ? (middle + 1, high) : (low, middle);
        }

        return low;
    }

    private int FindBlock(int at, bool isPages)
    {
        for (int tried = 0; tried < _blocks.Count; tried++)
        {
            int index = (int)(((long)at + tried) % _blocks.Count);
            if (_blocks[index].Order >= 0 == isPages)
            {
                return index;
            }
        }

        return -1;
    }

    /// <summary>What the documentation of <see cref="Kmem.Kmalloc"/> promises.</summary>
    private nuint AlignmentFor(nuint size) => size switch
    {
        > 32 * 1024 => 4096,
        <= 8 when classes == KmemSizeClasses.Kernel => 8,
        <= 4096 when size >= 16 && nuint.IsPow2(size) => size,
        _ => 16,
    };

    private static nuint SizeFrom(KmallocOperation operation) => (nuint)(operation.A % ((operation.B % 16) switch
    {
        0 => 1 << 20,
        1 => 100_000,
        2 or 3 or 4 => 40_000,
        5 or 6 or 7 => 4097,
        8 => 1 + (operation.C % 3),
        9 => 17,
        _ => 300,
    }));

    private sealed class Block
    {
        public nuint Start;
        public nuint SizeBytes;
        public nuint UsableBytes;
        public int Id;
        public bool IsRun;

        /// <summary>Of a block of pages; else -1.</summary>
        public int Order = -1;
    }
}
