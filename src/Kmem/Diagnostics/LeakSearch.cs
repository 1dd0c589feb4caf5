using System;
using System.Collections.Generic;
using System.IO.Enumeration;
using System.Linq;
using Kmem.Engine.Caches;
using Kmem.Engine.Primitives;
using Kmem.Engine.Sized;
using Kmem.Engine.Slabs;

namespace Kmem.Diagnostics;

/// <summary>Looks for live objects in a whole heap. The caller keeps the heap from being disposed.</summary>
internal static unsafe class LeakSearch
{
    public const string Pages = "(pages)";

    public static KmemLeakReport Find(KmemHeap heap, KmemLeakOptions options)
    {
        CacheRegistry* registry = &heap.Core->Registry;
        LeakTally tally = new() { LeastAge = (uint)Math.Clamp(options.LeastAge.TotalMilliseconds, 0, uint.MaxValue) };
        List<string> names = [];
        Dictionary<string, KmemUntrackedObjects> untracked = new(StringComparer.Ordinal);
        int withUsers = 0;
        RankedLock.Enter(&registry->ReaperLock, LockRank.Reaper);
        try
        {
            for (int index = CacheRegistry.FirstOrdinary; index < Atomic.Load(&registry->Count); index++)
            {
                Cache* cache = CacheRegistry.At(registry, index);
                if (cache->State != CacheState.Live || !FileSystemName.MatchesSimpleExpression(options.CacheNames, AddressDescription.NameOf(cache), ignoreCase: false))
                {
                    continue;
                }

                withUsers += !cache->IsTwin && (CheckSwitch.Get(cache) & CacheChecks.Users) != 0 ? 1 : 0;
                if (LeakTally.HasUsers(cache))
                {
                    tally.Add(cache);
                }
                else
                {
                    AddUntracked(untracked, names, cache);
                }
            }
        }
        finally
        {
            RankedLock.Exit(&registry->ReaperLock, LockRank.Reaper);
        }

        if (FileSystemName.MatchesSimpleExpression(options.CacheNames, RunTracks.Name, ignoreCase: false))
        {
            tally.Add(heap.RunTracks);
        }

        IReadOnlyList<KmemLeakSite> sites = tally.TakeSites(options.LeastCount);
        return new KmemLeakReport
        {
            HeapName = heap.Name,
            Taken = DateTimeOffset.UtcNow,
            CachesWithUsers = withUsers,
            Sites = sites,
            Untracked = Untracked(heap, options, untracked, names),
            LeftOutObjects = tally.LeftOutObjects,
            LeftOutBytes = tally.LeftOutBytes,
        };
    }

    private static void AddUntracked(Dictionary<string, KmemUntrackedObjects> untracked, List<string> names, Cache* cache)
    {
        CacheFigures figures;
        CacheFigures.Read(cache, &figures);
        if (figures.Live == 0)
        {
            return;
        }

        string name = AddressDescription.NameOf(cache);
        long each = (cache->Flags & CacheFlags.SizeClass) != 0 ? figures.Layout.StrideBytes : figures.Layout.ObjectSizeBytes;
        if (!untracked.TryGetValue(name, out KmemUntrackedObjects? sum))
        {
            sum = new KmemUntrackedObjects(name, 0, 0);
            names.Add(name);
        }

        untracked[name] = sum with { Objects = sum.Objects + figures.Live, Bytes = sum.Bytes + (figures.Live * each) };
    }

    private static List<KmemUntrackedObjects> Untracked(KmemHeap heap, KmemLeakOptions options, Dictionary<string, KmemUntrackedObjects> byName, List<string> names)
    {
        List<KmemUntrackedObjects> all = names.ConvertAll(name => byName[name]);
        SizedHeap* core = heap.Core;
        if (options.CacheNames == "*")
        {
            KeyValuePair<nuint, RunTrack>[] tracked = heap.RunTracks.All();
            long trackedBytes = tracked.Sum(static each => (long)each.Value.RequestedBytes);
            AddIfAny(all, RunTracks.Name, Math.Max(0, Atomic.Load(&core->LargeCount) - tracked.Length), Math.Max(0, Atomic.Load(&core->LargeRequestedBytes) - trackedBytes));
            long pages = Atomic.Load(&core->UserPages);
            AddIfAny(all, Pages, pages, pages * PageAllocator.PageSizeBytes);
        }

        all.Sort(static (left, right) => left.Bytes != right.Bytes ? right.Bytes.CompareTo(left.Bytes) : string.CompareOrdinal(left.CacheName, right.CacheName));
        return all;
    }

    private static void AddIfAny(List<KmemUntrackedObjects> all, string name, long objects, long bytes)
    {
        if (objects != 0)
        {
            all.Add(new KmemUntrackedObjects(name, objects, bytes));
        }
    }
}
