using System;
using System.Collections.Generic;
using System.Globalization;
using Kmem.Tool.Processes;
using Microsoft.Diagnostics.Tracing;

namespace Kmem.Tool.Leaks;

/// <summary>The live objects of all heaps of a process.</summary>
internal sealed class LeakDump(string request) : ProcessDump(request)
{
    private readonly List<(string Name, int CachesWithUsers, List<KmemLeakSite> Sites, List<KmemUntrackedObjects> Untracked)> _heaps = [];
    private readonly DateTimeOffset _taken = DateTimeOffset.UtcNow;
    private int _lines;

    public override long Keyword => 0x1;

    protected override void AddOwn(TraceEvent each)
    {
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
}
