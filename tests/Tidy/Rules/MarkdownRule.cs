using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;

namespace Kmem.Tests.Tidy.Rules;

/// <summary>Relative links lead somewhere, and so does every path that the architecture page names.</summary>
public static partial class MarkdownRule
{
    private const string ArchitecturePage = "docs/ARCHITECTURE.md";

    /// <summary>
    /// <paramref name="exists"/> answers for a file or folder by its path from the root, <paramref name="files"/> are the files'
    /// paths: the architecture page may shorten one to its last parts.
    /// </summary>
    public static IEnumerable<Finding> Check(SourceFile file, Func<string, bool> exists, IReadOnlyCollection<string> files)
    {
        string folder = Path.GetDirectoryName(file.Path)!.Replace('\\', '/');
        bool inFence = false;
        foreach ((int number, string line) in file.Lines())
        {
            if (line.TrimStart().StartsWith("```", StringComparison.Ordinal))
            {
                inFence = !inFence;
                continue;
            }

            if (inFence)
            {
                continue;
            }

            foreach (Match match in Link().Matches(line))
            {
                string target = match.Groups[1].Value.Split('#')[0];
                if (target.Length != 0 && !target.Contains("://", StringComparison.Ordinal) && !target.StartsWith("mailto:", StringComparison.Ordinal) && !exists(Combine(folder, target)))
                {
                    yield return new(file.Path, number, $"The link to {target} leads nowhere.");
                }
            }

            if (file.Path != ArchitecturePage)
            {
                continue;
            }

            foreach (Match match in CodePath().Matches(line))
            {
                string path = match.Groups[1].Value;
                if (!files.Any(f => f == path || f.EndsWith("/" + path, StringComparison.Ordinal)) && !exists(Combine(folder, path)))
                {
                    yield return new(file.Path, number, $"There is no file {path}.");
                }
            }
        }
    }

    private static string Combine(string folder, string target)
    {
        string full = Path.GetFullPath(Path.Combine("/", folder, target));
        return full[1..];
    }

    // [text](target) and [text](target "title"); an image counts as well.
    [GeneratedRegex(@"\]\(\s*<?([^)\s>]+)>?(?:\s+""[^""]*"")?\s*\)")]
    private static partial Regex Link();

    // `Pages/Zone.cs`, `docs/STATS.md`: a path in code quotes that ends in a suffix of ours.
    [GeneratedRegex(@"`([\w./-]+\.(?:cs|md|csproj|slnx|props|c|sh))`")]
    private static partial Regex CodePath();
}
