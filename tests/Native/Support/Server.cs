using System;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using Xunit;

namespace Kmem.Tests.Native;

/// <summary>A program that serves until it is told to end.</summary>
internal sealed class Server : IDisposable
{
    private static readonly TimeSpan s_startLimit = TimeSpan.FromSeconds(20);

    private readonly Command _command;
    private readonly Process _process;

    /// <summary>Starts it and asks until it answers.</summary>
    public Server(Command command, Func<bool> answers)
    {
        _command = command;
        _process = command.Start();
        Stopwatch watch = Stopwatch.StartNew();
        while (!answers())
        {
            if (_process.HasExited || watch.Elapsed > s_startLimit)
            {
                Dispose();
                Assert.Fail("No answer: " + _command.Finish(_process));
            }

            Thread.Sleep(20);
        }
    }

    public int ProcessId => _process.Id;

    /// <summary>Waits for its end after it was told.</summary>
    public Outcome Finish() => _command.Finish(_process);

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
        }
    }

    /// <summary>A port of this machine that nobody uses now.</summary>
    public static int FreePort()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    public static bool Answers(int port)
    {
        try
        {
            using TcpClient client = new();
            client.Connect(IPAddress.Loopback, port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
