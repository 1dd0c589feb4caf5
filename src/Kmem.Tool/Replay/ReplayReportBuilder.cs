using System;
using System.Collections.Generic;
using System.Linq;
using Kmem.Tool.Traces;
using Kmem.Tool.Traces.Programs;

namespace Kmem.Tool.Replay;

/// <summary>Makes the report out of what the trace says, what the replay did and what the heap says.</summary>
internal static class ReplayReportBuilder
{
    public static ReplayReport Build(
        string file,
        TraceSummary summary,
        TracePlan plan,
        ReplaySettings settings,
        ReplayResult result,
        TimeSpan parseTime,
        IReadOnlyDictionary<string, KernelCache>? growth)
    {
        KmemStatistics statistics = result.Statistics;
        List<ReportCache> caches = BuildCaches(plan, result);
        return new ReplayReport
        {
            File = file,
            Program = summary.Program == null ? null : BuildProgram(summary.Program, plan),
            FrontEnd = statistics.FrontEnd == KmemFrontEnd.RestartableSequences ? "rseq" : "lock",
            SizeClasses = settings.SizeClasses == KmemSizeClasses.Kernel ? "kernel" : "default",
            Threads = plan.Threads.Length,
            Cpus = plan.Cpus,
            Lines = summary.Lines,
            Events = summary.Events,
            EventsNotReplayed = summary.NotReplayed,
            OtherEvents = summary.OtherEvents,
            CommentLines = summary.Comments,
            UnrecognisedLines = summary.Unrecognised,
            MalformedLines = summary.Malformed,
            LostEvents = summary.LostEvents,
            Allocs = plan.Allocs,
            Frees = plan.Frees,
            ImplicitFrees = plan.ImplicitFrees,
            UnmatchedFrees = plan.UnmatchedFrees,
            NullAllocs = plan.NullAllocs,
            LiveObjects = result.LiveObjects,
            RequestedBytes = result.RequestedBytes,
            PeakRequestedBytes = plan.PeakRequestedBytes,
            PageAllocs = plan.PageAllocs,
            PageFrees = plan.PageFrees,
            ImplicitPageFrees = plan.ImplicitPageFrees,
            UnmatchedPageFrees = plan.UnmatchedPageFrees,
            LivePages = result.LivePages,
            Failed = result.Failed,
            Corrupt = result.Corrupt,
            AccountingErrors = FindAccountingErrors(plan, result),
            Seconds = result.Elapsed.TotalSeconds,
            ParseSeconds = parseTime.TotalSeconds,
            Operations = plan.StepCount,
            NanosecondsPerEvent = plan.StepCount == 0 ? 0 : result.Elapsed.TotalNanoseconds / plan.StepCount,
            SizeClassRequestedBytes = result.SizeClassRequestedBytes,
            PeakCommittedBytes = (long)statistics.CommittedBytes,
            TrimmedCommittedBytes = (long)result.TrimmedCommittedBytes,
            Bytes = BuildBytes(statistics),
            Hits = BuildHits(caches, statistics),
            Pages = new ReportPages
            {
                FreeBlocks = statistics.Pages.FreeBlocks,
                FreePages = statistics.Pages.FreePages,
                AllocatedPages = statistics.Pages.AllocatedPages,
                TotalPages = statistics.Pages.TotalPages,
            },
            Caches = caches,
            KernelGrowth = growth == null ? null : BuildGrowth(growth, plan, settings, caches),
        };
    }

    private static ReportProgram BuildProgram(ProgramTrace program, TracePlan plan)
    {
        return new ReportProgram
        {
            CommandLine = program.CommandLine,
            ProcessId = program.ProcessId,
            ParentId = program.ParentId,
            IsFork = program.IsFork,
            Started = program.Started,
            Seconds = program.Duration.TotalSeconds,
            HasEnded = program.Ended != null,
            Threads = program.Threads,
            Reallocs = plan.Reallocs,
            ZeroedAllocs = plan.ZeroedAllocs,
            AlignedAllocs = plan.AlignedAllocs,
            OversizedAllocs = plan.OversizedAllocs,
        };
    }

