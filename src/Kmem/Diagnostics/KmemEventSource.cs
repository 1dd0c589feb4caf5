using System;
using System.Collections.Generic;
using System.Diagnostics.CodeAnalysis;
using System.Diagnostics.Tracing;
using System.Threading;

namespace Kmem.Diagnostics;

/// <summary>
/// What Kmem tells a process outside, over the runtime's diagnostics port: the live objects of all heaps by who allocated them, and the figures of all heaps and caches.
/// <c>kmem leaks</c> and <c>kmem slabinfo</c> ask so.
/// </summary>
/// <remarks>
/// <para>A session that enables <see cref="Keywords.Leaks"/> gets one dump of live objects, one that enables <see cref="Keywords.Dump"/> one of figures. Its argument <c>Request</c> names the dump: the events carry the name, since those of
/// another session's dump come too. One with <see cref="Keywords.Checks"/> and the argument <c>Checks</c>, in the form of <see cref="KmemHeapOptions.Debug"/>, switches these
/// letters on until it ends. One with <see cref="Keywords.Reports"/> gets an event for each report from then on, at level Error.</para>
/// <para>Where the runtime is told of sessions nothing may take long, so that the work is done by a thread of its own, which also comes when the thread pool is stuck.</para>
/// </remarks>
[EventSource(Name = SourceName)]
internal sealed partial class KmemEventSource : EventSource
{
    public const string SourceName = "Kmem";
    public const string RequestArgument = "Request";
    public const string ChecksArgument = "Checks";

    private const int TextLengthMax = 12_000;

    /// <summary>As often as the runtime sends what it has.</summary>
    private const int PushMilliseconds = 100;

    private const int PushesMax = 50;
    private const string Primitive = "The arguments are numbers and strings.";

    private static int s_started;
    private static KmemEventSource? s_instance;

    private readonly Lock _lock = new();
    private readonly HashSet<string> _answered = new(StringComparer.Ordinal);
    private CheckLoan? _loan;

    /// <summary>What a session may ask for.</summary>
    public static class Keywords
    {
        public const EventKeywords Leaks = (EventKeywords)0x1;
        public const EventKeywords Checks = (EventKeywords)0x2;
        public const EventKeywords Reports = (EventKeywords)0x4;
        public const EventKeywords Dump = (EventKeywords)0x8;
    }

    private static class Ids
    {
        public const int DumpStarted = 1;
        public const int Heap = 2;
        public const int Site = 3;
        public const int Untracked = 4;
        public const int DumpEnded = 5;
        public const int ChecksLent = 6;
        public const int ChecksRefused = 7;
        public const int DumpPushed = 8;
        public const int Report = 9;
        public const int SlabDumpStarted = 10;
        public const int HeapFigures = 11;
        public const int CacheFigures = 12;
        public const int SlabDumpEnded = 13;
    }

