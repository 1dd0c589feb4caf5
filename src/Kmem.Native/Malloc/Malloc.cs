using System.Runtime;
using System.Runtime.CompilerServices;
using Kmem.Engine.Caches;
using Kmem.Engine.Os;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Sized;
using Kmem.Engine.Slabs;

namespace Kmem.Native;

/// <summary>
/// <c>malloc</c> and its relatives. The C symbols are in <c>entry.c</c>: they add the thread's front to the arguments and jump here.
/// </summary>
/// <remarks>
/// As elsewhere in C: null and <c>errno</c> for what cannot be had, no exceptions; 0 bytes are an address that cannot be accessed. A pointer that
/// is not an allocation ends the process: <see cref="MisuseMessage"/>.
/// </remarks>
internal static unsafe class Malloc
{
    /// <summary>What every allocation has.</summary>
    private const nuint LeastAlignmentBytes = 16;

    /// <summary>From here on the system is asked for zeroes: it costs as much as clearing if all is touched later, and nothing if nothing is.</summary>
    private const nuint BytesToPurge = 1024 * 1024;

    /// <summary>Alignments beyond it are refused: 1 TiB, more than a range has.</summary>
    private static nuint AlignmentBytesMax => (nuint)1 << 40;

    [RuntimeExport("face_malloc")]
    public static void* Allocate(nuint sizeBytes, ThreadFront* front)
    {
        // Rung 0. A size of 0 is beyond the largest here.
        if (sizeBytes - 1 < SizeClasses.DefaultLargest
            && front != null
            && ThreadFront.TryPop(front, FastPath.EntryFor(front, (byte*)ProcessHeap.Existing + SizedHeap.TableOffset, sizeBytes), out void* round))
        {
            FreedMark.Remove(round);
            return round;
        }

        return AllocateSlow(sizeBytes, zeroed: false);
    }

    [RuntimeExport("face_free")]
    public static void Free(void* pointer, ThreadFront* front)
    {
        // Rung 0.
        if (front != null)
        {
            Zone* zone = &ProcessHeap.Existing->Zone;
            if (FastPath.TryFindObject(zone->FirstBase, &zone->FirstFrontierBytes, zone->MemoryMapOfFirst, pointer, out Page* page)
                && FreedMark.TryPut(page, pointer, out nuint sizeClass))
            {
                if (ThreadFront.TryPush(front, ThreadFront.EntryOf(front, sizeClass) + FreedMark.FirstNumber, pointer, isLive: true))
                {
                    return;
                }

                FreeMarkedSlow(pointer);
                return;
            }
        }

        FreeSlow(pointer, front);
    }

    /// <summary>The <c>delete</c> that knows the size: one that leads to another class is a mistake of type.</summary>
    [RuntimeExport("face_free_sized")]
    public static void FreeSized(void* pointer, nuint sizeBytes, ThreadFront* front)
    {
        if (sizeBytes - 1 < SizeClasses.DefaultLargest && front != null)
        {
            SizedHeap* heap = ProcessHeap.Existing;
            Page* page = Zone.PageOf(&heap->Zone, pointer);
            if (page != null && page->CacheIndex == ((byte*)heap + SizedHeap.TableOffset)[(sizeBytes + 7) >> SizeClasses.GranuleShift])
            {
                Free(pointer, front);
                return;
            }
        }

        FreeSizedSlow(pointer, sizeBytes, front);
    }

    /// <summary>The same where an alignment may have asked for more than the size did.</summary>
    [RuntimeExport("face_free_sized_aligned")]
    public static void FreeSizedAligned(void* pointer, nuint sizeBytes, ThreadFront* front)
    {
        if (pointer != null)
        {
            Misuse misuse = CheckSize(HeapOf(pointer, "delete"), pointer, sizeBytes);
            if (misuse != Misuse.None)
            {
                MisuseMessage.Fail("delete", pointer, misuse);
            }

            Free(pointer, front);
        }
    }

    /// <summary>0 bytes may have got 1: with an alignment, or when there was no memory for an address without bytes.</summary>
    private static Misuse CheckSize(SizedHeap* heap, void* pointer, nuint sizeBytes)
    {
        Misuse misuse = SizedHeap.CheckSize(heap, pointer, sizeBytes);
        return misuse == Misuse.WrongSize && sizeBytes == 0 ? SizedHeap.CheckSize(heap, pointer, 1) : misuse;
    }

