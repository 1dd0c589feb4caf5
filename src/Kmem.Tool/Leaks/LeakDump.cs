using System;
using System.Collections.Generic;
using System.Globalization;
using Kmem.Tool.Hosting;
using Microsoft.Diagnostics.Tracing;

namespace Kmem.Tool.Leaks;

/// <summary>The heaps of a process as its events tell them, in the order in which they come.</summary>
internal sealed class LeakDump(string request)
{
    private readonly List<(string Name, int CachesWithUsers, List<KmemLeakSite> Sites, List<KmemUntrackedObjects> Untracked)> _heaps = [];
    private readonly DateTimeOffset _taken = DateTimeOffset.UtcNow;
    private int _lines;

    /// <summary>Whether the process answered at all.</summary>
    public bool HasStarted { get; private set; }

    public bool HasEnded { get; private set; }

    /// <summary>Why there will be no dump; else null.</summary>
    public string? Failure { get; private set; }

    /// <summary>Takes in an event of the source <c>Kmem</c>; events of other requests are passed over.</summary>
    public void Add(TraceEvent each)
    {
        if (HasEnded || each.PayloadByName("request") as string != request)
        {
            return;
        }

        _lines++;
        switch ((int)each.ID)
        {
            case 1:
                HasStarted = true;
                _lines = 0;
                break;
            case 2:
                _heaps.Add((Text(each, "name"), (int)Number(each, "cachesWithUsers"), [], []));
                break;
            case 3:
                _heaps[^1].Sites.Add(SiteOf(each));
                break;
            case 4:
                _heaps[^1].Untracked.Add(new KmemUntrackedObjects(Text(each, "cache"), Number(each, "objects"), Number(each, "bytes")));
                break;
            case 5:
                HasEnded = true;
                long sent = Number(each, "lines");
                Failure = _lines - 1 == sent ? Failure : string.Create(CultureInfo.InvariantCulture, $"of {sent} lines only {_lines - 1} came: the process has too many sites for the session's buffer");
                break;
            case 7:
                Failure = $"the process does not know the letters '{Text(each, "checks")}'";
                break;
            default:
                // Of no interest here, or of a later version.
                _lines--;
                break;
        }
    }

    public IReadOnlyList<KmemLeakReport> Reports() => _heaps.ConvertAll(heap => new KmemLeakReport
    {
        HeapName = heap.Name,
        Taken = _taken,
        CachesWithUsers = heap.CachesWithUsers,
        Sites = heap.Sites,
        Untracked = heap.Untracked,
        LeftOutObjects = 0,
        LeftOutBytes = 0,
    });

    private static KmemLeakSite SiteOf(TraceEvent each)
    {
        string stack = Text(each, "stack");
        return new KmemLeakSite
        {
            Objects = Number(each, "objects"),
            RequestedBytes = Number(each, "bytes"),
            OldestAge = TimeSpan.FromMilliseconds(Number(each, "oldestMilliseconds")),
            YoungestAge = TimeSpan.FromMilliseconds(Number(each, "youngestMilliseconds")),
            CacheNames = Text(each, "caches").Split('\n'),
            Stack = stack.Length == 0 ? [] : stack.Split('\n'),
        };
    }

    private static string Text(TraceEvent each, string name) => each.PayloadByName(name) as string ?? throw Unknown(name);

    private static long Number(TraceEvent each, string name) => each.PayloadByName(name) switch
    {
        long number => number,
        int number => number,
        _ => throw Unknown(name),
    };

    private static ToolException Unknown(string field) => new($"the process has another version of Kmem, whose events lack '{field}'");
}
