using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Diagnostics.Tracing;
using System.IO;
using System.Threading;
using Kmem.Tool.Hosting;
using Microsoft.Diagnostics.NETCore.Client;
using Microsoft.Diagnostics.Tracing;

namespace Kmem.Tool.Processes;

/// <summary>One session on a process's diagnostics port: asks for a dump, and holds switched-on letters until it is disposed.</summary>
internal sealed class DumpSession<TDump> : IDisposable
    where TDump : ProcessDump
{
    /// <summary>Until the first event: a process with Kmem answers at once.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(8);

    /// <summary>From the first event to the last, while all live objects are looked at.</summary>
    private static readonly TimeSpan s_patienceForDump = TimeSpan.FromMinutes(2);

    private const string Source = "Kmem";
    private const long ChecksKeyword = 0x2;
    private const int BufferMegabytes = 64;

    private readonly int _pid;
    private readonly EventPipeSession _session;
    private readonly Thread _reader;
    private readonly TDump _dump;
    private readonly object _lock = new();
    private bool _hasClosed;
    private Exception? _failure;

    private DumpSession(int pid, EventPipeSession session, TDump dump)
    {
        _pid = pid;
        _session = session;
        _dump = dump;
        _reader = new Thread(Read) { IsBackground = true, Name = "events" };
        _reader.Start();
    }

    /// <summary>Asks for a dump and, where <paramref name="letters"/> are given, for these checks.</summary>
    public static DumpSession<TDump> Start(int pid, DiagnosticsClient client, TDump dump, string? letters = null)
    {
        Dictionary<string, string> arguments = new() { ["Request"] = dump.Request };
        if (letters != null)
        {
            arguments["Checks"] = letters;
        }

        EventPipeProvider provider = new(Source, EventLevel.Informational, dump.Keyword | (letters != null ? ChecksKeyword : 0), arguments);
        try
        {
            return new DumpSession<TDump>(pid, client.StartEventPipeSession([provider], requestRundown: false, BufferMegabytes), dump);
        }
        catch (Exception exception) when (exception is DiagnosticsClientException or IOException or TimeoutException or UnauthorizedAccessException)
        {
            TargetProcess.RequireRunning(pid);
            throw new ToolException($"{pid}: the process does not let itself be asked: {exception.Message}", exception);
        }
    }

    /// <summary>Waits for the end of the dump.</summary>
    public TDump WaitForDump()
    {
        long start = Stopwatch.GetTimestamp();
        lock (_lock)
        {
            while (!_dump.HasEnded && _dump.Failure == null && !_hasClosed)
            {
                TimeSpan left = (_dump.HasStarted ? s_patienceForDump : s_patience) - Stopwatch.GetElapsedTime(start);
                if (left <= TimeSpan.Zero || !Monitor.Wait(_lock, left))
                {
                    if (!_dump.HasStarted || Stopwatch.GetElapsedTime(start) > s_patienceForDump)
                    {
                        break;
                    }
                }
            }

            if (_failure is ToolException known)
            {
                throw known;
            }

            if (_dump.Failure != null)
            {
                throw new ToolException($"{_pid}: {_dump.Failure}");
            }

            if (_dump.HasEnded)
            {
                return _dump;
            }
        }

        TargetProcess.RequireRunning(_pid);
        throw new ToolException(_dump.HasStarted
            ? $"{_pid}: the dump did not come to its end"
            : $"{_pid}: the process has not answered: no Kmem is in use there, or it is one that was trimmed without EventSourceSupport");
    }

    public void Dispose()
    {
        try
        {
            _session.Stop();
        }
        catch (Exception exception) when (exception is DiagnosticsClientException or IOException or TimeoutException or ObjectDisposedException)
        {
            // The process has gone, and the session with it.
        }

        _reader.Join(s_patience);
        _session.Dispose();
    }

    private void Read()
    {
        Exception? failure = null;
        try
        {
            using EventPipeEventSource source = new(_session.EventStream);
            source.Dynamic.All += each =>
            {
                if (each.ProviderName == Source)
                {
                    lock (_lock)
                    {
                        _dump.Add(each);
                        Monitor.PulseAll(_lock);
                    }
                }
            };
            source.Process();
        }
        catch (Exception exception)
        {
            // What breaks a stream off: the process ended, or the session.
            failure = exception;
        }

        lock (_lock)
        {
            _failure = failure;
            _hasClosed = true;
            Monitor.PulseAll(_lock);
        }
    }
}
