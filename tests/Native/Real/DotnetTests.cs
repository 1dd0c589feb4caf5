using System;
using System.IO;
using Xunit;

namespace Kmem.Tests.Native.Real;

/// <summary>The .NET runtime itself, whose native parts, compilers and collectors allocate with malloc.</summary>
public sealed class DotnetTests
{
    [Fact]
    public void Dotnet_tells_about_itself()
    {
        using Scene scene = new();
        string dotnet = Tools.Find("dotnet", "dotnet-sdk-10.0");
        string output = scene.Preloaded(dotnet, "--info").With("DOTNET_CLI_UI_LANGUAGE", "en").Run().AssertGood().Output;
        Assert.Contains("Microsoft.NETCore.App", output, StringComparison.Ordinal);
        scene.AssertLoadedIn("dotnet");
    }

    [Theory]
    [InlineData("0", "0")]
    [InlineData("0", "1")]
    [InlineData("1", "0")]
    public void A_recorded_trace_is_replayed(string server, string concurrent)
    {
        using Scene scene = new();
        string dotnet = Tools.Find("dotnet", "dotnet-sdk-10.0");
        string tool = Path.Combine(AppContext.BaseDirectory, "Kmem.Tool.dll");
        string trace = Path.Combine(Settings.Root, "traces", "linux-6.18-filesystem.ftrace.gz");
        string output = scene.Preloaded(dotnet, "exec", tool, "replay", trace)
            .With("DOTNET_gcServer", server)
            .With("DOTNET_gcConcurrent", concurrent)
            .Run()
            .AssertGood()
            .Output;
        Assert.Contains("kmalloc (all sizes)", output, StringComparison.Ordinal);
        scene.AssertLoadedIn("dotnet");
    }
}
