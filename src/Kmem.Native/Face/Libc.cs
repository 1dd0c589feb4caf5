using System.Runtime;
using System.Runtime.CompilerServices;

namespace Kmem.Native;

/// <summary>
/// The functions of the C library that are called here, as plain calls. None of them may allocate: they run inside
/// <c>malloc</c>.
/// </summary>
#pragma warning disable IDE1006, SYSLIB1054 // The names are libc's.
internal static unsafe class Libc
{
    public const int OutOfMemory = 12;
    public const int InvalidArgument = 22;
    public const int StandardError = 2;

    /// <summary>The calling thread's <c>errno</c>.</summary>
    public static int Errno
    {
        get => *__errno_location();
        set => *__errno_location() = value;
    }

    [RuntimeImport("*", "__errno_location")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    private static extern int* __errno_location();

    [RuntimeImport("*", "syscall")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern long syscall(long number, long first, long second, long third, long fourth);

    [RuntimeImport("*", "sched_getcpu")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern int sched_getcpu();

    [RuntimeImport("*", "sched_yield")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern int sched_yield();

    [RuntimeImport("*", "gettid")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern int gettid();

    [RuntimeImport("*", "sysconf")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern long sysconf(int name);

    [RuntimeImport("*", "getauxval")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern ulong getauxval(ulong type);

    [RuntimeImport("*", "secure_getenv")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern byte* secure_getenv(byte* name);

    [RuntimeImport("*", "write")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern nint write(int descriptor, byte* bytes, nuint count);

    [RuntimeImport("*", "abort")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern void abort();

    [RuntimeImport("*", "memset")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern void* memset(void* address, int value, nuint bytes);

    [RuntimeImport("*", "memcpy")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern void* memcpy(void* destination, void* source, nuint bytes);

    [RuntimeImport("*", "mmap")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern void* mmap(void* address, nuint bytes, int protection, int flags, int file, long offset);

    [RuntimeImport("*", "mprotect")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern int mprotect(void* address, nuint bytes, int protection);

    [RuntimeImport("*", "sigaction")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern int sigaction(int signal, byte* action, byte* previous);

    [RuntimeImport("*", "munmap")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern int munmap(void* address, nuint bytes);
}
#pragma warning restore IDE1006, SYSLIB1054
