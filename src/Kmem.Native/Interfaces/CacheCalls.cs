using System.Runtime;
using System.Runtime.CompilerServices;
using Kmem.Engine.Caches;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Sized;
using Kmem.Engine.Slabs;

namespace Kmem.Native;

/// <summary>What a cache can be asked to be.</summary>
[System.Flags]
internal enum CacheTraits : uint
{
    None = 0,
    CacheLineAligned = 1,
    Reclaimable = 2,
    NoMagazines = 4,
}

/// <summary>What <c>kmem_cache_*</c> and <c>umem_cache_*</c> have in common. A cache's handle is the engine's cache itself.</summary>
internal static unsafe class CacheCalls
{
    private const int LiveObjectsListed = 8;

    /// <summary>Null with <c>errno</c>: the size or the alignment is out of range, or memory is out.</summary>
    public static Cache* Create(byte* name, nuint sizeBytes, nuint alignmentBytes, CacheTraits traits, CacheCallbacks callbacks)
    {
        bool isSize = sizeBytes is >= 1 and <= SlabLayout.ObjectSizeBytesMax;
        bool isAlignment = alignmentBytes == 0 || (Address.IsPowerOfTwo(alignmentBytes) && alignmentBytes <= SlabLayout.AlignmentBytesMax);
        if (!isSize || !isAlignment)
        {
            Libc.Errno = Libc.InvalidArgument;
            return null;
        }

        SizedHeap* heap = ProcessHeap.Get();
        Cache* cache = null;
        if (heap != null)
        {
            CacheDefinition definition = new()
            {
                Layout = SlabLayout.Compute((uint)sizeBytes, (uint)alignmentBytes, SlabRule.Default, Engine.Face.CpuCountMax(), (traits & CacheTraits.CacheLineAligned) != 0),
                Mobility = (traits & CacheTraits.Reclaimable) != 0 ? Mobility.Reclaimable : Mobility.Unmovable,
                HasMagazines = (traits & CacheTraits.NoMagazines) == 0,
                Name = name,
                NameBytes = LengthOf(name),
            };
            if (CacheCallbacks.Attach(heap, &definition, callbacks))
            {
                cache = CacheRegistry.Create(&heap->Registry, &definition);
                if (cache != null)
                {
                    ProcessHeap.ApplyDebug(cache, Options.Debug());
                }
                else
                {
                    _ = SizedHeap.Free(heap, definition.Context);
                }
            }
        }

        if (cache == null)
        {
            Libc.Errno = Libc.OutOfMemory;
        }

        return cache;
    }

    /// <summary>A cache with live objects stays, and a line on standard error lists them.</summary>
    public static bool Destroy(Cache* cache, string operation)
    {
        if (cache == null)
        {
            return true;
        }

        void* callbacks = cache->Context;
        if (!Cache.TryDestroy(cache))
        {
            ReportLiveObjects(cache, operation);
            return false;
        }

        MisuseMessage.FailIfFreedTwice(ProcessHeap.Existing);
        _ = SizedHeap.Free(ProcessHeap.Existing, callbacks);
        return true;
    }

    [RuntimeExport("face_cache_alloc")]
    public static void* Allocate(Cache* cache, ThreadFront* front) => front != null
        && cache->FrontOffset != 0
        && ThreadFront.TryPop(front, ThreadFront.EntryOf(front, cache), out void* round)
        ? round
        : AllocateSlow(cache);

    [RuntimeExport("face_cache_free")]
    public static void Free(Cache* cache, void* memory, ThreadFront* front)
    {
        if (front != null && cache->FrontOffset != 0)
        {
            Zone* zone = cache->Registry->Zone;
            if (FastPath.TryFindObject(zone->FirstBase, &zone->FirstFrontierBytes, zone->MemoryMapOfFirst, memory, out Page* page)
                && page->CacheIndex == cache->Index
                && ThreadFront.TryPush(front, ThreadFront.EntryOf(front, cache), memory))
            {
                return;
            }
        }

        FreeSlow(cache, memory);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void* AllocateSlow(Cache* cache)
    {
        SizedHeap* heap = ProcessHeap.Existing;
        bool hasLeft = ProcessHeap.LeaveFork();
        void* memory = Cache.AllocateSlow(cache);
        if (memory == null)
        {
            Maintenance.Reclaim(heap);
            memory = Cache.Allocate(cache);
        }

        Maintenance.Tick(heap);
        ProcessHeap.ReturnToFork(hasLeft);
        return memory;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void FreeSlow(Cache* cache, void* memory)
    {
        int errno = Libc.Errno;
        bool hasLeft = ProcessHeap.LeaveFork();
        SizedHeap* heap = ProcessHeap.Existing;
        Misuse misuse = SizedHeap.FreeToCache(heap, cache, memory);
        if (misuse != Misuse.None)
        {
            MisuseMessage.Fail("cache_free", memory, misuse);
        }

        Maintenance.Tick(heap);
        MisuseMessage.FailIfFreedTwice(heap);
        ProcessHeap.ReturnToFork(hasLeft);
        Libc.Errno = errno;
    }

    private static void ReportLiveObjects(Cache* cache, string operation)
    {
        TextLine line = default;
        line.Add("kmem: ");
        line.Add(operation);
        line.Add("(");
        line.Add(cache->Name);
        line.Add("): live objects, the cache stays:");
        LiveObjects listed = new() { Line = &line, Cache = cache };
        SlabLists.VisitObjectsOut(&cache->Slabs, &List, &listed);
        if (listed.Count > LiveObjectsListed)
        {
            line.Add(" and ");
            line.Add((ulong)(listed.Count - LiveObjectsListed));
            line.Add(" more");
        }

        line.WriteTo(Libc.StandardError);
    }

    private static void List(void* context, nuint memory)
    {
        LiveObjects* listed = (LiveObjects*)context;
        if (++listed->Count <= LiveObjectsListed)
        {
            listed->Line->Add(" ");
            listed->Line->AddHex(memory);
        }
    }

    private static int LengthOf(byte* text)
    {
        int length = 0;
        while (text != null && text[length] != 0)
        {
            length++;
        }

        return length;
    }

    private struct LiveObjects
    {
        public TextLine* Line;
        public Cache* Cache;
        public int Count;
    }
}