    /// <summary>The split of the committed bytes, as the heap keeps it.</summary>
    public static ReportBytes BuildBytes(KmemStatistics statistics)
    {
        return new ReportBytes
        {
            Requested = statistics.RequestedBytes,
            SizeClass = statistics.SizeClassBytes,
            Rounding = statistics.RoundingBytes,
            Magazines = statistics.MagazineBytes,
            Depot = statistics.DepotBytes,
            FreeInSlabs = statistics.FreeInSlabBytes,
            EmptySlabs = statistics.EmptySlabBytes,
            SlabTails = statistics.SlabTailBytes,
            FreePages = statistics.FreePageBytes,
            Metadata = statistics.MetadataBytes,
            Committed = statistics.CommittedBytes,
            Reserved = statistics.ReservedBytes,
        };
    }

    private static List<ReportCache> BuildCaches(TracePlan plan, ReplayResult result)
    {
        List<ReportCache> caches = [];
        foreach ((KmemCacheStatistics cache, OperationCount operations) in WithOperations(plan, result))
        {
            if (operations.Allocs == 0)
            {
                continue;
            }

            caches.Add(new ReportCache
            {
                Name = cache.Name,
                ObjectSize = cache.ObjectSizeBytes,
                Size = cache.StrideBytes,
                Order = cache.Order,
                ObjectsPerSlab = cache.ObjectsPerSlab,
                ActiveObjects = cache.LiveObjects,
                TotalObjects = cache.TotalObjects,
                Slabs = cache.Slabs,
                Allocs = operations.Allocs,
                Frees = operations.Frees,
                AllocMisses = cache.AllocMisses,
                FreeMisses = cache.FreeMisses,
                IsSizeClass = cache.IsSizeClass,
            });
        }

        return [.. caches.OrderByDescending(static cache => cache.Slabs << cache.Order).ThenBy(static cache => cache.Name, StringComparer.Ordinal)];
    }

    /// <summary>The operations are counted here, the misses by the heap: what did not miss was served by the loaded magazine.</summary>
    private static ReportHits BuildHits(List<ReportCache> caches, KmemStatistics statistics)
    {
        KmemCacheStatistics[] counted = [.. statistics.Caches.Where(static cache => !cache.IsInternal)];
        long allocs = caches.Sum(static cache => cache.Allocs);
        long frees = caches.Sum(static cache => cache.Frees);
        return new ReportHits
        {
            AllocOperations = allocs,
            AllocFromMagazine = allocs - counted.Sum(static cache => cache.AllocMisses),
            AllocFromPrevious = counted.Sum(static cache => cache.AllocFromPrevious),
            AllocFromDepot = counted.Sum(static cache => cache.AllocFromDepot),
            AllocFromSlab = counted.Sum(static cache => cache.AllocFromSlab),
            FreeOperations = frees,
            FreeToMagazine = frees - counted.Sum(static cache => cache.FreeMisses),
            FreeToPrevious = counted.Sum(static cache => cache.FreeToPrevious),
            FreeToDepot = counted.Sum(static cache => cache.FreeToDepot),
            FreeToSlab = counted.Sum(static cache => cache.FreeToSlab),
        };
    }

    /// <summary>The heap's caches, without those that it needs itself, and what the replay did with each.</summary>
    private static IEnumerable<(KmemCacheStatistics Cache, OperationCount Operations)> WithOperations(TracePlan plan, ReplayResult result)
    {
        Dictionary<string, OperationCount> named = [];
        for (int index = 0; index < plan.Caches.Count; index++)
        {
            named[plan.Caches[index].Name] = result.CacheOperations[index];
        }

        foreach (KmemCacheStatistics cache in result.Statistics.Caches)
        {
            if (!cache.IsInternal)
            {
                IReadOnlyDictionary<string, OperationCount> source = cache.IsSizeClass ? result.SizeClassOperations : named;
                yield return (cache, source.GetValueOrDefault(cache.Name));
            }
        }
    }

