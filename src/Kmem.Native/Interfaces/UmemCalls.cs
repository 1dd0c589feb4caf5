using System.Runtime;
using System.Runtime.CompilerServices;
using Kmem.Engine.Caches;
using Kmem.Engine.Primitives;
using Kmem.Engine.Sized;

namespace Kmem.Native;

/// <summary>The calls of libumem, the kernel's slab allocator for user space on Solaris and illumos: declared and told in <c>umem.h</c>.</summary>
internal static unsafe class UmemCalls
{
    private const int FlagNoFail = 0x100;
    private const int FlagNoMagazine = 0x40000;
    private const int NoTouchNoHash = 0x10000 | 0x80000;
    private const int CallbackRetry = 0;
    private const int CallbackExit = 0x100;
    private const int ExitStatusOfFailure = 255;

    private static void* s_noFailCallback;

    [RuntimeExport("umem_nofail_callback")]
    private static void SetNoFailCallback(void* callback) => s_noFailCallback = callback;

    // ------------------------------------------------------------------ any size

    [RuntimeExport("face_umem_alloc")]
    private static void* Allocate(nuint sizeBytes, int flags, ThreadFront* front)
    {
        void* memory;
        do
        {
            memory = sizeBytes == 0 ? null : Malloc.Allocate(sizeBytes, front);
        }
        while (memory == null && sizeBytes != 0 && IsToRetry(flags));

        return memory;
    }

    [RuntimeExport("face_umem_zalloc")]
    private static void* AllocateZeroed(nuint sizeBytes, int flags, ThreadFront* front)
    {
        void* memory;
        do
        {
            memory = sizeBytes == 0 ? null : Malloc.AllocateZeroed(1, sizeBytes, front);
        }
        while (memory == null && sizeBytes != 0 && IsToRetry(flags));

        return memory;
    }

    [RuntimeExport("face_umem_alloc_align")]
    private static void* AllocateAligned(nuint sizeBytes, nuint alignmentBytes, int flags, ThreadFront* front)
    {
        if (alignmentBytes != 0 && !Address.IsPowerOfTwo(alignmentBytes))
        {
            Libc.Errno = Libc.InvalidArgument;
            return null;
        }

        void* memory;
        do
        {
            memory = sizeBytes == 0 ? null : Malloc.AllocateAligned(alignmentBytes, sizeBytes, front);
        }
        while (memory == null && sizeBytes != 0 && IsToRetry(flags));

        return memory;
    }

    /// <summary>The size must be one that leads to the same class or number of pages.</summary>
    [RuntimeExport("face_umem_free")]
    private static void Free(void* memory, nuint sizeBytes, ThreadFront* front)
    {
        if (memory == null && sizeBytes == 0)
        {
            return;
        }

        nuint capacity = Capacity("umem_free", memory);
        if (SizedHeap.RoundUp(ProcessHeap.Existing, sizeBytes) != capacity)
        {
            MisuseMessage.Fail("umem_free", memory, Misuse.WrongSize);
        }

        Malloc.Free(memory, front);
    }

    /// <summary>The alignment may have asked for more than the size did, and is not known here.</summary>
    [RuntimeExport("face_umem_free_align")]
    private static void FreeAligned(void* memory, nuint sizeBytes, ThreadFront* front)
    {
        if (memory == null && sizeBytes == 0)
        {
            return;
        }

        if (sizeBytes == 0 || sizeBytes > UsableSize("umem_free_align", memory))
        {
            MisuseMessage.Fail("umem_free_align", memory, Misuse.WrongSize);
        }

        Malloc.Free(memory, front);
    }

    /// <summary>Bytes of the object or run, whatever was asked for.</summary>
    private static nuint Capacity(string operation, void* memory)
    {
        Misuse misuse = Misuse.ForeignPointer;
        nuint bytes = memory == null || ProcessHeap.Existing == null ? 0 : SizedHeap.Capacity(ProcessHeap.Existing, memory, out misuse);
        return FailIfNone(operation, memory, bytes, misuse);
    }

