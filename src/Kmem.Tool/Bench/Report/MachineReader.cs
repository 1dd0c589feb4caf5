using System;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;

namespace Kmem.Tool.Bench.Report;

/// <summary>What figures depend on and nobody remembers afterwards.</summary>
internal static partial class MachineReader
{
    public static BenchMachine Read() => new()
    {
        Date = DateTime.UtcNow.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture),
        Processor = Processor(),
        Cpus = Environment.ProcessorCount,
        MemoryBytes = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes,
        Kernel = Kernel(),
        CLibrary = CLibrary(),
        Runtime = RuntimeInformation.FrameworkDescription,
        Kmem = typeof(KmemHeap).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown",
    };

    /// <summary>The distribution with the kernel that it runs on, where that says more.</summary>
    private static string Kernel()
    {
        const string Release = "/proc/sys/kernel/osrelease";
        return File.Exists(Release)
            ? $"Linux {File.ReadAllText(Release).Trim()}, {RuntimeInformation.OSDescription}"
            : RuntimeInformation.OSDescription;
    }

    private static string Processor()
    {
        const string CpuInfo = "/proc/cpuinfo";
        if (File.Exists(CpuInfo))
        {
            string? line = File.ReadLines(CpuInfo).FirstOrDefault(static line => line.StartsWith("model name", StringComparison.Ordinal));
            if (line != null)
            {
                return line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim();
            }
        }

        return RuntimeInformation.ProcessArchitecture.ToString();
    }

    private static string CLibrary()
    {
        try
        {
            return OperatingSystem.IsLinux() ? "glibc " + Marshal.PtrToStringUTF8(GnuLibcVersion()) : "unknown";
        }
        catch (EntryPointNotFoundException)
        {
            return "not glibc";
        }
    }

    [LibraryImport("libc", EntryPoint = "gnu_get_libc_version")]
    private static partial nint GnuLibcVersion();
}