    /// <summary>Compares the heap's counts with what the replay did.</summary>
    private static List<string> FindAccountingErrors(TracePlan plan, ReplayResult result)
    {
        List<string> errors = [];
        KmemStatistics statistics = result.Statistics;
        foreach ((KmemCacheStatistics cache, OperationCount operations) in WithOperations(plan, result))
        {
            Compare(errors, $"live objects of {cache.Name}", operations.Live, cache.LiveObjects);
        }

        ReportBytes bytes = BuildBytes(statistics);
        ulong sum = bytes.Requested + bytes.SizeClass + bytes.Rounding + bytes.Magazines + bytes.Depot + bytes.FreeInSlabs
            + bytes.EmptySlabs + bytes.SlabTails + bytes.FreePages + bytes.Metadata;
        Compare(errors, "large allocations", result.LargeOperations.Live, statistics.LargeAllocations);
        Compare(errors, "pages in use", result.LivePages, statistics.PagesInUse);
        Compare(errors, "sum of the byte split", (long)bytes.Committed, (long)sum);
        return errors;
    }

    private static void Compare(List<string> errors, string what, long expected, long actual)
    {
        if (expected != actual)
        {
            errors.Add(FormattableString.Invariant($"{what}: {expected:N0} expected, {actual:N0} by the heap"));
        }
    }

    /// <summary>
    /// The kernel's growth beside ours, for the trace's caches. The sizes of kmalloc can be compared where the heap has
    /// the kernel's classes; else they are taken together.
    /// </summary>
    private static List<ReportGrowth> BuildGrowth(
        IReadOnlyDictionary<string, KernelCache> growth, TracePlan plan, ReplaySettings settings, List<ReportCache> caches)
    {
        Dictionary<string, string> traceNames = plan.Caches.ToDictionary(static cache => cache.Name, static cache => cache.TraceName);
        Dictionary<int, KernelCache> kernelSizes = [];
        foreach ((string name, KernelCache cache) in growth)
        {
            int size = KernelSlabInfo.KmallocSizeOf(name);
            if (size > 0)
            {
                int key = settings.SizeClasses == KmemSizeClasses.Kernel ? size : 0;
                kernelSizes[key] = kernelSizes.GetValueOrDefault(key) + cache;
            }
        }

        List<ReportGrowth> rows = [];
        foreach (IGrouping<string, ReportCache> group in caches.GroupBy(cache => GrowthName(cache, traceNames, settings)))
        {
            ReportCache first = group.First();
            int key = settings.SizeClasses == KmemSizeClasses.Kernel ? (int)first.ObjectSize : 0;
            KernelCache kernel = first.IsSizeClass ? kernelSizes.GetValueOrDefault(key) : growth.GetValueOrDefault(group.Key);
            if (!first.IsSizeClass && !growth.ContainsKey(group.Key))
            {
                continue;
            }

            rows.Add(new ReportGrowth
            {
                Name = group.Key,
                KernelActiveObjects = kernel.ActiveObjects,
                KernelTotalObjects = kernel.TotalObjects,
                KernelSlabs = kernel.Slabs,
                ActiveObjects = group.Sum(static cache => cache.ActiveObjects),
                TotalObjects = group.Sum(static cache => cache.TotalObjects),
                Slabs = group.Sum(static cache => cache.Slabs),
            });
        }

        return [.. rows.OrderByDescending(static row => Math.Max(row.KernelActiveObjects, row.ActiveObjects)).ThenBy(static row => row.Name, StringComparer.Ordinal)];
    }

    private static string GrowthName(ReportCache cache, Dictionary<string, string> traceNames, ReplaySettings settings)
    {
        if (!cache.IsSizeClass)
        {
            return traceNames.GetValueOrDefault(cache.Name, cache.Name);
        }

        return settings.SizeClasses == KmemSizeClasses.Kernel ? cache.Name : "kmalloc (all sizes)";
    }
}
