using System;
using System.Collections.Generic;

namespace Kmem.Tests.Tidy.Rules;

/// <summary>Form of every text file: size, line ends, white space, and no trace of where it was written.</summary>
public static class TextRule
{
    public const int LinesMax = 600;
    public const int EngineLinesMax = 300;

    // Spelled in two parts, so that this file does not break its own rule.
    private static readonly string[] s_forbidden = ["/work" + "/", "issue" + " #"];

    /// <summary>Engine files that may be longer, each with its reason.</summary>
    public static readonly IReadOnlyDictionary<string, string> LongEngineFiles = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["src/Kmem/Engine/Pages/ZoneValidation.cs"] = "One walk over every structure of a zone.",
    };

    public static IEnumerable<Finding> Check(SourceFile file)
    {
        if (file.Text.Length == 0)
        {
            yield break;
        }

        int count = 0;
        foreach ((int number, string line) in file.Lines())
        {
            count = number;
            if (line.EndsWith('\r'))
            {
                yield return new(file.Path, number, "Lines end with LF alone.");
            }
            else if (line.Length != 0 && char.IsWhiteSpace(line[^1]))
            {
                yield return new(file.Path, number, "White space at the end of the line.");
            }

            if (line.Contains('\t', StringComparison.Ordinal))
            {
                yield return new(file.Path, number, "A tab: indent with spaces, and write \\t in strings.");
            }

            foreach (string word in s_forbidden)
            {
                if (line.Contains(word, StringComparison.OrdinalIgnoreCase))
                {
                    yield return new(file.Path, number, $"\"{word}\" means nothing to a reader of the repository.");
                }
            }

            if (file.IsCSharp && line.TrimStart().StartsWith("#region", StringComparison.Ordinal))
            {
                yield return new(file.Path, number, "No regions: split the file instead.");
            }
        }

        if (!file.Text.EndsWith('\n'))
        {
            yield return new(file.Path, count, "The last line ends with a line feed, too.");
        }

        if (!file.IsCSharp)
        {
            yield break;
        }

        if (count > LinesMax)
        {
            yield return new(file.Path, count, $"{count} lines; no file is longer than {LinesMax}.");
        }
        else if (file.IsEngine && count > EngineLinesMax && !LongEngineFiles.ContainsKey(file.Path))
        {
            yield return new(file.Path, count, $"{count} lines; an engine file over {EngineLinesMax} is split, or listed with its reason in {nameof(TextRule)}.");
        }
    }
}
