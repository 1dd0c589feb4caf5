using System;
using System.Collections.Generic;

namespace Kmem;

/// <summary>What the checks found, as data. <see cref="Text"/> has the same for people.</summary>
public sealed class KmemReport
{
    internal KmemReport()
    {
    }

    /// <summary>The mistake.</summary>
    public required KmemMisuse Misuse { get; init; }

    /// <summary>The call in which it was found: <c>Alloc</c>, <c>Free</c>, <c>Validate</c>, <c>Maintain</c> and others.</summary>
    public required string Operation { get; init; }

    /// <summary>Name of the heap.</summary>
    public required string HeapName { get; init; }

    /// <summary>Name of the cache; empty where the address belongs to none.</summary>
    public string CacheName { get; init; } = "";

    /// <summary>Start of the object, or the address in question.</summary>
    public required nuint Address { get; init; }

    /// <summary>Bytes that were asked for; 0 where that is not known.</summary>
    public nuint RequestedBytes { get; init; }

    /// <summary>First byte that is not as it was left; 0 where no byte is.</summary>
    public nuint BadAddress { get; init; }

    /// <summary>From the first bad byte to the last.</summary>
    public nuint BadBytes { get; init; }

    /// <summary>What was found there.</summary>
    public byte Found { get; init; }

    /// <summary>What should have been there.</summary>
    public byte Expected { get; init; }

    /// <summary>Frames of the last allocation, the innermost first; empty where the letter U was off.</summary>
    public IReadOnlyList<string> AllocatedBy { get; init; } = [];

    /// <summary>Frames of the free; empty where the object was not freed since it was allocated.</summary>
    public IReadOnlyList<string> FreedBy { get; init; } = [];

    /// <summary>Frames of the call that found it.</summary>
    public IReadOnlyList<string> FoundBy { get; init; } = [];

    /// <summary>The report as text of several lines; <c>docs/DEBUGGING.md</c> explains each.</summary>
    public required string Text { get; init; }

    /// <inheritdoc/>
    public override string ToString() => Text;
}

/// <summary>Where reports go.</summary>
public static class KmemReports
{
    /// <summary>Raised for each report, in the thread that found it, before anything else is done about it. Handlers must not free or allocate in the heap in question, and what they throw is lost.</summary>
    public static event Action<KmemReport>? Reported;

    /// <summary>Raised for each allocation and free of a cache with the letter T.</summary>
    public static event Action<KmemTraceEvent>? Traced;

    internal static bool HasSubscribers => Reported != null;

    internal static void Publish(KmemReport report)
    {
        Diagnostics.ReportCounts.Add(report.Misuse);
        Diagnostics.KmemEventSource.Tell(report);
        try
        {
            Reported?.Invoke(report);
        }
        catch (Exception exception)
        {
            Console.Error.WriteLine($"Kmem: a handler of reports threw {exception.GetType()}: {exception.Message}");
        }
    }

    internal static unsafe void Trace(Engine.Caches.Cache* cache, nuint address, nuint requestedBytes, bool isFree) =>
        Traced?.Invoke(new KmemTraceEvent(Diagnostics.AddressDescription.NameOf(cache), address, requestedBytes, isFree));
}

/// <summary>An allocation or a free of a traced cache.</summary>
/// <param name="CacheName">Name of the cache.</param>
/// <param name="Address">The object.</param>
/// <param name="RequestedBytes">Bytes asked for; 0 for a free.</param>
/// <param name="IsFree">Whether it is a free.</param>
public readonly record struct KmemTraceEvent(string CacheName, nuint Address, nuint RequestedBytes, bool IsFree);
