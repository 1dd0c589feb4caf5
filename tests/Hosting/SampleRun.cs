using System;
using System.Diagnostics;
using System.IO;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading.Tasks;
using Xunit;

namespace Kmem.Tests.Hosting;

/// <summary>A sample as its user starts it, to its end.</summary>
internal sealed record SampleRun(int ExitCode, string Output, string Errors)
{
    private static readonly TimeSpan s_longest = TimeSpan.FromMinutes(2);

    public static SampleRun Of(string sample, string input, params string[] arguments) => Of(sample, Encoding.UTF8.GetBytes(input), arguments);

    public static SampleRun Of(string sample, byte[] input, params string[] arguments)
    {
        string dotnet = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", "dotnet"));
        ProcessStartInfo start = new(dotnet, [Path.Combine(AppContext.BaseDirectory, sample + ".dll"), .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = Encoding.UTF8,
            StandardErrorEncoding = Encoding.UTF8,
        };

        // Else the machine's caches decide how often there is a collection: 4 MiB.
        start.Environment["DOTNET_GCgen0size"] = "0x400000";
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        try
        {
            process.StandardInput.BaseStream.Write(input);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It did not want to read all of it.
        }

        if (!process.WaitForExit(s_longest))
        {
            process.Kill();
            Assert.Fail($"{sample} has not ended after {s_longest}.");
        }

        return new SampleRun(process.ExitCode, output.Result, errors.Result);
    }
}
