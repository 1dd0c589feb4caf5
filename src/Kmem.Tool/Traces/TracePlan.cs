using System.Collections.Generic;

namespace Kmem.Tool.Traces;

/// <summary>What one step of a replay does.</summary>
internal enum ReplayAction : byte
{
    /// <summary>Allocate <c>SizeBytes</c> from the heap.</summary>
    AllocSized,

    /// <summary>Allocate from the cache <c>Cache</c>.</summary>
    AllocFromCache,

    /// <summary>Allocate 2^<c>Order</c> pages.</summary>
    AllocPages,

    /// <summary>Free an object, whatever it is.</summary>
    Free,

    /// <summary>Free an object to the cache <c>Cache</c>, which it came from.</summary>
    FreeToCache,

    /// <summary>Free pages.</summary>
    FreePages,

    /// <summary>Allocate <c>SizeBytes</c> that read as zero.</summary>
    AllocZeroed,

    /// <summary>Allocate <c>SizeBytes</c> at a multiple of 2^<c>Order</c>.</summary>
    AllocAligned,

    /// <summary>Take an object that the next step gives another size.</summary>
    ReallocFrom,

    /// <summary>Give the object of the step before <c>SizeBytes</c>: from here on it has this number.</summary>
    ReallocTo,
}

/// <summary>
/// One step. Addresses of the trace are gone: <see cref="Object"/> is a dense number that one allocation and at most one
/// free share, so that a replay needs no look-ups.
/// </summary>
/// <param name="Object">Number of the allocation, from 0, in file order.</param>
/// <param name="SizeBytes">Bytes that the replay may write: what was asked for, or the size of the pages.</param>
/// <param name="Cache">Index of the cache, or -1.</param>
/// <param name="Order">Order of the pages; of an object, binary logarithm of the alignment that was asked for.</param>
/// <param name="Mobility">Mobility of the pages.</param>
/// <param name="Action">What to do.</param>
internal readonly record struct ReplayStep(int Object, int SizeBytes, short Cache, byte Order, KmemMobility Mobility, ReplayAction Action);

/// <summary>A cache that the trace uses.</summary>
internal sealed class PlannedCache
{
    /// <summary>Name in the trace; a cache made for a later, larger size of the same name has the size behind it.</summary>
    public required string Name { get; init; }

    /// <summary>Name in the trace.</summary>
    public required string TraceName { get; init; }

    /// <summary>Size of its objects.</summary>
    public required int ObjectSizeBytes { get; init; }
}

/// <summary>An allocation that the trace does not free.</summary>
/// <param name="Object">Its number.</param>
/// <param name="SizeBytes">Bytes asked for, or of the pages.</param>
/// <param name="Cache">Index of its cache, or -1.</param>
/// <param name="IsPages">True for pages.</param>
/// <param name="AlignmentShift">Binary logarithm of the alignment that was asked for.</param>
internal readonly record struct LivingObject(int Object, int SizeBytes, short Cache, bool IsPages, byte AlignmentShift = 0);

/// <summary>
/// A trace made ready for replay: for each thread the steps of its CPUs in file order, and what the trace itself says
/// about its allocations. All figures here follow from the file alone; they do not depend on heap, threads or time.
/// <code>
/// Allocs == Frees + ImplicitFrees + LiveObjects       PageAllocs == PageFrees + ImplicitPageFrees + LiveBlocks
/// </code>
/// </summary>
internal sealed class TracePlan
{
    /// <summary>The steps of each thread.</summary>
    public required ReplayStep[][] Threads { get; init; }

    /// <summary>Number of allocations, of objects and of pages: the numbers of objects are below it.</summary>
    public required int ObjectCount { get; init; }

    /// <summary>The caches, in order of first use.</summary>
    public required IReadOnlyList<PlannedCache> Caches { get; init; }

    /// <summary>What the trace leaves allocated.</summary>
    public required IReadOnlyList<LivingObject> Living { get; init; }

    /// <summary>CPUs that events happened on; of a program, threads.</summary>
    public required int Cpus { get; init; }

    /// <summary>Allocations of objects. A realloc is one, and a free.</summary>
    public required long Allocs { get; init; }

    /// <summary>Frees of objects that the trace allocated.</summary>
    public required long Frees { get; init; }

    /// <summary>Objects whose address was handed out again: their free is not in the trace.</summary>
    public required long ImplicitFrees { get; init; }

    /// <summary>Frees of objects that the trace did not allocate, or of the null pointer.</summary>
    public required long UnmatchedFrees { get; init; }

    /// <summary>Allocations, of objects and pages, that failed when they were recorded.</summary>
    public required long NullAllocs { get; init; }

    /// <summary>Allocations that are larger than a replay can have (2 GiB); they and their frees are left out.</summary>
    public required long OversizedAllocs { get; init; }

    /// <summary>Of <see cref="Allocs"/>: by a realloc.</summary>
    public required long Reallocs { get; init; }

    /// <summary>Of <see cref="Allocs"/>: of zeros.</summary>
    public required long ZeroedAllocs { get; init; }

    /// <summary>Of <see cref="Allocs"/>: with an alignment.</summary>
    public required long AlignedAllocs { get; init; }

    /// <summary>Objects at the end.</summary>
    public required long LiveObjects { get; init; }

    /// <summary>Bytes asked for by the objects at the end.</summary>
    public required long RequestedBytes { get; init; }

    /// <summary>Most bytes asked for and held at any time.</summary>
    public required long PeakRequestedBytes { get; init; }

    /// <summary>Allocations of pages.</summary>
    public required long PageAllocs { get; init; }

    /// <summary>Frees of pages that the trace allocated.</summary>
    public required long PageFrees { get; init; }

    /// <summary>Blocks of pages whose frame was handed out again.</summary>
    public required long ImplicitPageFrees { get; init; }

    /// <summary>Frees of pages that the trace did not allocate.</summary>
    public required long UnmatchedPageFrees { get; init; }

    /// <summary>Pages at the end.</summary>
    public required long LivePages { get; init; }

    /// <summary>Steps of all threads.</summary>
    public long StepCount
    {
        get
        {
            long count = 0;
            foreach (ReplayStep[] steps in Threads)
            {
                count += steps.Length;
            }

            return count;
        }
    }
}
