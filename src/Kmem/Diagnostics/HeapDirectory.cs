using System.Collections.Generic;
using System.Threading;
using Kmem.Engine.Pages;

namespace Kmem.Diagnostics;

/// <summary>All live heaps of the process, so that a foreign pointer can be traced to its true owner. Only reports read it.</summary>
internal static unsafe class HeapDirectory
{
    private static readonly Lock s_lock = new();
    private static readonly List<KmemHeap> s_heaps = [];

    public static void Add(KmemHeap heap)
    {
        lock (s_lock)
        {
            s_heaps.Add(heap);
        }
    }

    public static void Remove(KmemHeap heap)
    {
        lock (s_lock)
        {
            s_heaps.Remove(heap);
        }
    }

    /// <summary>The heaps of this moment. Any of them may be disposed meanwhile.</summary>
    public static KmemHeap[] All()
    {
        lock (s_lock)
        {
            return [.. s_heaps];
        }
    }

    /// <summary>The heap that a registry is of, or null while it is being made or after it is gone.</summary>
    public static KmemHeap? Of(Engine.Caches.CacheRegistry* registry)
    {
        lock (s_lock)
        {
            foreach (KmemHeap heap in s_heaps)
            {
                if (&heap.Core->Registry == registry)
                {
                    return heap;
                }
            }

            return null;
        }
    }

    /// <summary>The heap whose range an address lies in, or null.</summary>
    public static KmemHeap? OwnerOf(void* address)
    {
        lock (s_lock)
        {
            foreach (KmemHeap heap in s_heaps)
            {
                if (Zone.PageOf(&heap.Core->Zone, address) != null)
                {
                    return heap;
                }
            }

            return null;
        }
    }
}
