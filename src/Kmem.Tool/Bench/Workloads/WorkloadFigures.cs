namespace Kmem.Tool.Bench.Workloads;

/// <summary>Names of figures that are known beyond their workload.</summary>
internal static class WorkloadFigures
{
    /// <summary>The time of the work, where a round also waits.</summary>
    public const string WorkSeconds = "work_seconds";

    /// <summary>Growth of resident memory one second after most of it was released.</summary>
    public const string RssAfter1Second = "rss_after_1_s_bytes";

    public const string RssAfter10Seconds = "rss_after_10_s_bytes";

    /// <summary>The same after everything was released.</summary>
    public const string RssAfterAll1Second = "rss_after_all_1_s_bytes";

    public const string RssAfterAll10Seconds = "rss_after_all_10_s_bytes";
}
