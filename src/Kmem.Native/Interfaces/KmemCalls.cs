using System.Runtime;
using Kmem.Engine.Caches;
using Kmem.Engine.Primitives;
using Kmem.Engine.Sized;
using Kmem.Engine.Slabs;

namespace Kmem.Native;

/// <summary>The kernel's calls, as Linux has them: declared and told in <c>kmem.h</c>.</summary>
internal static unsafe class KmemCalls
{
    private const uint FlagZero = 0x100;
    private const ulong FlagCacheLineAligned = 0x2000;
    private const ulong FlagReclaimable = 0x20000;
    private const ulong FlagAbortOnFailure = 0x40000;

    /// <summary>The twin of <c>struct kmem_cache_args</c>.</summary>
    private struct Arguments
    {
        public nuint AlignmentBytes;
        public void* Constructor;
        public void* Destructor;
        public void* Context;
    }

    [RuntimeExport("kmem_cache_create")]
    private static Cache* Create(byte* name, nuint sizeBytes, nuint alignmentBytes, ulong flags, void* constructor) =>
        Create(name, sizeBytes, alignmentBytes, flags, new CacheCallbacks { Style = CallbackStyle.Linux, Constructor = constructor });

    [RuntimeExport("kmem_cache_create_args")]
    private static Cache* CreateWith(byte* name, nuint sizeBytes, Arguments* arguments, ulong flags)
    {
        CacheCallbacks callbacks = new()
        {
            Style = CallbackStyle.Illumos,
            Constructor = arguments->Constructor,
            Destructor = arguments->Destructor,
            Context = arguments->Context,
        };
        return Create(name, sizeBytes, arguments->AlignmentBytes, flags, callbacks);
    }

    [RuntimeExport("kmem_cache_destroy")]
    private static void Destroy(Cache* cache) => _ = CacheCalls.Destroy(cache, "kmem_cache_destroy");

    /// <summary>Slabs given back to the page allocator.</summary>
    [RuntimeExport("kmem_cache_shrink")]
    private static int Shrink(Cache* cache) => Cache.Shrink(cache);

    [RuntimeExport("kmem_cache_size")]
    private static uint SizeOf(Cache* cache) => cache->Slabs.Layout.ObjectSizeBytes;

    /// <summary>All of them, or 0.</summary>
    [RuntimeExport("kmem_cache_alloc_bulk")]
    private static int AllocateBulk(Cache* cache, uint flags, nuint count, void** objects)
    {
        if (count > int.MaxValue || !Cache.AllocateBulk(cache, (nuint*)objects, (int)count))
        {
            Libc.Errno = Libc.OutOfMemory;
            return 0;
        }

        if ((flags & FlagZero) != 0)
        {
            for (nuint index = 0; index < count; index++)
            {
                Memory.Clear(objects[index], cache->Slabs.Layout.ObjectSizeBytes);
            }
        }

        Maintenance.Tick(ProcessHeap.Existing);
        return (int)count;
    }

    [RuntimeExport("kmem_cache_free_bulk")]
    private static void FreeBulk(Cache* cache, nuint count, void** objects)
    {
        SizedHeap* heap = ProcessHeap.Existing;
        for (nuint index = 0; index < count; index++)
        {
            Misuse misuse = SizedHeap.CheckForCache(heap, cache, objects[index]);
            if (misuse != Misuse.None)
            {
                MisuseMessage.Fail("kmem_cache_free_bulk", objects[index], misuse);
            }
        }

        for (nuint done = 0; done < count;)
        {
            int batch = count - done < int.MaxValue ? (int)(count - done) : int.MaxValue;
            SlabFault fault = default;
            Cache.FreeBulk(cache, (nuint*)objects + done, batch, &fault);
            if (fault.Count != 0)
            {
                MisuseMessage.Fail("kmem_cache_free_bulk", (void*)fault.Object, Misuse.AlreadyFree);
            }

            done += (nuint)batch;
        }

        Maintenance.Tick(heap);
        MisuseMessage.FailIfFreedTwice(heap);
    }

    [RuntimeExport("ksize")]
    private static nuint UsableSize(void* memory) => Malloc.UsableSize(memory);

    private static Cache* Create(byte* name, nuint sizeBytes, nuint alignmentBytes, ulong flags, CacheCallbacks callbacks)
    {
        CacheTraits traits = ((flags & FlagCacheLineAligned) != 0 ? CacheTraits.CacheLineAligned : CacheTraits.None)
            | ((flags & FlagReclaimable) != 0 ? CacheTraits.Reclaimable : CacheTraits.None);
        Cache* cache = CacheCalls.Create(name, sizeBytes, alignmentBytes, traits, callbacks);
        if (cache == null && (flags & FlagAbortOnFailure) != 0)
        {
            TextLine line = default;
            line.Add("kmem: kmem_cache_create(");
            line.Add(name);
            line.Add("): failed, and SLAB_PANIC was asked for");
            line.WriteTo(Libc.StandardError);
            Libc.abort();
        }

        return cache;
    }
}
