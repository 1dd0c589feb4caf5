using System.Runtime.InteropServices;
using Kmem.Engine.Primitives;

namespace Kmem.Engine.Os;

/// <summary>Linux: one private anonymous mapping per reservation, opened and emptied in place.</summary>
/// <remarks>
/// <para>Reserve maps with no access and without a claim on swap, so that hundreds of GiB cost only a line in
/// <c>/proc/self/maps</c>. Commit is <c>mprotect</c>: where overcommit is refused (<c>vm.overcommit_memory=2</c>) this is
/// the call that may fail, never a later page fault. Neighbouring committed pieces become one mapping in the kernel, so
/// growth from the bottom never nears the limit on mappings.</para>
/// <para>Purge is <c>MADV_DONTNEED</c>, which takes the pages away at once and leaves zeroes: the resident size falls
/// when the call returns. <c>MADV_FREE</c> would be cheaper and would leave the old contents readable.</para>
/// </remarks>
internal static unsafe class LinuxMemory
{
    private const int ProtectNone = 0;
    private const int ProtectReadWrite = 1 | 2;

    /// <summary>MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, the same on x64 and arm64.</summary>
    private const int MapFlags = 0x02 | 0x20 | 0x4000;

    private const int AdviseDontNeed = 4;

    /// <summary>CLOCK_MONOTONIC_COARSE: good to about 4 ms, and read without entering the kernel.</summary>
    private const int ClockMonotonicCoarse = 6;

    /// <summary>_SC_PAGESIZE.</summary>
    private const int ConfigurationPageSize = 30;

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

        // The kernel aligns to a page only: take the alignment more, then give both ends back.
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

    private static bool Commit(void* context, void* address, nuint bytes)
    {
        Invariant.Holds(Address.IsAligned(address, Address.PageSizeBytes));
        return ProtectMemory(address, bytes, ProtectReadWrite) == 0;
    }

    private static bool Purge(void* context, void* address, nuint bytes)
    {
        Invariant.Holds(Address.IsAligned(address, Address.PageSizeBytes));

        // Where the machine's pages are larger than 4 KiB the kernel would round the length up and take the
        // neighbour's contents too.
        nuint machinePage = (nuint)Configuration(ConfigurationPageSize);
        if ((((nuint)address | bytes) & (machinePage - 1)) != 0)
        {
            return false;
        }

        return AdviseMemory(address, bytes, AdviseDontNeed) == 0;
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
        _ = ClockTime(ClockMonotonicCoarse, &now);
        return (now.Seconds * 1000) + (now.Nanoseconds / 1_000_000);
    }

    private struct TimeSpecification
    {
        public long Seconds;
        public long Nanoseconds;
    }

    [DllImport("libc", EntryPoint = "mmap")]
    private static extern void* MapMemory(void* address, nuint bytes, int protection, int flags, int file, long offset);

    [DllImport("libc", EntryPoint = "munmap")]
    private static extern int UnmapMemory(void* address, nuint bytes);

    [DllImport("libc", EntryPoint = "mprotect")]
    private static extern int ProtectMemory(void* address, nuint bytes, int protection);

    [DllImport("libc", EntryPoint = "madvise")]
    private static extern int AdviseMemory(void* address, nuint bytes, int advice);

    [DllImport("libc", EntryPoint = "sysconf")]
    private static extern long Configuration(int name);

    /// <summary>Reads a page that the kernel shares with every process; too short to be worth a GC transition.</summary>
    [DllImport("libc", EntryPoint = "clock_gettime")]
    [SuppressGCTransition]
    private static extern int ClockTime(int clock, TimeSpecification* time);
}
