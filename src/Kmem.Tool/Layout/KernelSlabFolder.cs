using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using Kmem.Tool.Hosting;

namespace Kmem.Tool.Layout;

/// <summary>One cache of the kernel, as its folder under <c>/sys/kernel/slab</c> describes it.</summary>
/// <param name="Name">Its name; of a merged cache, whose folder has a made-up one (<c>:0000024</c>), the first alias.</param>
/// <param name="SlabSizeBytes">Distance of two objects.</param>
/// <param name="Order">A slab has 2^Order pages.</param>
/// <param name="ObjectsPerSlab">Objects in a slab.</param>
internal sealed record KernelSlabCache(string Name, int SlabSizeBytes, int Order, int ObjectsPerSlab);

/// <summary>
/// Reads a folder like <c>/sys/kernel/slab</c>: a folder for each cache, and symbolic links for the names of caches that
/// were merged into one. However many names a cache has, it counts once.
/// </summary>
internal static class KernelSlabFolder
{
    /// <summary>Reads all caches, in order of name. <paramref name="note"/> is told what was left out.</summary>
    public static List<KernelSlabCache> Read(string path, Action<string> note)
    {
        List<DirectoryInfo> folders = [];
        Dictionary<string, List<string>> aliases = [];
        List<(string Alias, DirectoryInfo Target)> outside = [];
        foreach (DirectoryInfo entry in List(path, note))
        {
            if (entry.LinkTarget == null)
            {
                folders.Add(entry);
            }
            else if (Resolve(entry, note) is { } target)
            {
                if (IsEntryOf(target, path))
                {
                    Add(aliases, target.Name, entry.Name);
                }
                else
                {
                    outside.Add((entry.Name, target));
                }
            }
        }

        // Links to folders elsewhere: still one cache for each folder.
        foreach (IGrouping<string, (string Alias, DirectoryInfo Target)> group in outside.GroupBy(static link => link.Target.FullName))
        {
            folders.Add(group.First().Target);
            foreach ((string alias, DirectoryInfo target) in group)
            {
                Add(aliases, target.Name, alias);
            }
        }

        List<KernelSlabCache> caches = [];
        foreach (DirectoryInfo folder in folders)
        {
            string name = folder.Name;
            if (name.StartsWith(':') && aliases.TryGetValue(name, out List<string>? names))
            {
                name = names.Min(StringComparer.Ordinal)!;
            }

            if (ReadCache(folder.FullName, name, note) is { } cache)
            {
                caches.Add(cache);
            }
        }

        caches.Sort(static (left, right) => string.CompareOrdinal(left.Name, right.Name));
        return caches;
    }

    private static void Add(Dictionary<string, List<string>> aliases, string folder, string alias)
    {
        if (!aliases.TryGetValue(folder, out List<string>? names))
        {
            aliases.Add(folder, names = []);
        }

        names.Add(alias);
    }

    private static List<DirectoryInfo> List(string path, Action<string> note)
    {
        if (!Directory.Exists(path))
        {
            string why = File.Exists(path) ? "is a file; a folder like /sys/kernel/slab is expected" : "no such folder";
            throw new ToolException($"{path}: {why}");
        }

        try
        {
            List<DirectoryInfo> entries = [];
            foreach (FileSystemInfo entry in new DirectoryInfo(path).EnumerateFileSystemInfos())
            {
                if (entry is DirectoryInfo folder)
                {
                    entries.Add(folder);
                }
                else if (entry.LinkTarget != null)
                {
                    note($"{entry.Name}: left out: a link that leads nowhere");
                }
            }

            return entries;
        }
        catch (UnauthorizedAccessException exception)
        {
            throw new ToolException($"{path}: permission denied", exception);
        }
        catch (IOException exception)
        {
            throw new ToolException($"{path}: cannot be read: {exception.Message}", exception);
        }
    }

    private static DirectoryInfo? Resolve(DirectoryInfo link, Action<string> note)
    {
        try
        {
            if (link.ResolveLinkTarget(returnFinalTarget: true) is DirectoryInfo { Exists: true } target)
            {
                return target;
            }
        }
        catch (IOException)
        {
            // A loop of links: as good as none.
        }

        note($"{link.Name}: left out: a link that leads nowhere");
        return null;
    }

    private static bool IsEntryOf(DirectoryInfo target, string path)
    {
        string parent = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        return target.Parent != null && Path.TrimEndingDirectorySeparator(target.Parent.FullName) == parent;
    }

    private static KernelSlabCache? ReadCache(string folder, string name, Action<string> note)
    {
        try
        {
            return new KernelSlabCache(
                name,
                ReadNumber(folder, "slab_size", minimum: 1),
                ReadNumber(folder, "order", minimum: 0),
                ReadNumber(folder, "objs_per_slab", minimum: 1));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or FormatException)
        {
            note($"{name}: left out: {Reason(exception)}");
            return null;
        }
    }

    private static string Reason(Exception exception)
    {
        return exception switch
        {
            FileNotFoundException missing => $"{Path.GetFileName(missing.FileName)} is missing",
            UnauthorizedAccessException => "permission denied",
            _ => exception.Message,
        };
    }

    private static int ReadNumber(string folder, string file, int minimum)
    {
        string text = File.ReadAllText(Path.Join(folder, file)).Trim();
        bool isNumber = int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number);
        return isNumber && number >= minimum ? number : throw new FormatException($"{file} is '{text}', not a number from {minimum}");
    }
}
