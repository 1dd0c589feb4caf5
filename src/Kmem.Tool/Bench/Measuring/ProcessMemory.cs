using System;
using System.Globalization;
using System.IO;

namespace Kmem.Tool.Bench.Measuring;

/// <summary>What Linux counts for this process; zeros on other systems.</summary>
internal static class ProcessMemory
{
    private const int MinorFaultsField = 7;

    /// <summary>Resident memory, in bytes.</summary>
    public static long RssBytes() => StatusBytes("VmRSS:");

    /// <summary>The highest resident memory since <see cref="ResetPeak"/>, in bytes.</summary>
    public static long PeakRssBytes() => StatusBytes("VmHWM:");

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

    private static long StatusBytes(string name)
    {
        if (!OperatingSystem.IsLinux())
        {
            return 0;
        }

        foreach (string line in File.ReadLines("/proc/self/status"))
        {
            if (line.StartsWith(name, StringComparison.Ordinal))
            {
                string number = line[name.Length..].Replace("kB", "", StringComparison.Ordinal).Trim();
                return long.Parse(number, CultureInfo.InvariantCulture) * 1024;
            }
        }

        return 0;
    }
}
