using System;
using System.Runtime.InteropServices;
using System.Threading;

namespace Kmem.Engine;

internal static unsafe partial class Face
{
    // Chosen once: a futex where there is one, else a yield, which only makes a rare wait longer.
    private static readonly delegate*<int*, int, void> s_park = OperatingSystem.IsLinux() ? &ParkLinux : &ParkYield;
    private static readonly delegate*<int*, void> s_unpark = OperatingSystem.IsLinux() ? &UnparkLinux : &UnparkNothing;

    private const int FutexWaitPrivate = 128;
    private const int FutexWakePrivate = 129;

    private static long FutexNumber => RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 202 : 98;

    private static void ParkLinux(int* word, int expected) => _ = Syscall(FutexNumber, word, FutexWaitPrivate, expected, null);

    private static void UnparkLinux(int* word) => _ = Syscall(FutexNumber, word, FutexWakePrivate, 1, null);

    private static void ParkYield(int* word, int expected)
    {
        if (!Thread.Yield())
        {
            Thread.Sleep(0);
        }
    }

    private static void UnparkNothing(int* word)
    {
    }

    [DllImport("libc", EntryPoint = "syscall")]
    private static extern long Syscall(long number, int* word, long operation, long value, void* timeout);
}
