using System;
using System.Collections.Generic;
using System.Globalization;

namespace Parser;

/// <summary>One step into a document: a member by its name, or an element by its index.</summary>
internal sealed record PathStep(string? Name, int Index, string Until)
{
    /// <summary>The step leads nowhere.</summary>
    /// <param name="before">The path up to the step.</param>
    /// <param name="is">What is there instead.</param>
    public BadInputException Nothing(string before, string @is) => new($"{Until} is not there: {before} is {@is}.");
}

/// <summary>A path such as <c>$.items[3].name</c> or <c>$['first name']</c>.</summary>
internal sealed class JsonPath
{
    public static readonly JsonPath Root = new([]);

    private JsonPath(List<PathStep> steps) => Steps = steps;

    public IReadOnlyList<PathStep> Steps { get; }

    /// <exception cref="BadInputException">It is no path; says where.</exception>
    public static JsonPath Parse(string text)
    {
        List<PathStep> steps = [];
        int at = text.StartsWith('$') ? 1 : throw Expected("'$'", text, 0);
        while (at < text.Length)
        {
            (string? name, int index, at) = text[at] switch
            {
                '.' => Member(text, at + 1),
                '[' => Bracket(text, at + 1),
                _ => throw Expected("'.' or '['", text, at),
            };
            steps.Add(new PathStep(name, index, text[..at]));
        }

        return new JsonPath(steps);
    }

    private static (string? Name, int Index, int End) Member(string text, int at)
    {
        int length = text.AsSpan(at).IndexOfAny('.', '[');
        int end = length < 0 ? text.Length : at + length;
        return end != at ? (text[at..end], 0, end) : throw Expected("a name", text, at);
    }

    private static (string? Name, int Index, int End) Bracket(string text, int at)
    {
        if (at < text.Length && text[at] is '\'' or '"')
        {
            int quote = text.IndexOf($"{text[at]}]", at + 1, StringComparison.Ordinal);
            return quote >= 0 ? (text[(at + 1)..quote], 0, quote + 2) : throw Expected($"the {text[at]}] of a name", text, text.Length);
        }

        int digits = text.AsSpan(at).IndexOfAnyExceptInRange('0', '9');
        int end = digits < 0 ? text.Length : at + digits;
        if (!int.TryParse(text.AsSpan(at, end - at), NumberStyles.None, CultureInfo.InvariantCulture, out int index))
        {
            throw Expected("an index or a name in quotes", text, at);
        }

        return end < text.Length && text[end] == ']' ? (null, index, end + 1) : throw Expected("']'", text, end);
    }

    private static BadInputException Expected(string what, string text, int at) =>
        new(string.Create(CultureInfo.InvariantCulture, $"{what} is expected in the path {text} at character {at + 1}, not {(at < text.Length ? $"'{text[at]}'" : "its end")}"));
}
