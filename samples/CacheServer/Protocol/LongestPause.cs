using System;
using System.Diagnostics.Tracing;
using System.Threading;

namespace CacheServer.Protocol;

/// <summary>The longest time that the garbage collector stopped all threads, from the runtime's own events: from the wish to stop them until they go on.</summary>
internal sealed class LongestPause : EventListener
{
    private const int CollectorKeyword = 1;
    private const int RestartEnd = 3;
    private const int SuspendBegin = 9;

    private static readonly LongestPause s_listener = new();
    private static long s_longest;
    private DateTime _began;

    public static double Microseconds => TimeSpan.FromTicks(Volatile.Read(ref s_longest)).TotalMicroseconds;

    /// <summary>Forgets those that there were.</summary>
    public static void Reset() => Volatile.Write(ref s_longest, 0);

    /// <summary>From now on pauses are seen.</summary>
    public static void Start() => GC.KeepAlive(s_listener);

    protected override void OnEventSourceCreated(EventSource eventSource)
    {
        if (eventSource.Name == "Microsoft-Windows-DotNETRuntime")
        {
            EnableEvents(eventSource, EventLevel.Informational, (EventKeywords)CollectorKeyword);
        }
    }

    protected override void OnEventWritten(EventWrittenEventArgs eventData)
    {
        if (eventData.EventId == SuspendBegin)
        {
            _began = eventData.TimeStamp;
        }
        else if (eventData.EventId == RestartEnd && _began != default)
        {
            long ticks = (eventData.TimeStamp - _began).Ticks;
            Volatile.Write(ref s_longest, Math.Max(s_longest, ticks));
            _began = default;
        }
    }
}
