using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;
using System.Threading.Tasks;

namespace Kmem.Tests.Unit.Checks;

/// <summary>Runs tests/Detectors, a program like a user's, in a process of its own.</summary>
internal static class DetectorProgram
{
    public static (int ExitCode, string Output) Run(string argument, params (string Name, string Value)[] environment) => Start([argument], environment);

    public static (int ExitCode, string Output) Run(string option, string argument, (string Name, string Value) environment) => Start([option, argument], [environment]);

    private static (int ExitCode, string Output) Start(string[] arguments, (string Name, string Value)[] environment)
    {
        ProcessStartInfo start = new(FindDotnet())
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        start.ArgumentList.Add(typeof(Detectors.Program).Assembly.Location);
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        start.Environment["DOTNET_DbgEnableMiniDump"] = "0";
        foreach (string name in start.Environment.Keys.Where(static name => name.StartsWith("KMEM_", StringComparison.Ordinal)).ToArray())
        {
            start.Environment.Remove(name);
        }

        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        using Process child = Process.Start(start)!;
        Task<string> errors = child.StandardError.ReadToEndAsync();
        string output = child.StandardOutput.ReadToEnd();
        child.WaitForExit();
        return (child.ExitCode, output + errors.Result);
    }

    /// <summary>Of the checkout around the tests, if there is one.</summary>
    public static string? FindRoot()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder != null && !File.Exists(Path.Combine(folder.FullName, "Kmem.slnx")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName;
    }

    private static string FindDotnet()
    {
        string name = OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet";
        string besideRuntime = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", name));
        return File.Exists(besideRuntime) ? besideRuntime : name;
    }
}
