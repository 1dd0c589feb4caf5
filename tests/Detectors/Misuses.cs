using System;
using System.Collections.Generic;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Kmem.Tests.Detectors;

/// <summary>The mistakes. The methods have names of their own, so that a report can be read for who did what.</summary>
public static unsafe class Misuses
{
    private const int BufferBytes = 18;
    private const int FullBytes = 32;
    private const int SessionBytes = 200;
    private const int OtherOperations = 10_000;
    private const int NeighboursAtStart = 5;

    private static readonly byte[] s_managed = GC.AllocateArray<byte>(64, pinned: true);
    private static KmemCache? s_sessions;
    private static KmemCache? s_orders;
    private static KmemCache? s_locks;

    public static readonly IReadOnlyList<Misuse> All =
    [
        new("overrun", "overrun by one byte: 18 asked for, of a class of 32", Overrun, AnotherBuffer) { Touches = true },
        new("overrun-of-all", "overrun by one byte: 32 asked for, of a class of 32", OverrunOfAll, AnotherFullOne) { Touches = true },
        new("underrun", "underrun by one byte", Underrun, AnotherBuffer) { Touches = true },
        new("write-after-free", "write after the free", WriteAfterFree, AnotherBuffer) { Touches = true },
        new("read-past", "read past the end: 32 asked for, of a class of 32", ReadPast, AnotherFullOne) { Touches = true },
        new("read-after-free", "read after the free", ReadAfterFree, AnotherBuffer) { Touches = true },
        new("double-free", "double free, at once", DoubleFree, AnotherBuffer),
        new("late-double-free", "double free, 10,000 operations later", LateDoubleFree, AnotherBuffer),
        new("wrong-cache", "free into another cache", WrongCache, AnotherSession),
        new("interior-pointer", "free of an interior pointer", InteriorPointer, AnotherBuffer),
        new("stack-pointer", "free of a pointer to the stack", StackPointer, AnotherBuffer),
        new("managed-pointer", "free of a pointer into a managed array", ManagedPointer, AnotherBuffer),
        new("malloc-pointer", "free of a pointer from malloc", MallocPointer, AnotherBuffer),
        new("constructed-write", "write to a freed object in constructed state", WriteToFreedLock, AnotherLock) { Touches = true },
        new("leak", "leak of a buffer", Leak, AnotherBuffer) { AtOnce = "by `FindLeaks`" },
        new("cache-leak", "end of a cache while an object is out", LeakFromCache, AnotherBuffer) { AtOnce = "at the end of the cache" },
    ];

    /// <summary>As in a program that has done something already: there are objects before and behind the one that suffers.</summary>
    public static void Begin()
    {
        for (int count = 0; count < NeighboursAtStart; count++)
        {
            _ = Kmalloc.Alloc(BufferBytes);
            _ = Sessions.Alloc();
            _ = Locks.Alloc();
        }
    }

    private static KmemCache Sessions => s_sessions ??= new KmemCache("session", SessionBytes);

    private static KmemCache Orders => s_orders ??= new KmemCache("order", SessionBytes);

    private static KmemCache Locks => s_locks ??= new KmemCache("lock", 64, new KmemCacheOptions { Constructor = &ConstructLock, Destructor = &DestroyLock });

    // ------------------------------------------------------------------ the mistakes

    private static void Overrun()
    {
        byte* buffer = AllocateTheBuffer();
        WriteAt(buffer, BufferBytes);
        FreeTheBuffer(buffer);
    }

    private static void OverrunOfAll()
    {
        byte* buffer = AllocateTheFullBuffer();
        WriteAt(buffer, FullBytes);
        FreeTheBuffer(buffer);
    }

    private static void Underrun()
    {
        byte* buffer = AllocateTheBuffer();
        WriteAt(buffer, -1);
        FreeTheBuffer(buffer);
    }

    private static void WriteAfterFree()
    {
        byte* buffer = AllocateTheBuffer();
        FreeTheBuffer(buffer);
        WriteAt(buffer, 5);
    }

    private static void ReadPast()
    {
        byte* buffer = AllocateTheFullBuffer();
        ReadAt(buffer, FullBytes);
        FreeTheBuffer(buffer);
    }

    private static void ReadAfterFree()
    {
        byte* buffer = AllocateTheBuffer();
        FreeTheBuffer(buffer);
        ReadAt(buffer, 5);
    }

    private static void DoubleFree()
    {
        byte* buffer = AllocateTheBuffer();
        FreeTheBuffer(buffer);
        FreeTheBufferAgain(buffer);
    }

