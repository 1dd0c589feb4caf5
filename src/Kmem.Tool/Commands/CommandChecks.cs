using System;
using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;

namespace Kmem.Tool.Commands;

/// <summary>Checks of arguments, with messages that say what is allowed.</summary>
internal static class CommandChecks
{
    /// <summary>Adds an error where a number is outside a range.</summary>
    public static void RequireRange(OptionResult result, Option<int> option, int first, int last)
    {
        // A text that is no number has its own error already.
        if (result.Tokens.Count == 1
            && int.TryParse(result.Tokens[0].Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value)
            && (value < first || value > last))
        {
            result.AddError($"{option.Name} is {value}; it must be from {first} to {last}.");
        }
    }

    /// <summary>Parses a size: bytes, or with K, M or G behind (powers of 1024). Adds an error for anything else, and for 0.</summary>
    public static long ParseSize(ArgumentResult result)
    {
        string text = result.Tokens.Count == 1 ? result.Tokens[0].Value : "";
        if (TryParseSize(text, out long size))
        {
            return size;
        }

        result.AddError($"'{text}' is not a size; write bytes, or a number with K, M or G behind it.");
        return 0;
    }

    /// <summary>The parsing of <see cref="ParseSize"/>.</summary>
    public static bool TryParseSize(string text, out long size)
    {
        size = 0;
        if (text.Length == 0)
        {
            return false;
        }

        int shift = char.ToUpperInvariant(text[^1]) switch
        {
            'K' => 10,
            'M' => 20,
            'G' => 30,
            _ => 0,
        };
        ReadOnlySpan<char> digits = shift > 0 ? text.AsSpan(0, text.Length - 1) : text;
        if (!long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out long number) || number <= 0 || number > (long.MaxValue >> shift))
        {
            return false;
        }

        size = number << shift;
        return true;
    }
}
