using System;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;

namespace Kmem.Tests.Stress;

/// <summary>What the storms need of Linux.</summary>
internal static unsafe class Linux
{
    private const int SignalWindowChanged = 28;

    /// <summary>Moves the calling thread to the CPUs of the mask; a CPU that is not there is ignored.</summary>
    public static void MoveTo(ulong mask) => _ = SetAffinity(0, sizeof(ulong), &mask);

    /// <summary>Sends a signal that the runtime handles to one thread of this process.</summary>
    public static bool Interrupt(int threadId) => SignalThread(ThreadSignalNumber, Environment.ProcessId, threadId, SignalWindowChanged) == 0;

    public static int CurrentThreadId() => GetThreadId();

    /// <summary>Resident bytes of the mappings that overlap a range, from smaps.</summary>
    public static long ResidentBytes(nuint start, nuint end)
    {
        long bytes = 0;
        bool inside = false;
        foreach (string line in File.ReadLines("/proc/self/smaps"))
        {
            int dash = line.IndexOf('-', StringComparison.Ordinal);
            int space = line.IndexOf(' ', StringComparison.Ordinal);
            if (dash > 0 && dash < space
                && nuint.TryParse(line.AsSpan(0, dash), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out nuint from)
                && nuint.TryParse(line.AsSpan(dash + 1, space - dash - 1), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out nuint to))
            {
                inside = from < end && to > start;
            }
            else if (inside && line.StartsWith("Rss:", StringComparison.Ordinal))
            {
                string number = new([.. line.Where(char.IsAsciiDigit)]);
                bytes += long.Parse(number, CultureInfo.InvariantCulture) * 1024;
            }
        }

        return bytes;
    }

    private const long ThreadSignalNumber = 234;

    [DllImport("libc", EntryPoint = "sched_setaffinity")]
    private static extern int SetAffinity(int thread, nuint size, ulong* mask);

    [DllImport("libc", EntryPoint = "gettid")]
    private static extern int GetThreadId();

    [DllImport("libc", EntryPoint = "syscall")]
    private static extern long SignalThread(long number, int process, int thread, int signal);
}
