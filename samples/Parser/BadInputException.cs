using System;
using System.Globalization;
using System.Text;

namespace Parser;

/// <summary>The document, or the question about it, is not what it should be. The message is for whoever wrote it.</summary>
internal sealed class BadInputException : Exception
{
    public BadInputException(string message)
        : base(message)
    {
    }

    /// <summary>A mistake at a byte of a text.</summary>
    public BadInputException(string message, ReadOnlySpan<byte> text, int at)
        : this(message, LineOf(text[..at]), ColumnOf(text[..at]))
    {
    }

    /// <summary>A mistake at a line and a column, both from 1.</summary>
    public BadInputException(string message, long line, long column)
        : base(string.Create(CultureInfo.InvariantCulture, $"line {line}, column {column}: {message}"))
    {
    }

    private static int LineOf(ReadOnlySpan<byte> before) => before.Count((byte)'\n') + 1;

    /// <summary>In characters, as an editor counts; what is no UTF-8 counts a character as well.</summary>
    private static int ColumnOf(ReadOnlySpan<byte> before)
    {
        ReadOnlySpan<byte> line = before[(before.LastIndexOf((byte)'\n') + 1)..];
        int column = 1;
        while (!line.IsEmpty)
        {
            _ = Rune.DecodeFromUtf8(line, out _, out int length);
            line = line[length..];
            column++;
        }

        return column;
    }
}
