using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace Kmem.Diagnostics;

/// <summary>A profile as text.</summary>
internal static class ProfileText
{
    private const int FramesOfTable = 8;

    private static readonly string[] s_units = ["B", "KiB", "MiB", "GiB", "TiB"];

    public static string Table(KmemProfile profile, int sitesMax)
    {
        StringBuilder text = new();
        text.Append(CultureInfo.InvariantCulture, $"Heap '{profile.HeapName}': {profile.Sites.Count} sites, {Bytes(profile.LiveBytes)} live; ");
        text.Append(profile.IntervalBytes == 0 ? "no samples are taken now" : string.Create(CultureInfo.InvariantCulture, $"a sample for each {Bytes(profile.IntervalBytes)}")).Append("\n\n");
        if (profile.Sites.Count != 0)
        {
            text.Append("       live    objects   rounding  allocated    objects  samples   ages of the live, lifetimes of the freed\n");
        }

        for (int index = 0; index < profile.Sites.Count && index < sitesMax; index++)
        {
            KmemProfileSite site = profile.Sites[index];
            text.Append(
                CultureInfo.InvariantCulture,
                $"{Bytes(site.LiveBytes),11}{Count(site.LiveObjects),11}{Bytes(site.LiveRoundingBytes),11}{Bytes(site.TotalBytes),11}{Count(site.TotalObjects),11}{site.LiveSamples,5}/{site.Samples,-5} {Times(site.Ages)}, {Times(site.Lifetimes)}\n");
            for (int frame = 0; frame < site.Frames.Count && frame < FramesOfTable; frame++)
            {
                text.Append("        at ").Append(site.Frames[frame]).Append('\n');
            }
        }

        if (profile.Sites.Count > sitesMax)
        {
            text.Append(CultureInfo.InvariantCulture, $"and {profile.Sites.Count - sitesMax} sites more\n");
        }

        if (profile.Tags.Count != 0)
        {
            text.Append("\n       live    objects  allocated    objects   tag (counts are exact)\n");
            foreach (KmemTagStatistics tag in profile.Tags)
            {
                text.Append(CultureInfo.InvariantCulture, $"{Bytes(tag.LiveBytes),11}{Count(tag.LiveObjects),11}{Bytes(tag.TotalBytes),11}{Count(tag.TotalObjects),11}   {tag.Name}\n");
            }
        }

        return text.ToString();
    }

    public static string Collapsed(KmemProfile profile, bool total)
    {
        StringBuilder text = new();
        foreach (KmemProfileSite site in profile.Sites)
        {
            long bytes = total ? site.TotalBytes : site.LiveBytes;
            if (bytes == 0)
            {
                continue;
            }

            for (int frame = site.Frames.Count - 1; frame >= 0; frame--)
            {
                text.Append(Frame.Of(site.Frames[frame]).Name.Replace(';', ':')).Append(frame == 0 ? "" : ";");
            }

            text.Append(site.Frames.Count == 0 ? "unknown" : "").Append(CultureInfo.InvariantCulture, $" {bytes}\n");
        }

        return text.ToString();
    }

    /// <summary>The class of the median, and that of the oldest: <c>~8 ms ≤4 s</c>.</summary>
    private static string Times(IReadOnlyList<long> classes)
    {
        long sum = 0;
        foreach (long each in classes)
        {
            sum += each;
        }

        if (sum == 0)
        {
            return "-";
        }

        int median = 0;
        for (long before = classes[0]; before * 2 < sum; before += classes[++median])
        {
        }

        return $"~{Time(median)} ≤{Time(classes.Count - 1)}";
    }

    private static string Time(int timeClass)
    {
        double milliseconds = Math.Pow(2, timeClass);
        return milliseconds < 1000 ? string.Create(CultureInfo.InvariantCulture, $"{milliseconds:0} ms")
            : milliseconds < 60_000 * 2 ? string.Create(CultureInfo.InvariantCulture, $"{milliseconds / 1000:0} s")
            : milliseconds < 3_600_000 * 2 ? string.Create(CultureInfo.InvariantCulture, $"{milliseconds / 60_000:0} min")
            : string.Create(CultureInfo.InvariantCulture, $"{milliseconds / 3_600_000:0} h");
    }

    private static string Count(long count) => count.ToString("N0", CultureInfo.InvariantCulture);

    private static string Bytes(long bytes)
    {
        double value = bytes;
        int unit = 0;
        for (; value >= 1024 && unit < s_units.Length - 1; unit++)
        {
            value /= 1024;
        }

        return string.Create(CultureInfo.InvariantCulture, $"{value.ToString(unit == 0 || value >= 100 ? "0" : "0.0", CultureInfo.InvariantCulture)} {s_units[unit]}");
    }
}

/// <summary>The parts of a frame's text: <c>Type.Method in file:line</c>.</summary>
internal readonly record struct Frame(string Name, string File, int Line)
{
    public static Frame Of(string text)
    {
        int at = text.IndexOf(" in ", StringComparison.Ordinal);
        int colon = text.LastIndexOf(':');
        return at > 0 && colon > at && int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int line)
            ? new Frame(text[..at], text[(at + 4)..colon], line)
            : new Frame(text, "", 0);
    }
}