    /// <summary>Bytes that may be used: with red zones what was asked for.</summary>
    private static nuint UsableSize(string operation, void* memory)
    {
        Misuse misuse = Misuse.ForeignPointer;
        nuint bytes = memory == null || ProcessHeap.Existing == null ? 0 : SizedHeap.UsableSize(ProcessHeap.Existing, memory, out misuse);
        return FailIfNone(operation, memory, bytes, misuse);
    }

    private static nuint FailIfNone(string operation, void* memory, nuint bytes, Misuse misuse)
    {
        if (misuse != Misuse.None || bytes == 0)
        {
            MisuseMessage.Fail(operation, memory, misuse != Misuse.None ? misuse : Misuse.ForeignPointer);
        }

        return bytes;
    }

    // ------------------------------------------------------------------ caches

    [RuntimeExport("umem_cache_create")]
    private static Cache* CreateCache(
        byte* name,
        nuint sizeBytes,
        nuint alignmentBytes,
        void* constructor,
        void* destructor,
        void* reclaim,
        void* context,
        void* source,
        int flags)
    {
        // There is one source of memory, the page allocator. Two flags exclude each other in libumem.
        if (name == null || source != null || (flags & NoTouchNoHash) == NoTouchNoHash)
        {
            Libc.Errno = Libc.InvalidArgument;
            return null;
        }

        CacheCallbacks callbacks = new()
        {
            Style = CallbackStyle.Illumos,
            Constructor = constructor,
            Destructor = destructor,
            Reclaim = reclaim,
            Context = context,
        };
        CacheTraits traits = ((flags & FlagNoMagazine) != 0 ? CacheTraits.NoMagazines : CacheTraits.None)
            | (reclaim != null ? CacheTraits.Reclaimable : CacheTraits.None);
        return CacheCalls.Create(name, sizeBytes, alignmentBytes, traits, callbacks);
    }

    [RuntimeExport("umem_cache_destroy")]
    private static void DestroyCache(Cache* cache) => _ = CacheCalls.Destroy(cache, "umem_cache_destroy");

    [RuntimeExport("face_umem_cache_alloc")]
    private static void* AllocateObject(Cache* cache, int flags, ThreadFront* front)
    {
        void* memory;
        do
        {
            memory = CacheCalls.Allocate(cache, front);
        }
        while (memory == null && IsToRetry(flags));

        return memory;
    }

    /// <summary>Asks the owners of all caches to give back what they can, then gives back what nobody holds.</summary>
    [RuntimeExport("umem_reap")]
    private static void Reap()
    {
        SizedHeap* heap = ProcessHeap.Existing;
        if (heap == null)
        {
            return;
        }

        for (int index = CacheRegistry.FirstOrdinary; index < Atomic.Load(&heap->Registry.Count); index++)
        {
            Cache* cache = CacheRegistry.At(&heap->Registry, index);
            CacheCallbacks* callbacks = (CacheCallbacks*)cache->Context;
            if (cache->State == CacheState.Live && callbacks != null && callbacks->Reclaim != null)
            {
                ((delegate* unmanaged[SuppressGCTransition]<void*, void>)callbacks->Reclaim)(callbacks->Context);
            }
        }

        _ = Maintenance.Trim(heap);
    }

    /// <summary>What the program wants done when memory is out and the call must not fail: to try again, or to end.</summary>
    private static bool IsToRetry(int flags)
    {
        if ((flags & FlagNoFail) == 0)
        {
            return false;
        }

        int answer = s_noFailCallback == null
            ? CallbackExit | ExitStatusOfFailure
            : ((delegate* unmanaged[SuppressGCTransition]<int>)s_noFailCallback)();
        if (answer != CallbackRetry)
        {
            exit((answer & CallbackExit) != 0 ? answer & 0xFF : ExitStatusOfFailure);
        }

        return true;
    }

#pragma warning disable IDE1006, SYSLIB1054 // The name is libc's.
    [RuntimeImport("*", "exit")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    private static extern void exit(int status);
#pragma warning restore IDE1006, SYSLIB1054
}