    /// <summary>Makes the source, once, in the background: the first allocation of a process does not wait for it.</summary>
    public static void Start()
    {
        if (Interlocked.Exchange(ref s_started, 1) == 0)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static _ => Volatile.Write(ref s_instance, new KmemEventSource()), null);
        }
    }

    /// <summary>A mistake was found: whoever listens outside is told, too.</summary>
    [NonEvent]
    public static void Tell(KmemReport report)
    {
        KmemEventSource? source = Volatile.Read(ref s_instance);
        if (source != null && source.IsEnabled(EventLevel.Error, Keywords.Reports))
        {
            string text = report.Text.Length <= TextLengthMax ? report.Text : report.Text[..TextLengthMax];
            source.Report(report.Misuse.ToString(), report.HeapName, report.CacheName, report.Address, report.BadAddress, text);
        }
    }

    [NonEvent]
    protected override void OnEventCommand(EventCommandEventArgs command)
    {
        string request = ArgumentOf(command, RequestArgument);
        string checks = ArgumentOf(command, ChecksArgument);
        Thread worker = new(() => Answer(command.Command, request, checks)) { IsBackground = true, Name = "Kmem diagnostics" };
        worker.Start();
    }

    [NonEvent]
    private static string ArgumentOf(EventCommandEventArgs command, string name) =>
        command.Arguments != null && command.Arguments.TryGetValue(name, out string? value) ? value ?? "" : "";

    private bool WantsDump => IsEnabled(EventLevel.Informational, Keywords.Leaks) || IsEnabled(EventLevel.Informational, Keywords.Dump);

    /// <summary>Commands may overtake each other: what counts is what is enabled now.</summary>
    [NonEvent]
    private void Answer(EventCommand command, string request, string checks)
    {
        lock (_lock)
        {
            if (!IsEnabled(EventLevel.Informational, Keywords.Checks))
            {
                _loan?.Return();
                _loan = null;
            }
            else if (_loan == null && checks.Length != 0)
            {
                _loan = CheckLoan.Take(checks);
                if (_loan == null)
                {
                    ChecksRefused(request, checks);
                }
                else
                {
                    ChecksLent(request, checks, _loan.Caches);
                }
            }

            // When one session ends, the others' settings come again, with its arguments.
            bool isNew = request.Length == 0 ? command == EventCommand.Enable : _answered.Add(request);
            if (!isNew || !WantsDump)
            {
                return;
            }

            if (IsEnabled(EventLevel.Informational, Keywords.Leaks))
            {
                Dump(request);
            }

            if (IsEnabled(EventLevel.Informational, Keywords.Dump))
            {
                DumpSlabs(request);
            }
        }

        Push(request);
    }

    /// <summary>
    /// A reader of the stream gives out a block of events when the next one comes, since threads' events are to be in order: so that the last events of a dump are followed by
    /// others until the session ends.
    /// </summary>
    [NonEvent]
    private void Push(string request)
    {
        for (int pushes = 0; pushes < PushesMax && request.Length != 0 && WantsDump; pushes++)
        {
            Thread.Sleep(PushMilliseconds);
            DumpPushed(request);
        }
    }

    [NonEvent]
    private void Dump(string request)
    {
        KmemHeap[] heaps = HeapDirectory.All();
        int lines = 0;
        DumpStarted(request, heaps.Length);
        foreach (KmemHeap heap in heaps)
        {
            KmemLeakReport report;
            try
            {
                report = heap.SearchLeaks(new KmemLeakOptions());
            }
            catch (ObjectDisposedException)
            {
                continue;
            }

            Heap(request, report.HeapName, report.CachesWithUsers);
            foreach (KmemLeakSite site in report.Sites)
            {
                Site(
                    request,
                    site.Objects,
                    site.RequestedBytes,
                    (long)site.OldestAge.TotalMilliseconds,
                    (long)site.YoungestAge.TotalMilliseconds,
                    Clipped(string.Join('\n', site.CacheNames)),
                    Clipped(LeakText.Key(site.Stack)));
            }

            foreach (KmemUntrackedObjects each in report.Untracked)
            {
                Untracked(request, each.CacheName, each.Objects, each.Bytes);
            }

            lines += 1 + report.Sites.Count + report.Untracked.Count;
        }

        DumpEnded(request, lines);
    }

    /// <summary>An event has at most 64 KiB.</summary>
    [NonEvent]
    private static string Clipped(string text) => text.Length <= TextLengthMax ? text : text[..TextLengthMax];

    [Event(Ids.DumpStarted, Level = EventLevel.Informational, Keywords = Keywords.Leaks)]
    private unsafe void DumpStarted(string request, int heaps)
    {
        fixed (char* text = request)
        {
            EventData* data = stackalloc EventData[2];
            SetText(&data[0], text, request.Length);
            Set(&data[1], &heaps, sizeof(int));
            Write(Ids.DumpStarted, 2, data);
        }
    }

    /// <summary>What follows is of this heap.</summary>
    [Event(Ids.Heap, Level = EventLevel.Informational, Keywords = Keywords.Leaks)]
    private unsafe void Heap(string request, string name, int cachesWithUsers)
    {
        fixed (char* text = request, heap = name)
        {
            EventData* data = stackalloc EventData[3];
            SetText(&data[0], text, request.Length);
            SetText(&data[1], heap, name.Length);
            Set(&data[2], &cachesWithUsers, sizeof(int));
            Write(Ids.Heap, 3, data);
        }
    }

    /// <summary>Names and frames are apart by line feeds.</summary>
    [Event(Ids.Site, Level = EventLevel.Informational, Keywords = Keywords.Leaks)]
    private unsafe void Site(string request, long objects, long bytes, long oldestMilliseconds, long youngestMilliseconds, string caches, string stack)
    {
        fixed (char* text = request, names = caches, frames = stack)
        {
            EventData* data = stackalloc EventData[7];
            SetText(&data[0], text, request.Length);
            Set(&data[1], &objects, sizeof(long));
            Set(&data[2], &bytes, sizeof(long));
            Set(&data[3], &oldestMilliseconds, sizeof(long));
            Set(&data[4], &youngestMilliseconds, sizeof(long));
            SetText(&data[5], names, caches.Length);
            SetText(&data[6], frames, stack.Length);
            Write(Ids.Site, 7, data);
        }
    }

    [Event(Ids.Untracked, Level = EventLevel.Informational, Keywords = Keywords.Leaks)]
    private unsafe void Untracked(string request, string cache, long objects, long bytes)
    {
        fixed (char* text = request, name = cache)
        {
            EventData* data = stackalloc EventData[4];
            SetText(&data[0], text, request.Length);
            SetText(&data[1], name, cache.Length);
            Set(&data[2], &objects, sizeof(long));
            Set(&data[3], &bytes, sizeof(long));
            Write(Ids.Untracked, 4, data);
        }
    }

    /// <summary><paramref name="lines"/>: events between the first and this one. Fewer came: the session's buffer was full.</summary>
    [Event(Ids.DumpEnded, Level = EventLevel.Informational, Keywords = Keywords.Leaks)]
    private unsafe void DumpEnded(string request, int lines)
    {
        fixed (char* text = request)
        {
            EventData* data = stackalloc EventData[2];
            SetText(&data[0], text, request.Length);
            Set(&data[1], &lines, sizeof(int));
            Write(Ids.DumpEnded, 2, data);
        }
    }

    /// <summary>Says nothing but that a dump is over.</summary>
    [Event(Ids.DumpPushed, Level = EventLevel.Informational, Keywords = Keywords.Leaks | Keywords.Dump)]
    private unsafe void DumpPushed(string request)
    {
        fixed (char* text = request)
        {
            EventData* data = stackalloc EventData[1];
            SetText(&data[0], text, request.Length);
            Write(Ids.DumpPushed, 1, data);
        }
    }

    [Event(Ids.ChecksLent, Level = EventLevel.Informational, Keywords = Keywords.Checks)]
    private unsafe void ChecksLent(string request, string checks, int caches)
    {
        fixed (char* text = request, letters = checks)
        {
            EventData* data = stackalloc EventData[3];
            SetText(&data[0], text, request.Length);
            SetText(&data[1], letters, checks.Length);
            Set(&data[2], &caches, sizeof(int));
            Write(Ids.ChecksLent, 3, data);
        }
    }

    [Event(Ids.ChecksRefused, Level = EventLevel.Informational, Keywords = Keywords.Checks)]
    private unsafe void ChecksRefused(string request, string checks)
    {
        fixed (char* text = request, letters = checks)
        {
            EventData* data = stackalloc EventData[2];
            SetText(&data[0], text, request.Length);
            SetText(&data[1], letters, checks.Length);
            Write(Ids.ChecksRefused, 2, data);
        }
    }

    [Event(Ids.Report, Level = EventLevel.Error, Keywords = Keywords.Reports)]
    private unsafe void Report(string misuse, string heap, string cache, ulong address, ulong badAddress, string report)
    {
        fixed (char* what = misuse, heapName = heap, cacheName = cache, text = report)
        {
            EventData* data = stackalloc EventData[6];
            SetText(&data[0], what, misuse.Length);
            SetText(&data[1], heapName, heap.Length);
            SetText(&data[2], cacheName, cache.Length);
            Set(&data[3], &address, sizeof(ulong));
            Set(&data[4], &badAddress, sizeof(ulong));
            SetText(&data[5], text, report.Length);
            Write(Ids.Report, 6, data);
        }
    }

    [NonEvent]
    private static unsafe void Set(EventData* data, void* value, int bytes)
    {
        data->DataPointer = (nint)value;
        data->Size = bytes;
    }

    /// <summary>With the zero that ends the string.</summary>
    [NonEvent]
    private static unsafe void SetText(EventData* data, char* text, int length) => Set(data, (void*)text, (length + 1) * sizeof(char));

    [NonEvent]
    [UnconditionalSuppressMessage("ReflectionAnalysis", "IL2026", Justification = Primitive)]
    private unsafe void Write(int id, int count, EventData* data) => WriteEventCore(id, count, data);
}
