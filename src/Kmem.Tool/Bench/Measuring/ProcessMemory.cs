using System;
using System.Buffers.Text;
using System.Globalization;
using System.IO;
using Microsoft.Win32.SafeHandles;

namespace Kmem.Tool.Bench.Measuring;

/// <summary>What Linux counts for this process; zeros on other systems.</summary>
internal static class ProcessMemory
{
    private const int MinorFaultsField = 7;

    /// <summary>The files have some 1.5 KiB; what is looked for stands in their first half.</summary>
    private const int FileBytesMax = 4096;

    /// <summary>Resident memory, in bytes.</summary>
    public static long RssBytes() => StatusBytes("VmRSS:"u8);

    /// <summary>The highest resident memory since <see cref="ResetPeak"/>, in bytes.</summary>
    public static long PeakRssBytes() => StatusBytes("VmHWM:"u8);

    /// <summary>What programs could still take of the machine, in bytes.</summary>
    public static long AvailableBytes() => FileBytes("/proc/meminfo", "MemAvailable:"u8);

    /// <summary>Lets the peak start again from what is resident now.</summary>
    public static void ResetPeak()
    {
        if (OperatingSystem.IsLinux())
        {
            // Documented in proc(5): 5 resets the peak.
            File.WriteAllText("/proc/self/clear_refs", "5");
        }
    }

    /// <summary>Page faults so far that needed no disk.</summary>
    public static long MinorFaults()
    {
        if (!OperatingSystem.IsLinux())
        {
            return 0;
        }

        // The second field is the command's name in parentheses and may hold spaces.
        string stat = File.ReadAllText("/proc/self/stat");
        string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return long.Parse(fields[MinorFaultsField], CultureInfo.InvariantCulture);
    }

    private static long StatusBytes(ReadOnlySpan<byte> name) => FileBytes("/proc/self/status", name);

    private static long FileBytes(string path, ReadOnlySpan<byte> name)
    {
        if (!OperatingSystem.IsLinux())
        {
            return 0;
        }

        // Leaves next to no garbage: who follows memory over time must not be the reason for a collection.
        Span<byte> buffer = stackalloc byte[FileBytesMax];
        using SafeFileHandle file = File.OpenHandle(path);
        ReadOnlySpan<byte> lines = buffer[..RandomAccess.Read(file, buffer, fileOffset: 0)];
        int at = lines.IndexOf(name);
        if (at < 0)
        {
            return 0;
        }

        ReadOnlySpan<byte> kilobytes = lines[(at + name.Length)..].TrimStart("\t "u8);
        return Utf8Parser.TryParse(kilobytes, out long number, out _) ? number * 1024 : 0;
    }
}
