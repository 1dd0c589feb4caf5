using System;
using System.Globalization;
using System.Text;

namespace Parser.Tree;

/// <summary>What stands behind a backslash.</summary>
internal static class Escapes
{
    private const int UnicodeBytes = 6;

    /// <summary>Reads one escape, from its backslash on: <c>\n</c>, <c>\u00e9</c>, or two of these for a character beyond U+FFFF.</summary>
    /// <returns>Its bytes; 0 if it is none.</returns>
    public static int Read(ReadOnlySpan<byte> text, out Rune rune)
    {
        rune = default;
        if (text.Length < 2)
        {
            return 0;
        }

        if (text[1] == 'u')
        {
            return ReadUnicode(text, out rune);
        }

        int plain = "\"\\/bfnrt"u8.IndexOf(text[1]);
        rune = plain < 0 ? default : new Rune("\"\\/\b\f\n\r\t"[plain]);
        return plain < 0 ? 0 : 2;
    }

    /// <summary>A string's value from its text. It is never longer.</summary>
    /// <returns>Bytes of the value.</returns>
    public static int Decode(ReadOnlySpan<byte> text, Span<byte> value)
    {
        int written = 0;
        while (true)
        {
            int plain = text.IndexOf((byte)'\\');
            ReadOnlySpan<byte> before = plain < 0 ? text : text[..plain];
            before.CopyTo(value[written..]);
            written += before.Length;
            if (plain < 0)
            {
                return written;
            }

            int length = Read(text[plain..], out Rune rune);
            written += rune.EncodeToUtf8(value[written..]);
            text = text[(plain + length)..];
        }
    }

    private static int ReadUnicode(ReadOnlySpan<byte> text, out Rune rune)
    {
        rune = default;
        if (!TryReadUnit(text, out char unit))
        {
            return 0;
        }

        if (Rune.TryCreate(unit, out rune))
        {
            return UnicodeBytes;
        }

        return TryReadUnit(text[UnicodeBytes..], out char low) && Rune.TryCreate(unit, low, out rune) ? 2 * UnicodeBytes : 0;
    }

    private static bool TryReadUnit(ReadOnlySpan<byte> text, out char unit)
    {
        unit = default;
        if (text.Length < UnicodeBytes || text[0] != '\\' || text[1] != 'u' || !ushort.TryParse(text[2..UnicodeBytes], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ushort number))
        {
            return false;
        }

        unit = (char)number;
        return true;
    }
}