    [RuntimeExport("face_calloc")]
    public static void* AllocateZeroed(nuint count, nuint sizeBytes, ThreadFront* front)
    {
        nuint bytes = count * sizeBytes;
        if ((count | sizeBytes) >> 32 != 0 && sizeBytes != 0 && bytes / sizeBytes != count)
        {
            return OutOfMemory();
        }

        void* memory = front != null ? Allocate(bytes, front) : AllocateSlow(bytes, zeroed: true);
        if (memory != null && (bytes <= SizeClasses.DefaultLargest || !SizedHeap.ReadsAsZero(ProcessHeap.Existing, memory)))
        {
            Clear(memory, bytes);
        }

        return memory;
    }

    /// <summary>What is large is given back to the system instead, which makes it read as zero when it is touched.</summary>
    private static void Clear(void* memory, nuint bytes)
    {
        nuint whole = Address.AlignDown(bytes, Address.PageSizeBytes);
        if (bytes >= BytesToPurge)
        {
            OsTable* os = &ProcessHeap.Existing->Os;
            if (os->Purge(os->Context, memory, whole))
            {
                memory = (byte*)memory + whole;
                bytes -= whole;
            }
        }

        Memory.Clear(memory, bytes);
    }

    [RuntimeExport("face_realloc")]
    public static void* Reallocate(void* pointer, nuint sizeBytes, ThreadFront* front)
    {
        if (pointer == null)
        {
            return Allocate(sizeBytes, front);
        }

        // As in glibc, and unlike a malloc of 0 bytes.
        if (sizeBytes == 0)
        {
            Free(pointer, front);
            return null;
        }

        bool hasLeft = ProcessHeap.LeaveFork();
        void* moved = TraceRecorder.IsOn ? ReallocateTraced(pointer, sizeBytes, front) : ReallocateLive(pointer, sizeBytes, front);
        ProcessHeap.ReturnToFork(hasLeft);
        return moved;
    }

    [RuntimeExport("face_reallocarray")]
    public static void* ReallocateArray(void* pointer, nuint count, nuint sizeBytes, ThreadFront* front)
    {
        nuint bytes = count * sizeBytes;
        if ((count | sizeBytes) >> 32 != 0 && sizeBytes != 0 && bytes / sizeBytes != count)
        {
            return OutOfMemory();
        }

        return Reallocate(pointer, bytes, front);
    }

    /// <summary>For a power of two; null, and perhaps <c>errno</c>, when memory is out.</summary>
    [RuntimeExport("face_aligned")]
    public static void* AllocateAligned(nuint alignmentBytes, nuint sizeBytes, ThreadFront* front)
    {
        if (alignmentBytes <= LeastAlignmentBytes)
        {
            return Allocate(sizeBytes, front);
        }

        SizedHeap* heap = ProcessHeap.Get();
        if (heap == null || alignmentBytes > AlignmentBytesMax)
        {
            NoteAllocated(null, sizeBytes, alignmentBytes, zeroed: false);
            return null;
        }

        bool hasLeft = ProcessHeap.LeaveFork();
        sizeBytes = sizeBytes == 0 ? 1 : sizeBytes;
        void* memory = TryAllocateAligned(heap, alignmentBytes, sizeBytes);
        if (memory == null && sizeBytes <= SizedHeap.SizeBytesMax)
        {
            Maintenance.Reclaim(heap);
            memory = TryAllocateAligned(heap, alignmentBytes, sizeBytes);
        }

        if (memory != null && sizeBytes <= SizeClasses.DefaultLargest && alignmentBytes <= Address.PageSizeBytes)
        {
            FreedMark.RemoveIfThere(memory);
        }

        NoteAllocated(memory, sizeBytes, alignmentBytes, zeroed: false);
        Maintenance.Tick(heap);
        ProcessHeap.ReturnToFork(hasLeft);
        return memory;
    }

