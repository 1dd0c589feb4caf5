using System;
using System.Runtime.InteropServices;
using System.Threading;
using Kmem.Engine.Primitives;

namespace Kmem.Engine;

/// <summary>
/// Puts the handler of faults before the runtime's, once, at the first pool. Only on x64 Linux: elsewhere a fault ends the process without our line, and
/// the texts are in its core dump.
/// </summary>
internal static unsafe class FaultWatch
{
    private const int ProtectionRead = 1;
    private const int ProtectionWrite = 2;
    private const int ProtectionExecute = 4;
    private const int MapPrivateAnonymous = 0x22;

    private const int SegmentationFault = 11;

    /// <summary><c>struct sigaction</c> of glibc and musl: handler, set of signals, flags, restorer.</summary>
    private const int ActionBytes = 152;
    private const int FlagsOffset = 136;
    private const int FlagInformation = 4;
    private const int FlagOnStack = 0x0800_0000;

    private static readonly Lock s_lock = new();
    private static FaultDirectory* s_directory;
    private static bool s_isTried;

    public static void Add(FaultPool pool)
    {
        lock (s_lock)
        {
            if (!s_isTried)
            {
                s_isTried = true;
                s_directory = Install();
            }

            if (s_directory != null)
            {
                _ = FaultDirectory.TryAdd(s_directory, pool);
            }
        }
    }

    public static void Remove(nuint start)
    {
        lock (s_lock)
        {
            if (s_directory != null)
            {
                FaultDirectory.Remove(s_directory, start);
            }
        }
    }

    /// <summary>Null where it cannot be.</summary>
    private static FaultDirectory* Install()
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64)
        {
            return null;
        }

        // Never unmapped: the handler is for good.
        nuint directoryBytes = (nuint)sizeof(FaultDirectory);
        byte* memory = (byte*)MapMemory(null, directoryBytes + FaultHandler.CodeSizeBytes, ProtectionRead | ProtectionWrite, MapPrivateAnonymous, -1, 0);
        if (memory == (byte*)-1)
        {
            return null;
        }

        FaultDirectory* directory = (FaultDirectory*)memory;
        byte* code = memory + directoryBytes;
        FaultDirectory.Initialize(directory);
        FaultHandler.Emit(code, directory);
        byte* action = stackalloc byte[ActionBytes];
        if (ProtectMemory(code, FaultHandler.CodeSizeBytes, ProtectionRead | ProtectionExecute) != 0 || SetAction(SegmentationFault, null, action) != 0)
        {
            return null;
        }

        directory->Previous = *(nuint*)action;
        *(nuint*)action = (nuint)code;
        *(int*)(action + FlagsOffset) |= FlagInformation | FlagOnStack;
        return SetAction(SegmentationFault, action, null) == 0 ? directory : null;
    }

    [DllImport("libc", EntryPoint = "mmap")]
    private static extern void* MapMemory(void* address, nuint size, int protection, int flags, int file, long offset);

    [DllImport("libc", EntryPoint = "mprotect")]
    private static extern int ProtectMemory(void* address, nuint size, int protection);

    [DllImport("libc", EntryPoint = "sigaction")]
    private static extern int SetAction(int signal, byte* action, byte* previous);
}
