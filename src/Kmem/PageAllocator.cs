using System;
using Kmem.Diagnostics;
using Kmem.Engine;
using Kmem.Engine.Caches;
using Kmem.Engine.Pages;
using Kmem.Engine.Sized;

namespace Kmem;

/// <summary>Lifetime of pages, so that what lives long does not pin what could be given back. The names are the kernel's mobility types.</summary>
public enum KmemMobility
{
    /// <summary>Lives long.</summary>
    Unmovable,

    /// <summary>Can be freed on demand.</summary>
    Reclaimable,

    /// <summary>Short-lived.</summary>
    Movable,
}

/// <summary>
/// The buddy allocator of a heap: blocks of 2^order pages, each aligned to its size. <c>alloc_pages</c> and <c>free_pages</c> of the kernel.
/// </summary>
/// <remarks>Thread-safe. Blocks live until they are freed. Contents are not initialised.</remarks>
public sealed unsafe class PageAllocator
{
    /// <summary>The largest order: 4 MiB.</summary>
    public const int MaxOrder = Order.Max;

    /// <summary>Size of a page in bytes.</summary>
    public const int PageSizeBytes = 4096;

    private readonly KmemHeap _heap;

    internal PageAllocator(KmemHeap heap) => _heap = heap;

    /// <summary>A block of 2^<paramref name="order"/> pages.</summary>
    /// <param name="order">0 to 10.</param>
    /// <param name="mobility">How long it will live.</param>
    /// <returns>The block, aligned to its size. Never null.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The order or the mobility is out of range.</exception>
    /// <exception cref="OutOfMemoryException">Memory is out.</exception>
    /// <safety>The caller accesses no more than 4096 × 2^order bytes and does not use the block after freeing it.</safety>
    public void* Alloc(int order, KmemMobility mobility = KmemMobility.Movable)
    {
        void* pages = TryAlloc(order, mobility);
        return pages != null ? pages : throw _heap.OutOfMemory($"a block of order {order} ({Order.Bytes(order):N0} bytes)");
    }

    /// <summary>Like <see cref="Alloc"/>, but returns null when memory is out.</summary>
    /// <param name="order">0 to 10.</param>
    /// <param name="mobility">How long it will live.</param>
    /// <returns>The block, or null.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The order or the mobility is out of range.</exception>
    /// <safety>As for <see cref="Alloc"/>.</safety>
    public void* TryAlloc(int order, KmemMobility mobility = KmemMobility.Movable)
    {
        if ((uint)order > MaxOrder)
        {
            throw new ArgumentOutOfRangeException(nameof(order), order, $"An order is 0 to {MaxOrder}.");
        }

        if ((uint)mobility > (uint)KmemMobility.Movable)
        {
            throw new ArgumentOutOfRangeException(nameof(mobility), mobility, "There are three mobilities.");
        }

        ObjectDisposedException.ThrowIf(_heap.IsDisposed, _heap);
        void* pages = SizedHeap.AllocatePages(_heap.Core, order, (Mobility)mobility, CacheRegistry.CpuHint(&_heap.Core->Registry));
        if (pages == null && !Face.TakeInjectedFault())
        {
            SizedHeap.ReclaimUnused(_heap.Core);
            pages = SizedHeap.AllocatePages(_heap.Core, order, (Mobility)mobility, CacheRegistry.CpuHint(&_heap.Core->Registry));
        }

        return pages;
    }

    /// <summary>Frees a block.</summary>
    /// <param name="pages">A block of this allocator; null is allowed.</param>
    /// <exception cref="KmemMisuseException">The address is not the start of a live block.</exception>
    /// <safety>The block is not used afterwards by anyone.</safety>
    public void Free(void* pages) => FreeChecked(pages, -1);

    /// <summary>Frees a block whose order the caller knows; it is checked.</summary>
    /// <param name="pages">A block of this allocator; null is allowed.</param>
    /// <param name="order">The order that it was allocated with.</param>
    /// <exception cref="KmemMisuseException">The address is not the start of a live block, or the order is wrong.</exception>
    /// <safety>The block is not used afterwards by anyone.</safety>
    public void Free(void* pages, int order)
    {
        if ((uint)order > MaxOrder)
        {
            throw new ArgumentOutOfRangeException(nameof(order), order, $"An order is 0 to {MaxOrder}.");
        }

        FreeChecked(pages, order);
    }

    /// <summary>Figures of this moment.</summary>
    /// <returns>The figures.</returns>
    public KmemPageStatistics GetStatistics()
    {
        ObjectDisposedException.ThrowIf(_heap.IsDisposed, _heap);
        return PageStatisticsReader.Read(&_heap.Core->Zone);
    }

    private void FreeChecked(void* pages, int order)
    {
        ObjectDisposedException.ThrowIf(_heap.IsDisposed, _heap);
        if (pages != null)
        {
            Misuse misuse = SizedHeap.FreePages(_heap.Core, pages, order, CacheRegistry.CpuHint(&_heap.Core->Registry));
            if (misuse != Misuse.None)
            {
                _heap.ThrowIfMisuse(misuse, pages, order < 0 ? "Free of pages" : $"Free of a block of order {order}");
            }
        }
    }
}