    [RuntimeExport("face_usable_size")]
    public static nuint UsableSize(void* pointer)
    {
        if (pointer == null)
        {
            return 0;
        }

        nuint bytes = SizedHeap.UsableSize(HeapOf(pointer, "malloc_usable_size"), pointer, out Misuse misuse);
        if (misuse != Misuse.None)
        {
            MisuseMessage.Fail("malloc_usable_size", pointer, misuse);
        }

        return bytes;
    }

    /// <summary>1 when memory went back to the OS.</summary>
    [RuntimeExport("face_trim")]
    public static int Trim()
    {
        SizedHeap* heap = ProcessHeap.Existing;
        return heap != null && Maintenance.Trim(heap) != 0 ? 1 : 0;
    }

    // ------------------------------------------------------------------ slow rungs

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void* AllocateSlow(nuint sizeBytes, bool zeroed)
    {
        SizedHeap* heap = ProcessHeap.Get();
        if (heap == null || sizeBytes > SizedHeap.SizeBytesMax)
        {
            NoteAllocated(null, sizeBytes, 0, zeroed);
            return OutOfMemory();
        }

        bool hasLeft = ProcessHeap.LeaveFork();
        void* memory = sizeBytes == 0 ? AllocateEmpty() : SizedHeap.AllocateSlow(heap, sizeBytes);
        if (memory == null)
        {
            // What magazines and empty slabs hold may serve this request.
            Maintenance.Reclaim(heap);
            memory = SizedHeap.Allocate(heap, sizeBytes == 0 ? 1 : sizeBytes);
        }

        NoteAllocated(memory, sizeBytes, 0, zeroed);
        Maintenance.Tick(heap);
        ProcessHeap.ReturnToFork(hasLeft);
        if (memory == null)
        {
            return OutOfMemory();
        }

        if (sizeBytes - 1 < SizeClasses.DefaultLargest)
        {
            FreedMark.RemoveIfThere(memory);
        }

        return memory;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void FreeSizedSlow(void* pointer, nuint sizeBytes, ThreadFront* front)
    {
        if (pointer == null)
        {
            return;
        }

        SizedHeap* heap = HeapOf(pointer, "delete");
        Page* page = Zone.PageOf(&heap->Zone, pointer);
        bool isRight = sizeBytes - 1 < SizeClasses.DefaultLargest
            ? page != null && CacheRegistry.At(&heap->Registry, page->CacheIndex)->UserIndex == heap->ClassTable[(sizeBytes + 7) >> SizeClasses.GranuleShift]
            : CheckSize(heap, pointer, sizeBytes) == Misuse.None;
        if (!isRight)
        {
            // What is wrong with the pointer itself is told first.
            _ = SizedHeap.UsableSize(heap, pointer, out Misuse misuse);
            MisuseMessage.Fail("delete", pointer, misuse != Misuse.None ? misuse : Misuse.WrongSize);
        }

        Free(pointer, front);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void FreeSlow(void* pointer, ThreadFront* front)
    {
        if (pointer == null)
        {
            return;
        }

        SizedHeap* heap = HeapOf(pointer, "free");
        bool hasLeft = ProcessHeap.LeaveFork();
        Page* page = Zone.PageOf(&heap->Zone, pointer);
        if (page != null && FreedMark.IsFor(page) && Slab.IsObject(page, (nuint)pointer))
        {
            FreedMark.FailIfFree("free", page, pointer);
            FreedMark.Put(pointer);
            if (front != null && ThreadFront.TryPush(front, ThreadFront.EntryOf(front, page->FrontEntry), pointer))
            {
                ProcessHeap.ReturnToFork(hasLeft);
                return;
            }
        }

        if (TraceRecorder.IsOn)
        {
            TraceRecorder.Freeing(NativeThread.Traced(), pointer);
        }

        FreeMarkedSlow(pointer);
        ProcessHeap.ReturnToFork(hasLeft);
    }

    /// <summary>The lower rungs, after the mark, if any, was put.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void FreeMarkedSlow(void* pointer)
    {
        int errno = Libc.Errno;
        bool hasLeft = ProcessHeap.LeaveFork();
        SizedHeap* heap = ProcessHeap.Existing;
        Misuse misuse = SizedHeap.Free(heap, pointer);
        if (misuse != Misuse.None)
        {
            MisuseMessage.Fail("free", pointer, misuse);
        }

        Maintenance.Tick(heap);
        MisuseMessage.FailIfFreedTwice(heap);
        ProcessHeap.ReturnToFork(hasLeft);
        Libc.Errno = errno;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void* ReallocateLive(void* pointer, nuint sizeBytes, ThreadFront* front)
    {
        SizedHeap* heap = HeapOf(pointer, "realloc");
        nuint usable = SizedHeap.UsableSize(heap, pointer, out Misuse misuse);
        if (misuse != Misuse.None)
        {
            MisuseMessage.Fail("realloc", pointer, misuse);
        }

        Page* page = Zone.PageOf(&heap->Zone, pointer);
        if (page->CacheIndex == 0)
        {
            return ReallocateRun(heap, pointer, sizeBytes);
        }

        if (FreedMark.IsFor(page))
        {
            FreedMark.FailIfFree("realloc", page, pointer);
        }

        if (sizeBytes <= usable
            && SizedHeap.RoundUp(heap, sizeBytes) >= SizedHeap.Capacity(heap, pointer, out _) / 2
            && Cache.TryResize(CacheRegistry.At(&heap->Registry, page->CacheIndex), pointer, sizeBytes))
        {
            return pointer;
        }

        int errno = Libc.Errno;
        void* moved = Allocate(sizeBytes, front);
        if (moved != null)
        {
            Memory.Copy(moved, pointer, sizeBytes < usable ? sizeBytes : usable);
            Free(pointer, front);
        }
        else if (sizeBytes <= usable)
        {
            // Programs count on it that less can always be had. Nobody frees with a size what was reallocated.
            Libc.Errno = errno;
            moved = pointer;
        }

        return moved;
    }

    private static void* ReallocateRun(SizedHeap* heap, void* pointer, nuint sizeBytes)
    {
        void* moved = SizedHeap.Reallocate(heap, pointer, sizeBytes, out Misuse misuse);
        if (moved == null && misuse == Misuse.None && sizeBytes <= SizedHeap.SizeBytesMax)
        {
            Maintenance.Reclaim(heap);
            moved = SizedHeap.Reallocate(heap, pointer, sizeBytes, out misuse);
        }

        if (misuse != Misuse.None)
        {
            MisuseMessage.Fail("realloc", pointer, misuse);
        }

        Maintenance.Tick(heap);
        return moved != null ? moved : OutOfMemory();
    }

    // ------------------------------------------------------------------ recording

    // No thread of a program that is recorded has a front, so that all its calls come to the slow rungs.

    private static void NoteAllocated(void* memory, nuint sizeBytes, nuint alignmentBytes, bool zeroed)
    {
        if (TraceRecorder.IsOn)
        {
            TraceRecorder.Allocated(NativeThread.Traced(), memory, sizeBytes, alignmentBytes, zeroed);
        }
    }

    private static void* ReallocateTraced(void* pointer, nuint sizeBytes, ThreadFront* front)
    {
        TraceThread* thread = NativeThread.Traced();
        TraceRecorder.Reallocating(thread);
        void* moved = ReallocateLive(pointer, sizeBytes, front);
        TraceRecorder.Reallocated(thread, pointer, moved, sizeBytes);
        return moved;
    }

    private static void* AllocateEmpty() => ProcessHeap.Empty != null ? Cache.Allocate(ProcessHeap.Empty) : null;

    private static void* TryAllocateAligned(SizedHeap* heap, nuint alignmentBytes, nuint sizeBytes) => alignmentBytes <= SizedHeap.AlignmentBytesMax
        ? SizedHeap.AllocateAligned(heap, sizeBytes, alignmentBytes)
        : SizedHeap.AllocateLarge(heap, sizeBytes, alignmentBytes);

    /// <summary>The heap that a pointer can be of; the small numbers that the engine hands out for 0 bytes are no pointers here.</summary>
    private static SizedHeap* HeapOf(void* pointer, string operation)
    {
        SizedHeap* heap = ProcessHeap.Existing;
        if (heap == null || SizedHeap.IsZeroSizePointer(pointer))
        {
            MisuseMessage.Fail(operation, pointer, Misuse.ForeignPointer);
        }

        return heap;
    }

    private static void* OutOfMemory()
    {
        Libc.Errno = Libc.OutOfMemory;
        return null;
    }
}
