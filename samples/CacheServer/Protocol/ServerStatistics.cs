using System;
using System.Diagnostics;
using CacheServer.Store;

namespace CacheServer.Protocol;

/// <summary>What the command <c>stats</c> tells.</summary>
internal static class ServerStatistics
{
    public static ReadOnlySpan<byte> Version => "1.6.0-kmem"u8;

    public static void Visit<TState>(IItemStore store, TState state, Action<TState, string, ulong> visit)
    {
        visit(state, "pid", (ulong)Environment.ProcessId);
        visit(state, "uptime", store.Now);
        visit(state, "time", (ulong)DateTimeOffset.UtcNow.ToUnixTimeSeconds());
        visit(state, "curr_items", (ulong)store.Items);
        visit(state, "bytes", (ulong)store.Bytes);
        visit(state, "evictions", (ulong)store.Evictions);
        visit(state, "rss_bytes", (ulong)Environment.WorkingSet);
        visit(state, "gc_collections_0", (ulong)GC.CollectionCount(0));
        visit(state, "gc_collections_1", (ulong)GC.CollectionCount(1));
        visit(state, "gc_collections_2", (ulong)GC.CollectionCount(2));
        visit(state, "gc_pause_total_microseconds", (ulong)GC.GetTotalPauseDuration().TotalMicroseconds);
        visit(state, "gc_pause_longest_microseconds", (ulong)LongestPause.Microseconds);
        visit(state, "gc_heap_bytes", (ulong)GC.GetTotalMemory(false));
        visit(state, "cpu_milliseconds", (ulong)Process.GetCurrentProcess().TotalProcessorTime.TotalMilliseconds);
    }
}
