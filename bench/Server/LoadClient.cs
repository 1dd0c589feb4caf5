using System;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading;

namespace Kmem.Bench.Server;

/// <summary>A client that costs little: it sends prepared bytes on all its connections and counts the bytes that come back, whose number the first answer tells.</summary>
internal static class LoadClient
{
    /// <summary>Requests per second of all threads together.</summary>
    public static double Run(int port, Workload workload, Settings settings, double seconds)
    {
        long requests = 0;
        Exception? failure = null;
        Stopwatch clock = Stopwatch.StartNew();
        Thread[] threads = [.. Enumerable.Range(0, settings.Clients).Select(_ => new Thread(() =>
        {
            try
            {
                Interlocked.Add(ref requests, RunThread(port, workload, Math.Max(1, settings.Connections / settings.Clients), seconds));
            }
#pragma warning disable CA1031 // It is thrown in the caller's thread.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                failure = exception;
            }
        }))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        return failure == null ? requests / clock.Elapsed.TotalSeconds : throw new InvalidOperationException("The client failed.", failure);
    }

    /// <summary>Connections that have asked and do not read.</summary>
    public static Socket[] AskAndWait(int port, Workload workload, int connections)
    {
        byte[] request = RequestFor(workload.Path);
        Socket[] sockets = new Socket[connections];
        for (int index = 0; index < connections; index++)
        {
            sockets[index] = Connect(port, receiveBytes: 4096);
            sockets[index].Send(request);
        }

        return sockets;
    }

    private static long RunThread(int port, Workload workload, int connections, double seconds)
    {
        Socket[] sockets = [.. Enumerable.Range(0, connections).Select(_ => Connect(port))];
        byte[] request = RequestFor(workload.Path);
        int answerBytes = sockets.Max(socket => AskOnce(socket, request));
        byte[] batch = [.. Enumerable.Repeat(request, workload.Depth).SelectMany(each => each)];
        byte[] received = new byte[256 << 10];
        long requests = 0;
        for (Stopwatch clock = Stopwatch.StartNew(); clock.Elapsed.TotalSeconds < seconds; requests += connections * workload.Depth)
        {
            foreach (Socket socket in sockets)
            {
                socket.Send(batch);
            }

            foreach (Socket socket in sockets)
            {
                for (int left = answerBytes * workload.Depth; left > 0;)
                {
                    int bytes = socket.Receive(received, 0, Math.Min(received.Length, left), SocketFlags.None);
                    left -= bytes > 0 ? bytes : throw new InvalidOperationException("The server closed the connection.");
                }
            }
        }

        Array.ForEach(sockets, socket => socket.Dispose());
        return requests;
    }

    /// <summary>Bytes of an answer, head included: the same for all, since the date has a fixed length.</summary>
    private static int AskOnce(Socket socket, byte[] request)
    {
        const string LengthHeader = "Content-Length: ";
        socket.Send(request);
        byte[] received = new byte[256 << 10];
        int total = 0;
        int whole = int.MaxValue;
        while (total < whole)
        {
            int bytes = socket.Receive(received, total, received.Length - total, SocketFlags.None);
            total += bytes > 0 ? bytes : throw new InvalidOperationException("The server closed the connection.");
            string text = Encoding.Latin1.GetString(received, 0, total);
            int end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
            if (end >= 0 && whole == int.MaxValue)
            {
                int start = text.IndexOf(LengthHeader, StringComparison.Ordinal) + LengthHeader.Length;
                whole = end + 4 + int.Parse(text.AsSpan(start, text.IndexOf('\r', start) - start), CultureInfo.InvariantCulture);
                if (!text.StartsWith("HTTP/1.1 200", StringComparison.Ordinal))
                {
                    throw new InvalidOperationException(text[..end]);
                }
            }
        }

        return whole;
    }

    private static Socket Connect(int port, int receiveBytes = 0)
    {
        Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        if (receiveBytes != 0)
        {
            socket.ReceiveBufferSize = receiveBytes;
        }

        socket.Connect(IPAddress.Loopback, port);
        return socket;
    }

    private static byte[] RequestFor(string path) => Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/plain\r\nConnection: keep-alive\r\n\r\n");
}
