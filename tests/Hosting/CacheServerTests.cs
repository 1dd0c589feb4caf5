using System;
using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;
using Xunit;

namespace Kmem.Tests.Hosting;

/// <summary>The sample CacheServer speaks memcached's protocols as memcached's own clients want it to.</summary>
public sealed class CacheServerTests
{
    [Theory]
    [InlineData("kmem")]
    [InlineData("managed")]
    public void The_test_suite_of_the_protocol_passes(string store)
    {
        using Process server = StartServer(store, out int port);
        try
        {
            string output = RunSuite(port);
            Assert.DoesNotContain("[FAIL]", output, StringComparison.Ordinal);
            Assert.InRange(output.Split('\n').Count(static line => line.Contains("[pass]", StringComparison.Ordinal)), 50, 100);
            Assert.False(server.HasExited);
        }
        finally
        {
            server.Kill();
        }
    }

    private static Process StartServer(string store, out int port)
    {
        string dotnet = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", "dotnet"));
        ProcessStartInfo start = new(dotnet, [Path.Combine(AppContext.BaseDirectory, "CacheServer.dll"), "--port", "0", "--store", store]) { RedirectStandardOutput = true };
        Process server = Process.Start(start)!;
        string line = server.StandardOutput.ReadLine() ?? "";
        Assert.StartsWith("listening on ", line, StringComparison.Ordinal);
        port = int.Parse(line.AsSpan(line.LastIndexOf(':') + 1), CultureInfo.InvariantCulture);
        return server;
    }

    private static string RunSuite(int port)
    {
        ProcessStartInfo start = new("memccapable", ["-h", "127.0.0.1", "-p", port.ToString(CultureInfo.InvariantCulture)]) { RedirectStandardOutput = true, RedirectStandardError = true };
        try
        {
            using Process suite = Process.Start(start)!;
            System.Threading.Tasks.Task<string> errors = suite.StandardError.ReadToEndAsync();
            string output = suite.StandardOutput.ReadToEnd();
            Assert.True(suite.WaitForExit(60_000));
            return output + errors.Result;
        }
        catch (Win32Exception)
        {
            Assert.Skip("There is no memccapable: it is in libmemcached-tools.");
            throw;
        }
    }
}
