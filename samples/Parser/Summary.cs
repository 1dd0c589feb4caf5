using System;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using Kmem;

namespace Parser;

/// <summary>What a document cost, from when this was made.</summary>
internal sealed class Summary
{
    private readonly long _began = Stopwatch.GetTimestamp();
    private readonly long _allocatedBefore = GC.GetTotalAllocatedBytes(precise: true);
    private readonly int[] _collectionsBefore = Collections();

    public void Print(TextWriter output, IDocument document, KmemHeap heap, long allowedBytes)
    {
        double seconds = Stopwatch.GetElapsedTime(_began).TotalSeconds;
        long allocated = GC.GetTotalAllocatedBytes(precise: true) - _allocatedBefore;
        string collections = string.Join('/', Collections().Zip(_collectionsBefore, static (after, before) => after - before));
        string parts = string.Join(", ", document.Parts.Select(static part => $"{part.Name} {MiB(part.Bytes)}"));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"values      {document.Values:N0} in {seconds:0.000} s"));
        output.WriteLine($"off heap    {MiB((long)heap.GetStatistics().CommittedBytes)} of {MiB(allowedBytes)} MiB{(parts.Length != 0 ? ": " : "")}{parts}");
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"on heap     {MiB(GC.GetTotalMemory(forceFullCollection: false))} MiB, {allocated:N0} bytes allocated"));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"collections {collections}, all pauses {GC.GetTotalPauseDuration().TotalMilliseconds:0.0} ms"));
    }

    private static int[] Collections() => [GC.CollectionCount(0), GC.CollectionCount(1), GC.CollectionCount(2)];

    private static string MiB(long bytes) => (bytes / 1048576.0).ToString("N1", CultureInfo.InvariantCulture);
}
