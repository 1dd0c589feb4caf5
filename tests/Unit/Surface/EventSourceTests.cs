using System;
using System.Collections.Generic;
using System.Diagnostics.Tracing;
using System.Linq;
using System.Threading;
using Kmem.Diagnostics;
using Xunit;

namespace Kmem.Tests.Unit.Surface;

/// <summary>What a listener in the process gets from the source <c>Kmem</c>.</summary>
public sealed class EventSourceTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    [Fact]
    public void A_session_gets_one_dump_of_all_heaps()
    {
        string name = $"events-{Guid.NewGuid():N}";
        using KmemHeap heap = new(new KmemHeapOptions { Name = name, Debug = "U,kmalloc-112", MaintenanceIntervalMilliseconds = 0 });
        for (int times = 0; times < 3; times++)
        {
            _ = LeakTests.AllocSmall(heap);
        }

        _ = LeakTests.AllocBig(heap);
        using Listener listener = new();
        IReadOnlyList<EventWrittenEventArgs> events = listener.Ask(Leaks, out string request);
        Assert.Equal("DumpStarted", events[0].EventName);
        Assert.Equal("DumpEnded", events[^1].EventName);
        Assert.Equal(events.Count - 2, events[^1].Payload![1]);
        Assert.All(events, each => Assert.Equal(request, each.Payload![0]));

        int at = events.ToList().FindIndex(each => each.EventName == "Heap" && (string)each.Payload![1]! == name);
        Assert.Equal(1, events[at].Payload![2]);
        EventWrittenEventArgs site = events[at + 1];
        Assert.Equal(("Site", 3L, 300L), (site.EventName, (long)site.Payload![1]!, (long)site.Payload[2]!));
        Assert.True((long)site.Payload[3]! >= (long)site.Payload[4]!);
        Assert.Equal("kmalloc-112", site.Payload[5]);
        Assert.Contains(nameof(LeakTests.AllocSmall), (string)site.Payload[6]!, StringComparison.Ordinal);
        Assert.Equal(("Untracked", "kmalloc-1024", 1L, 1024L), (events[at + 2].EventName, (string)events[at + 2].Payload![1]!, (long)events[at + 2].Payload![2]!, (long)events[at + 2].Payload![3]!));
    }

    [Fact]
    public void Letters_are_on_while_the_session_lasts_and_what_was_on_stays()
    {
        using KmemHeap heap = LeakTests.Make("Z,kmalloc-64;U,kmalloc-80");
        using KmemCache own = new("lent-own", 50, new KmemCacheOptions { Heap = heap });
        using KmemCache changed = new("lent-changed", 50, new KmemCacheOptions { Heap = heap });
        using KmemCache already = new("lent-already", 50, new KmemCacheOptions { Heap = heap });
        already.Checks = KmemChecks.Users;
        using (Listener listener = new())
        {
            IReadOnlyList<EventWrittenEventArgs> events = listener.Ask(Leaks | Checks, out _, "U,lent-*,kmalloc-64,kmalloc-80");
            Assert.Equal("ChecksLent", events[0].EventName);
            Assert.True((int)events[0].Payload![2]! >= 3);
            Assert.Equal(KmemChecks.Users, own.Checks);
            Assert.Equal(KmemChecks.Users | KmemChecks.RedZones, heap.GetChecks("kmalloc-64"));
            Assert.Equal(KmemChecks.None, heap.GetChecks("kmalloc-48"));
            using KmemCache made = new("lent-made", 50, new KmemCacheOptions { Heap = heap });
            Assert.Equal(KmemChecks.Users, made.Checks);
            changed.Checks = KmemChecks.Poison;
        }

        Until(() => own.Checks == KmemChecks.None);
        Assert.Equal(KmemChecks.RedZones, heap.GetChecks("kmalloc-64"));
        Assert.Equal(KmemChecks.Users, heap.GetChecks("kmalloc-80"));
        Assert.Equal(KmemChecks.Poison, changed.Checks);
        Assert.Equal(KmemChecks.Users, already.Checks);
        using KmemCache later = new("lent-later", 50, new KmemCacheOptions { Heap = heap });
        Assert.Equal(KmemChecks.None, later.Checks);
    }

    [Fact]
    public void Letters_that_do_not_exist_are_refused()
    {
        using KmemHeap heap = LeakTests.Make("");
        using Listener listener = new();
        IReadOnlyList<EventWrittenEventArgs> events = listener.Ask(Leaks | Checks, out _, "Q");
        Assert.Equal("ChecksRefused", events[0].EventName);
        Assert.Equal(KmemChecks.None, heap.GetChecks("kmalloc-64"));
    }

    [Fact]
    public unsafe void A_report_is_an_event_with_its_parts()
    {
        string name = $"reports-{Guid.NewGuid():N}";
        using KmemHeap heap = new(new KmemHeapOptions { Name = name, Debug = "Z,kmalloc-32", MaintenanceIntervalMilliseconds = 0 });
        using Listener listener = new();
        listener.Enable(KmemEventSource.Keywords.Reports);
        byte* memory = (byte*)heap.Alloc(18);
        memory[18] = 1;
        KmemMisuseException thrown = Assert.Throws<KmemMisuseException>(() => heap.Free(memory));
        EventWrittenEventArgs? told = null;
        Until(() => (told = listener.Find(each => each.EventName == "Report" && (string)each.Payload![1]! == name)) != null);
        Assert.Equal(EventLevel.Error, told!.Level);
        Assert.Equal(
            (nameof(KmemMisuse.WrittenPast), "kmalloc-32", (ulong)memory, (ulong)memory + 18, thrown.Message),
            ((string)told.Payload![0]!, (string)told.Payload[2]!, (ulong)told.Payload[3]!, (ulong)told.Payload[4]!, (string)told.Payload[5]!));
    }

    [Fact]
    public void A_session_gets_the_figures_of_all_heaps_and_caches_once()
    {
        string name = $"figures-{Guid.NewGuid():N}";
        using KmemHeap heap = new(new KmemHeapOptions { Name = name, Debug = "", MaintenanceIntervalMilliseconds = 0 });
        for (int times = 0; times < 100; times++)
        {
            _ = LeakTests.AllocSmall(heap);
        }

        using Listener listener = new();
        IReadOnlyList<EventWrittenEventArgs> events = listener.Ask(KmemEventSource.Keywords.Dump, out string request, end: "SlabDumpEnded");
        Assert.Equal(("SlabDumpStarted", 1), (events[0].EventName, (int)events[0].Payload![1]!));
        Assert.Equal(events.Count - 2, events[^1].Payload![1]);
        Assert.All(events, each => Assert.Equal(request, each.Payload![0]));
        int at = events.ToList().FindIndex(each => each.EventName == "HeapFigures" && (string)each.Payload![1]! == name);
        KmemStatistics expected = heap.GetStatistics();
        Assert.Equal(
            ((long)expected.CommittedBytes, (long)expected.SizeClassBytes, (long)expected.MetadataBytes, expected.Pages.TotalPages),
            (Number(events[at], "committedBytes"), Number(events[at], "sizeClassBytes"), Number(events[at], "metadataBytes"), Number(events[at], "totalPages")));
        for (int index = 0; index < expected.Caches.Count; index++)
        {
            KmemCacheStatistics cache = expected.Caches[index];
            EventWrittenEventArgs told = events[at + 1 + index];
            Assert.Equal(
                ("CacheFigures", cache.Name, cache.LiveObjects, cache.TotalObjects, cache.Slabs, (long)cache.StrideBytes, cache.SlabsCreated, cache.AllocFromSlab, (cache.IsSizeClass ? 1L : 0) | (cache.IsInternal ? 2L : 0)),
                (told.EventName, (string)told.Payload![1]!, Number(told, "liveObjects"), Number(told, "totalObjects"), Number(told, "slabs"), Number(told, "strideBytes"), Number(told, "slabsCreated"), Number(told, "allocFromSlab"), Number(told, "flags")));
        }

        static long Number(EventWrittenEventArgs each, string field) => (long)each.Payload![each.PayloadNames!.IndexOf(field)]!;
    }

    private static EventKeywords Leaks => KmemEventSource.Keywords.Leaks;

    private static EventKeywords Checks => KmemEventSource.Keywords.Checks;

    /// <summary>What ends with a session is undone by a thread of the source's own.</summary>
    private static void Until(Func<bool> condition) => Assert.True(SpinWait.SpinUntil(condition, s_patience), "it does not come to be");

    private sealed class Listener : EventListener
    {
        private readonly List<EventWrittenEventArgs> _events = [];

        public void Enable(EventKeywords keywords) => EnableEvents(Source(), EventLevel.Informational, keywords);

        public EventWrittenEventArgs? Find(Predicate<EventWrittenEventArgs> condition)
        {
            lock (_events)
            {
                return _events.Find(condition);
            }
        }

        private static EventSource Source()
        {
            EventSource? source = null;
            Until(() => (source = EventSource.GetSources().FirstOrDefault(static each => each.Name == KmemEventSource.SourceName)) != null);
            return source!;
        }

        public IReadOnlyList<EventWrittenEventArgs> Ask(EventKeywords keywords, out string request, string? checks = null, string end = "DumpEnded")
        {
            request = Guid.NewGuid().ToString("N");
            Dictionary<string, string?> arguments = new() { [KmemEventSource.RequestArgument] = request, [KmemEventSource.ChecksArgument] = checks };
            EnableEvents(Source(), EventLevel.Informational, keywords, arguments);
            string mine = request;
            Until(() => Mine(mine).Any(each => each.EventName == end));
            return [.. Mine(mine).Where(static each => each.EventName != "DumpPushed")];
        }

        protected override void OnEventWritten(EventWrittenEventArgs eventData)
        {
            if (eventData.EventSource.Name == KmemEventSource.SourceName)
            {
                lock (_events)
                {
                    _events.Add(eventData);
                }
            }
        }

        private List<EventWrittenEventArgs> Mine(string request)
        {
            lock (_events)
            {
                return _events.FindAll(each => each.Payload?[0] as string == request);
            }
        }
    }
}
