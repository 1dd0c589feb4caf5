using System;
using System.Diagnostics;

namespace Kmem.Diagnostics;

/// <summary>
/// Spans of the source <c>Kmem</c>: of what a user calls and what takes as long as the heap is large. None of allocation, nor of maintenance, which comes every second.
/// Without a listener there is no span, and nothing is allocated.
/// </summary>
internal static class KmemActivities
{
    public const string Trim = "kmem.trim";
    public const string Validate = "kmem.validate";
    public const string FindLeaks = "kmem.find_leaks";

    private static readonly ActivitySource s_source = new(KmemMetrics.MeterName, typeof(KmemActivities).Assembly.GetName().Version?.ToString(3));

    /// <summary>Null where nobody wants it.</summary>
    public static Activity? Start(string name, string heap) => s_source.StartActivity(name)?.SetTag(KmemMetrics.HeapTag, heap);

    public static void Fail(Activity? activity, Exception exception) =>
        activity?.SetTag("error.type", exception.GetType().FullName).SetStatus(ActivityStatusCode.Error, exception.Message.Split('\n', 2)[0]);
}
