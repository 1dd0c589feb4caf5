using System;
using System.Collections.Generic;
using System.Diagnostics.CodeAnalysis;

namespace Kmem.Tests.Unit.Pools;

/// <summary>The kinds of pools that every test of the contract runs on, each on a heap of its own.</summary>
internal sealed class TestPool : IDisposable
{
    public const int BlockBytes = 4096;

    private readonly KmemCache? _cache;

    public TestPool(string kind, Action<SlabMemoryPoolOptions>? set = null)
    {
        Heap = new KmemHeap(new KmemHeapOptions { Name = "pools", MaintenanceIntervalMilliseconds = 0 });
        SlabMemoryPoolOptions options = new() { Name = "test-pool", Heap = Heap };
        if (kind == "blocks")
        {
            options.BlockBytes = BlockBytes;
        }
        else if (kind == "cache")
        {
            options.Cache = _cache = new KmemCache("blocks", BlockBytes, new KmemCacheOptions { Heap = Heap });
        }

        set?.Invoke(options);
        Pool = new SlabMemoryPool(options);
    }

    public static IReadOnlyList<string> All { get; } = ["any", "blocks", "cache"];

    public KmemHeap Heap { get; }

    public SlabMemoryPool Pool { get; }

    [SuppressMessage("Usage", "CA1816", Justification = "No finalizer.")]
    public void Dispose()
    {
        Pool.Dispose();
        Heap.Validate();
        _cache?.Dispose();
        Heap.Dispose();
    }
}
