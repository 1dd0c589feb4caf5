using System.Runtime;
using System.Runtime.CompilerServices;

namespace Kmem.Native;

/// <summary>More functions of the C library, for files. They do not allocate either, and may set <c>errno</c>.</summary>
#pragma warning disable IDE1006, SYSLIB1054 // The names are libc's.
internal static unsafe class TraceLibc
{
    public const int ErrorExists = 17;
    public const int ErrorTooLarge = 27;
    public const int ErrorNameTooLong = 36;
    public const int ErrorNoSystemCall = 38;
    public const int ErrorNotSupported = 95;

    public const int ReadWrite = 0x2;
    public const int Create = 0x40;
    public const int Exclusive = 0x80;
    public const int CloseOnExec = 0x80000;
    public const int OwnerOnly = 0x180;

    public const int ProtectionReadWrite = 0x3;
    public const int MapShared = 0x1;
    public const int MapPrivateAnonymous = 0x22;
    public const int MapPopulate = 0x8000;

    public const int AdviseNotInFork = 10;
    public const int AdviseZeroInFork = 18;

    public const int ClockRealtime = 0;
    public const int ClockMonotonic = 1;

    public const int LimitFileSize = 1;

    public const long SyscallFileStatus = 5;
    public const long SyscallThreadId = 186;

    /// <summary>Of <c>struct stat</c> on x64.</summary>
    public const int FileStatusBytes = 144;

    [RuntimeImport("*", "open")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern int open(byte* path, int flags, int mode);

    [RuntimeImport("*", "close")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern int close(int file);

    [RuntimeImport("*", "read")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern nint read(int file, byte* bytes, nuint count);

    [RuntimeImport("*", "pwrite")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern nint pwrite(int file, byte* bytes, nuint count, long offset);

    [RuntimeImport("*", "fallocate")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern int fallocate(int file, int mode, long offset, long length);

    [RuntimeImport("*", "madvise")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern int madvise(void* address, nuint bytes, int advice);

    [RuntimeImport("*", "getcwd")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern byte* getcwd(byte* buffer, nuint bytes);

    [RuntimeImport("*", "getpid")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern int getpid();

    [RuntimeImport("*", "getppid")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern int getppid();

    [RuntimeImport("*", "getrlimit")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern int getrlimit(int resource, ulong* limits);

    /// <summary>Seconds and nanoseconds.</summary>
    [RuntimeImport("*", "clock_gettime")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern int clock_gettime(int clock, long* time);
}
#pragma warning restore IDE1006, SYSLIB1054