    private static void LateDoubleFree()
    {
        byte* buffer = AllocateTheBuffer();
        byte* other = AllocateTheBuffer();
        FreeTheBuffer(buffer);
        Kmalloc.Free(other);
        WorkOn(OtherOperations);
        FreeTheBufferAgain(buffer);
    }

    private static void WrongCache()
    {
        void* session = AllocateTheSession();
        try
        {
            FreeTheSessionAsAnOrder(session);
        }
        finally
        {
            Sessions.Free(session);
        }
    }

    private static void InteriorPointer()
    {
        byte* buffer = AllocateTheBuffer();
        try
        {
            FreeInside(buffer + 8);
        }
        finally
        {
            Kmalloc.Free(buffer);
        }
    }

    [SkipLocalsInit]
    private static void StackPointer()
    {
        byte* local = stackalloc byte[64];
        FreeTheLocal(local);
    }

    private static void ManagedPointer() => FreeTheArray((void*)Marshal.UnsafeAddrOfPinnedArrayElement(s_managed, 0));

    private static void MallocPointer()
    {
        void* foreign = NativeMemory.Alloc(64);
        try
        {
            FreeWhatMallocGave(foreign);
        }
        finally
        {
            NativeMemory.Free(foreign);
        }
    }

    private static void WriteToFreedLock()
    {
        byte* it = AllocateTheLock();
        FreeTheLock(it);
        WriteAt(it, 8);
    }

    private static void Leak()
    {
        byte* buffer = AllocateTheBuffer();
        KmemLeakReport leaks = KmemHeap.Shared.FindLeaks();
        Kmalloc.Free(buffer);
        if (leaks.Sites.Count != 0)
        {
            throw new LeakFoundException(leaks.ToString());
        }
    }

    private static void LeakFromCache()
    {
        KmemCache cache = new("short", SessionBytes);
        void* forgotten = AllocateAndForget(cache);
        try
        {
            cache.Dispose();
        }
        finally
        {
            cache.Free(forgotten);
            cache.Dispose();
        }
    }

    // ------------------------------------------------------------------ who does it

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static byte* AllocateTheBuffer() => (byte*)Kmalloc.Alloc(BufferBytes);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static byte* AllocateTheFullBuffer() => (byte*)Kmalloc.Alloc(FullBytes);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void WriteAt(byte* buffer, int offset) => buffer[offset] = 0x41;

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int ReadAt(byte* buffer, int offset) => buffer[offset];

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void FreeTheBuffer(byte* buffer) => Kmalloc.Free(buffer);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void FreeTheBufferAgain(byte* buffer) => Kmalloc.Free(buffer);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void FreeInside(byte* inside) => Kmalloc.Free(inside);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void FreeTheLocal(void* local) => Kmalloc.Free(local);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void FreeTheArray(void* array) => Kmalloc.Free(array);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void FreeWhatMallocGave(void* foreign) => Kmalloc.Free(foreign);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void* AllocateTheSession() => Sessions.Alloc();

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void FreeTheSessionAsAnOrder(void* session) => Orders.Free(session);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static byte* AllocateTheLock() => (byte*)Locks.Alloc();

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void FreeTheLock(byte* it) => Locks.Free(it);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void* AllocateAndForget(KmemCache cache) => cache.Alloc();

    private static bool ConstructLock(void* it, void* context)
    {
        new Span<byte>(it, 64).Clear();
        return true;
    }

    private static void DestroyLock(void* it, void* context)
    {
    }

    // ------------------------------------------------------------------ work of others

    private static void AnotherBuffer() => Another(BufferBytes);

    private static void AnotherFullOne() => Another(FullBytes);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Another(int bytes) => Kmalloc.Free(Kmalloc.Alloc((nuint)bytes));

    private static void AnotherSession() => Sessions.Free(Sessions.Alloc());

    private static void AnotherLock() => Locks.Free(Locks.Alloc());

    /// <summary>Allocations and frees of sizes around the buffer's, of which some hundred live at a time. A fixed sequence.</summary>
    private static void WorkOn(int operations)
    {
        byte** live = stackalloc byte*[256];
        for (int operation = 0; operation < operations; operation++)
        {
            int slot = (operation * 89) & 255;
            if (live[slot] != null)
            {
                Kmalloc.Free(live[slot]);
                live[slot] = null;
            }
            else
            {
                live[slot] = (byte*)Kmalloc.Alloc((nuint)(1 + (operation % 200)));
            }
        }

        for (int slot = 0; slot < 256; slot++)
        {
            Kmalloc.Free(live[slot]);
        }
    }
}

/// <summary>There is something live that nobody will free.</summary>
public sealed class LeakFoundException(string report) : Exception(report);
