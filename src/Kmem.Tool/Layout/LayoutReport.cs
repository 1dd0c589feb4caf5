using System;
using System.Collections.Generic;
using System.Linq;

namespace Kmem.Tool.Layout;

/// <summary>The kernel's slabs beside those that the kernel's rule gives here.</summary>
internal sealed record LayoutReport
{
    public required int Matched { get; init; }

    public required int Total { get; init; }

    public required int Cpus { get; init; }

    /// <summary>All caches; those that do not match come first.</summary>
    public required IReadOnlyList<LayoutCache> Caches { get; init; }

    /// <summary>Compares caches with what <paramref name="compute"/> gives for (distance of objects, alignment).</summary>
    public static LayoutReport Compare(IEnumerable<KernelSlabCache> kernel, int cpus, Func<int, int, (int Order, int ObjectsPerSlab)> compute)
    {
        List<LayoutCache> caches = [];
        foreach (KernelSlabCache cache in kernel)
        {
            (int order, int objects) = compute(cache.SlabSizeBytes, AlignmentOf(cache.SlabSizeBytes));
            caches.Add(new LayoutCache
            {
                Name = cache.Name,
                Size = cache.SlabSizeBytes,
                Order = order,
                ObjectsPerSlab = objects,
                KernelOrder = cache.Order,
                KernelObjectsPerSlab = cache.ObjectsPerSlab,
                Match = order == cache.Order && objects == cache.ObjectsPerSlab,
            });
        }

        return new LayoutReport
        {
            Matched = caches.Count(static cache => cache.Match),
            Total = caches.Count,
            Cpus = cpus,
            Caches = [.. caches.OrderBy(static cache => cache.Match)],
        };
    }

    /// <summary>
    /// The largest power of two that divides a distance of objects: with it as alignment the distance stays as it is,
    /// since the kernel's figure already holds the alignment that it chose.
    /// </summary>
    private static int AlignmentOf(int sizeBytes) => Math.Min(sizeBytes & -sizeBytes, PageAllocator.PageSizeBytes);
}

/// <summary>One cache of a <see cref="LayoutReport"/>.</summary>
internal sealed record LayoutCache
{
    public required string Name { get; init; }

    public required int Size { get; init; }

    public required int Order { get; init; }

    public required int ObjectsPerSlab { get; init; }

    public required int KernelOrder { get; init; }

    public required int KernelObjectsPerSlab { get; init; }

    public required bool Match { get; init; }
}

/// <summary>The slab of one size.</summary>
internal sealed record SlabLayoutReport
{
    public required string Rule { get; init; }

    public required int Cpus { get; init; }

    public required long ObjectSize { get; init; }

    public required long Size { get; init; }

    public required long Alignment { get; init; }

    public required int Order { get; init; }

    public required long SlabBytes { get; init; }

    public required int ObjectsPerSlab { get; init; }

    public required long TailBytes { get; init; }
}
