using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Threading;

namespace Kmem.Tests.Stress;

/// <summary>
/// What interrupts a thread in the middle of a sequence: signals with a handler, sent to every thread all the time, and moves from
/// CPU to CPU. Ignored signals would not do: they are not delivered.
/// </summary>
internal sealed unsafe class Disturbance : IDisposable
{
    private const int SignalNumber = 40;
    private const int RestartSystemCalls = 0x1000_0000;
    private const long NumberOfTgkill = 234;
    private const long NumberOfGettid = 186;

    private static readonly long* s_delivered = InstallHandler();

    private readonly List<int> _threads = [];
    private readonly Thread _sender;
    private readonly long _deliveredBefore = *s_delivered;
    private bool _over;

    public Disturbance()
    {
        _sender = new Thread(Send);
        _sender.Start();
    }

    public static bool IsPossible => OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64;

    /// <summary>Signals whose handler ran.</summary>
    public long Delivered => Volatile.Read(ref *s_delivered) - _deliveredBefore;

    /// <summary>The calling thread gets signals until it leaves.</summary>
    public void Enter()
    {
        lock (_threads)
        {
            _threads.Add((int)Syscall(NumberOfGettid, 0, 0, 0));
        }
    }

    public void Leave()
    {
        lock (_threads)
        {
            _threads.Remove((int)Syscall(NumberOfGettid, 0, 0, 0));
        }
    }

    /// <summary>Moves the calling thread to some CPU.</summary>
    public static void Migrate(Random random) => _ = OneCpu.Pin(random.Next(Environment.ProcessorCount));

    public void Dispose()
    {
        Volatile.Write(ref _over, true);
        _sender.Join();
    }

    private void Send()
    {
        int process = Environment.ProcessId;
        while (!Volatile.Read(ref _over))
        {
            lock (_threads)
            {
                foreach (int thread in _threads)
                {
                    _ = Syscall(NumberOfTgkill, process, thread, SignalNumber);
                }
            }

            // A few ten thousand signals a second: denser ones would leave the threads no time to be interrupted in.
            Thread.SpinWait(10_000);
        }
    }

    /// <summary>A handler of two instructions, since managed code must not run in one: it counts and returns.</summary>
    private static long* InstallHandler()
    {
        byte* code = (byte*)MapMemory(null, 8192, 1 | 2, 0x22, -1, 0);
        byte[] increment = [0xF0, 0x48, 0xFF, 0x05];
        increment.CopyTo(new Span<byte>(code, 4));
        *(int*)(code + 4) = 4096 - 8;
        code[8] = 0xC3;
        SignalAction action = new() { Handler = code, Flags = RestartSystemCalls };
        return ProtectMemory(code, 4096, 1 | 4) == 0 && SetSignalAction(SignalNumber, &action, null) == 0
            ? (long*)(code + 4096)
            : throw new PlatformNotSupportedException("No handler of a signal.");
    }

    /// <summary>glibc's struct sigaction on x64.</summary>
    private struct SignalAction
    {
        public void* Handler;
        public fixed ulong Mask[16];
        public int Flags;
        public void* Restorer;
    }

    [DllImport("libc", EntryPoint = "sigaction")]
    private static extern int SetSignalAction(int signal, SignalAction* action, SignalAction* previous);

    [DllImport("libc", EntryPoint = "syscall")]
    private static extern long Syscall(long number, long first, long second, long third);

    [DllImport("libc", EntryPoint = "mmap")]
    private static extern void* MapMemory(void* address, nuint size, int protection, int flags, int file, long offset);

    [DllImport("libc", EntryPoint = "mprotect")]
    private static extern int ProtectMemory(void* address, nuint size, int protection);
}
