using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace Kmem.Diagnostics;

/// <summary>Live objects by site, as tables for people.</summary>
internal static class LeakText
{
    public const int SitesShown = 20;

    /// <summary>What stacks are compared by: all that a person reads of them.</summary>
    public static string Key(IReadOnlyList<string> stack) => string.Join('\n', stack);

    public static long Sum<T>(IReadOnlyList<T> list, Func<T, long> of)
    {
        long sum = 0;
        foreach (T each in list)
        {
            sum += of(each);
        }

        return sum;
    }

    public static string Format(KmemLeakReport report, int sitesMost)
    {
        StringBuilder text = new();
        Append(text, $"Live objects of the heap '{report.HeapName}': {report.Objects:N0} of {report.RequestedBytes:N0} bytes from {Sites(report.Sites.Count)}; without tracks {report.UntrackedObjects:N0} of {report.UntrackedBytes:N0} bytes.");
        if (report.LeftOutObjects != 0)
        {
            Append(text, $"Younger, or of smaller sites, than was asked for: {report.LeftOutObjects:N0} of {report.LeftOutBytes:N0} bytes.");
        }

        if (report.CachesWithUsers == 0)
        {
            Append(text, $"No cache has the letter U at present: who allocates is not noted (Debug = \"U\", or KMEM_DEBUG=U).");
        }

        AppendSites(text, report.Sites, sitesMost);
        if (report.Untracked.Count != 0)
        {
            Append(text, $"Without tracks:");
            Append(text, $"{"objects",12} {"bytes",16}  cache");
            foreach (KmemUntrackedObjects each in report.Untracked)
            {
                Append(text, $"{each.Objects,12:N0} {each.Bytes,16:N0}  {each.CacheName}");
            }
        }

        return text.ToString().TrimEnd();
    }

    public static string Format(KmemLeakDifference difference, int sitesMost)
    {
        StringBuilder text = new();
        Append(text, $"Growth of the heap '{difference.HeapName}' in {difference.Elapsed.TotalSeconds:N1} s: {difference.Objects:+#,0;-#,0;0} objects of {difference.RequestedBytes:+#,0;-#,0;0} bytes; without tracks {difference.UntrackedObjects:+#,0;-#,0;0} of {difference.UntrackedBytes:+#,0;-#,0;0} bytes.");
        if (difference.Sites.Count == 0)
        {
            Append(text, $"No site grew.");
        }
        else
        {
            Append(text, $"{"grew by",12} {"bytes",16} {"now live",12}  caches");
        }

        for (int index = 0; index < difference.Sites.Count && index < sitesMost; index++)
        {
            KmemLeakGrowth growth = difference.Sites[index];
            Append(text, $"{growth.Objects,12:+#,0;-#,0;0} {growth.RequestedBytes,16:+#,0;-#,0;0} {growth.Now.Objects,12:N0}  {string.Join(", ", growth.Now.CacheNames)}");
            AppendFrames(text, growth.Now.Stack);
        }

        AppendRest(text, difference.Sites.Count, sitesMost);
        return text.ToString().TrimEnd();
    }

    /// <summary>The rows alone, for reports of which they are a part.</summary>
    public static string Rows(IReadOnlyList<KmemLeakSite> sites)
    {
        StringBuilder text = new();
        AppendSites(text, sites, SitesShown);
        return text.ToString().TrimEnd();
    }

    private static void AppendSites(StringBuilder text, IReadOnlyList<KmemLeakSite> sites, int most)
    {
        if (sites.Count == 0)
        {
            return;
        }

        Append(text, $"{"objects",12} {"bytes",16} {"oldest",10} {"youngest",10}  caches");
        for (int index = 0; index < sites.Count && index < most; index++)
        {
            KmemLeakSite site = sites[index];
            Append(text, $"{site.Objects,12:N0} {site.RequestedBytes,16:N0} {Age(site.OldestAge),10} {Age(site.YoungestAge),10}  {string.Join(", ", site.CacheNames)}");
            AppendFrames(text, site.Stack);
        }

        AppendRest(text, sites.Count, most);
    }

    private static void AppendFrames(StringBuilder text, IReadOnlyList<string> frames)
    {
        foreach (string frame in frames)
        {
            Append(text, $"    at {frame}");
        }

        if (frames.Count == 0)
        {
            Append(text, $"    (stack not known)");
        }
    }

    private static void AppendRest(StringBuilder text, int count, int most)
    {
        if (count > most)
        {
            Append(text, $"and {Sites(count - most)} more");
        }
    }

    private static string Sites(int count) => count == 1 ? "1 site" : string.Create(CultureInfo.InvariantCulture, $"{count:N0} sites");

    private static string Age(TimeSpan age)
    {
        FormattableString text = age.TotalSeconds < 1 ? $"{age.TotalMilliseconds:F0} ms"
            : age.TotalMinutes < 2 ? $"{age.TotalSeconds:F1} s"
            : age.TotalHours < 2 ? $"{age.TotalMinutes:F1} min"
            : (FormattableString)$"{age.TotalHours:F1} h";
        return text.ToString(CultureInfo.InvariantCulture);
    }

    private static void Append(StringBuilder text, FormattableString line) => text.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
}
