using System.Runtime.InteropServices;
using Kmem.Engine.Primitives;

namespace Kmem.Engine.Os;

/// <summary>Windows: <c>VirtualAlloc</c>. <b>Untested</b>: written from the documentation, never run.</summary>
/// <remarks>
/// Purge decommits and commits again, because that is the only pair that promises zeroes: <c>MEM_RESET</c> may leave
/// the old contents. Between the two calls the pages have no commit charge, so the second may fail; the pages would then
/// be lost, which breaks the table's promise that a failure has no effect. The only honest answer is to end the process.
/// </remarks>
internal static unsafe class WindowsMemory
{
    private const uint MemoryCommit = 0x1000;
    private const uint MemoryReserve = 0x2000;
    private const uint MemoryDecommit = 0x4000;
    private const uint MemoryRelease = 0x8000;
    private const uint PageNoAccess = 0x01;
    private const uint PageReadWrite = 0x04;

    /// <summary>VirtualAlloc hands out reservations at multiples of this.</summary>
    private const nuint ReservationGranularity = 64 * 1024;

    /// <summary>Another thread may take the place between finding it and claiming it; more than a few times is no accident.</summary>
    private const int ReserveAttempts = 16;

    public static void Fill(OsTable* table)
    {
        table->Context = null;
        table->Reserve = &Reserve;
        table->Commit = &Commit;
        table->Purge = &Purge;
        table->Protect = &Protect;
        table->Release = &Release;
        table->NowMilliseconds = &NowMilliseconds;
    }

    private static void* Reserve(void* context, nuint bytes, nuint alignment)
    {
        Invariant.Holds(bytes != 0 && (bytes & (Address.PageSizeBytes - 1)) == 0);
        Invariant.Holds(Address.IsPowerOfTwo(alignment));
        if (alignment <= ReservationGranularity)
        {
            return VirtualAlloc(null, bytes, MemoryReserve, PageNoAccess);
        }

        if (bytes + alignment < bytes)
        {
            return null;
        }

        // A reservation cannot be trimmed: find a place that is large enough, let go of it, and claim its aligned part.
        for (int attempt = 0; attempt < ReserveAttempts; attempt++)
        {
            void* found = VirtualAlloc(null, bytes + alignment, MemoryReserve, PageNoAccess);
            if (found == null)
            {
                return null;
            }

            _ = VirtualFree(found, 0, MemoryRelease);
            void* claimed = VirtualAlloc((void*)Address.AlignUp((nuint)found, alignment), bytes, MemoryReserve, PageNoAccess);
            if (claimed != null)
            {
                return claimed;
            }
        }

        return null;
    }

    private static bool Commit(void* context, void* address, nuint bytes) =>
        VirtualAlloc(address, bytes, MemoryCommit, PageReadWrite) != null;

    private static bool Purge(void* context, void* address, nuint bytes)
    {
        if (VirtualFree(address, bytes, MemoryDecommit) == 0)
        {
            return false;
        }

        void* again = VirtualAlloc(address, bytes, MemoryCommit, PageReadWrite);
        Invariant.Check(again != null);
        return true;
    }

    private static bool Protect(void* context, void* address, nuint bytes, bool accessible)
    {
        uint previous;
        return VirtualProtect(address, bytes, accessible ? PageReadWrite : PageNoAccess, &previous) != 0;
    }

    private static void Release(void* context, void* address, nuint bytes)
    {
        int result = VirtualFree(address, 0, MemoryRelease);
        Invariant.Check(result != 0);
    }

    private static long NowMilliseconds(void* context) => (long)GetTickCount64();

    [DllImport("kernel32", EntryPoint = "VirtualAlloc")]
    private static extern void* VirtualAlloc(void* address, nuint bytes, uint type, uint protection);

    [DllImport("kernel32", EntryPoint = "VirtualFree")]
    private static extern int VirtualFree(void* address, nuint bytes, uint type);

    [DllImport("kernel32", EntryPoint = "VirtualProtect")]
    private static extern int VirtualProtect(void* address, nuint bytes, uint protection, uint* previous);

    [DllImport("kernel32", EntryPoint = "GetTickCount64")]
    [SuppressGCTransition]
    private static extern ulong GetTickCount64();
}
