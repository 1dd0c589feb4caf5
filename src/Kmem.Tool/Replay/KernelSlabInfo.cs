using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;

namespace Kmem.Tool.Replay;

/// <summary>One cache of a saved <c>/proc/slabinfo</c>.</summary>
/// <param name="ActiveObjects">Objects that are not free. The kernel counts those in its per-CPU sheaves too.</param>
/// <param name="TotalObjects">Objects in all slabs.</param>
/// <param name="Slabs">Slabs.</param>
internal readonly record struct KernelCache(long ActiveObjects, long TotalObjects, long Slabs)
{
    public static KernelCache operator -(KernelCache left, KernelCache right)
    {
        return new KernelCache(left.ActiveObjects - right.ActiveObjects, left.TotalObjects - right.TotalObjects, left.Slabs - right.Slabs);
    }

    public static KernelCache operator +(KernelCache left, KernelCache right)
    {
        return new KernelCache(left.ActiveObjects + right.ActiveObjects, left.TotalObjects + right.TotalObjects, left.Slabs + right.Slabs);
    }
}

/// <summary>
/// What the kernel's caches grew by while a trace was recorded: <c>/proc/slabinfo</c> saved before and after, beside the
/// trace. For <c>traces/x.ftrace.gz</c> that is <c>traces/x.slabinfo.before</c> and <c>traces/x.slabinfo.after</c>.
/// </summary>
internal static class KernelSlabInfo
{
    /// <summary>Growth by name of cache, or null where the two files are not there. <paramref name="problem"/> is set where they are there and cannot be used.</summary>
    public static Dictionary<string, KernelCache>? ReadGrowth(string tracePath, out string? problem)
    {
        problem = null;
        string before = SiblingOf(tracePath, ".slabinfo.before");
        string after = SiblingOf(tracePath, ".slabinfo.after");
        if (tracePath == "-" || !File.Exists(before) || !File.Exists(after))
        {
            return null;
        }

        try
        {
            Dictionary<string, KernelCache> earlier = Parse(File.ReadLines(before));
            Dictionary<string, KernelCache> growth = Parse(File.ReadLines(after));
            foreach ((string name, KernelCache cache) in earlier)
            {
                growth[name] = growth.GetValueOrDefault(name) - cache;
            }

            return growth;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or FormatException)
        {
            problem = $"the kernel's own growth is not shown: {before}, {after}: {exception.Message}";
            return null;
        }
    }

    /// <summary>Parses version 2 of the format; throws a <see cref="FormatException"/> for anything else.</summary>
    public static Dictionary<string, KernelCache> Parse(IEnumerable<string> lines)
    {
        Dictionary<string, KernelCache> caches = [];
        bool isSlabInfo = false;
        foreach (string line in lines)
        {
            if (line.StartsWith("slabinfo - version: 2.", StringComparison.Ordinal))
            {
                isSlabInfo = true;
                continue;
            }

            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words.Length == 0 || words[0].StartsWith('#'))
            {
                continue;
            }

            // name active_objs num_objs objsize objperslab pagesperslab : tunables l b s : slabdata active_slabs num_slabs shared
            if (!isSlabInfo || words.Length < 15)
            {
                throw new FormatException("this is not a slabinfo of version 2");
            }

            KernelCache cache = new(ToNumber(words[1]), ToNumber(words[2]), ToNumber(words[14]));
            caches[words[0]] = caches.GetValueOrDefault(words[0]) + cache;
        }

        return isSlabInfo ? caches : throw new FormatException("this is not a slabinfo of version 2");
    }

    /// <summary>
    /// The size that a kmalloc cache of the kernel serves, whatever its kind (<c>kmalloc-cg-96</c>, <c>kmalloc-rcl-2k</c>,
    /// <c>kmalloc-rnd-03-64</c>); 0 for other caches.
    /// </summary>
    public static int KmallocSizeOf(string name)
    {
        if (!name.StartsWith("kmalloc-", StringComparison.Ordinal) && !name.StartsWith("dma-kmalloc-", StringComparison.Ordinal))
        {
            return 0;
        }

        string size = name[(name.LastIndexOf('-') + 1)..];
        int unit = size.EndsWith('k') ? 1024 : size.EndsWith('M') ? 1 << 20 : 1;
        return int.TryParse(unit > 1 ? size[..^1] : size, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number * unit : 0;
    }

    private static long ToNumber(string text) => long.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture);

    /// <summary>The file beside a trace that has its name up to <c>.ftrace.gz</c>, or whatever its last extension is, and another ending.</summary>
    private static string SiblingOf(string path, string ending)
    {
        if (path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase))
        {
            path = path[..^".gz".Length];
        }

        return Path.Join(Path.GetDirectoryName(path), Path.GetFileNameWithoutExtension(path) + ending);
    }
}
