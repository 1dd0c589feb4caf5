using System.Runtime.InteropServices;
using Kmem.Engine.Primitives;

namespace Kmem.Engine.Os;

/// <summary>macOS: as Linux, with another way to purge. <b>Untested</b>: written from the documentation, never run.</summary>
/// <remarks>
/// <c>MADV_DONTNEED</c> is only a hint there and <c>MADV_FREE_REUSABLE</c> keeps contents until memory is short, so neither
/// gives zeroes. Purge maps fresh pages over the old ones in one call, which other threads see as one step. Pages
/// are 16 KiB on arm64: smaller blocks cannot be purged and stay as they are.
/// </remarks>
internal static unsafe class MacMemory
{
    private const int ProtectNone = 0;
    private const int ProtectReadWrite = 1 | 2;

    /// <summary>MAP_PRIVATE | MAP_NORESERVE | MAP_ANON.</summary>
    private const int MapFlags = 0x0002 | 0x0040 | 0x1000;

    private const int MapFixed = 0x0010;

    /// <summary>_SC_PAGESIZE.</summary>
    private const int ConfigurationPageSize = 29;

    /// <summary>CLOCK_MONOTONIC_RAW_APPROX: the last tick's time, without entering the kernel.</summary>
    private const int ClockMonotonicApproximate = 5;

    private const long MapFailed = -1;

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
        nuint padded = alignment <= Address.PageSizeBytes ? bytes : bytes + alignment;
        if (padded < bytes)
        {
            return null;
        }

        nuint start = (nuint)MapMemory(null, padded, ProtectNone, MapFlags, -1, 0);
        if ((nint)start == MapFailed)
        {
            return null;
        }

        nuint aligned = Address.AlignUp(start, alignment);
        if (aligned != start)
        {
            _ = UnmapMemory((void*)start, aligned - start);
        }

        nuint excess = start + padded - (aligned + bytes);
        if (excess != 0)
        {
            _ = UnmapMemory((void*)(aligned + bytes), excess);
        }

        return (void*)aligned;
    }

    private static bool Commit(void* context, void* address, nuint bytes) =>
        ProtectMemory(address, bytes, ProtectReadWrite) == 0;

    private static bool Purge(void* context, void* address, nuint bytes)
    {
        nuint machinePage = (nuint)Configuration(ConfigurationPageSize);
        if ((((nuint)address | bytes) & (machinePage - 1)) != 0)
        {
            return false;
        }

        return MapMemory(address, bytes, ProtectReadWrite, MapFlags | MapFixed, -1, 0) == address;
    }

    private static bool Protect(void* context, void* address, nuint bytes, bool accessible) =>
        ProtectMemory(address, bytes, accessible ? ProtectReadWrite : ProtectNone) == 0;

    private static void Release(void* context, void* address, nuint bytes)
    {
        int result = UnmapMemory(address, bytes);
        Invariant.Check(result == 0);
    }

    private static long NowMilliseconds(void* context)
    {
        TimeSpecification now = default;
        _ = ClockTime(ClockMonotonicApproximate, &now);
        return (now.Seconds * 1000) + (now.Nanoseconds / 1_000_000);
    }

    private struct TimeSpecification
    {
        public long Seconds;
        public long Nanoseconds;
    }

    [DllImport("libSystem", EntryPoint = "mmap")]
    private static extern void* MapMemory(void* address, nuint bytes, int protection, int flags, int file, long offset);

    [DllImport("libSystem", EntryPoint = "munmap")]
    private static extern int UnmapMemory(void* address, nuint bytes);

    [DllImport("libSystem", EntryPoint = "mprotect")]
    private static extern int ProtectMemory(void* address, nuint bytes, int protection);

    [DllImport("libSystem", EntryPoint = "sysconf")]
    private static extern long Configuration(int name);

    [DllImport("libSystem", EntryPoint = "clock_gettime")]
    private static extern int ClockTime(int clock, TimeSpecification* time);
}
