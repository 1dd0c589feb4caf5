using System;
using System.Diagnostics;
using System.Globalization;
using System.IO.Pipes;
using System.Reflection;
using Xunit;

namespace Kmem.Tests.Unit.Tool;

/// <summary>A child that runs one of the explicit tests, which calls <see cref="Serve"/>, and does what it is told.</summary>
internal sealed class ServedProgram : IDisposable
{
    private const string PipeVariable = "KMEM_TEST_PIPE";

    private readonly NamedPipeServerStream _pipe;
    private readonly Process _child;

    /// <param name="test">Name of the method.</param>
    /// <param name="debug">Letters of all its heaps.</param>
    public ServedProgram(string test, string debug = "")
    {
        string name = $"kmem-test-{Guid.NewGuid():N}";
        _pipe = new NamedPipeServerStream(name, PipeDirection.InOut);
        ProcessStartInfo start = new(Environment.ProcessPath!) { RedirectStandardOutput = true, RedirectStandardError = true };
        if (Environment.ProcessPath!.EndsWith("dotnet", StringComparison.Ordinal))
        {
            start.ArgumentList.Add(Assembly.GetExecutingAssembly().Location);
        }

        foreach (string argument in new[] { "--explicit", "only", "--filter-method", "*" + test })
        {
            start.ArgumentList.Add(argument);
        }

        start.Environment["KMEM_DEBUG"] = debug;
        start.Environment[PipeVariable] = name;
        _child = Process.Start(start)!;
        _child.BeginOutputReadLine();
        _child.BeginErrorReadLine();
        _pipe.WaitForConnection();
    }

    public int ProcessId => _child.Id;

    public string Id => _child.Id.ToString(CultureInfo.InvariantCulture);

    /// <summary>In the child: each byte is an order; the end of the pipe ends the program.</summary>
    public static void Serve(Action order)
    {
        using NamedPipeClientStream pipe = new(".", Environment.GetEnvironmentVariable(PipeVariable)!, PipeDirection.InOut);
        pipe.Connect();
        while (pipe.ReadByte() >= 0)
        {
            order();
            pipe.WriteByte(1);
        }
    }

    /// <summary>Returns when the program has done its order once more.</summary>
    public void Order()
    {
        _pipe.WriteByte(1);
        Assert.Equal(1, _pipe.ReadByte());
    }

    public void Dispose()
    {
        _pipe.Dispose();
        if (!_child.WaitForExit(30_000))
        {
            _child.Kill();
        }

        _child.Dispose();
    }
}
