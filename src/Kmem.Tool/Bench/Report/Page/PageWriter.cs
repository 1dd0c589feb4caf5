using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace Kmem.Tool.Bench.Report.Page;

/// <summary>
/// Writes elements of HTML in the form that is XML too, so that any parser can check the page. Whatever comes from outside, names
/// above all, goes through <see cref="Escape"/>.
/// </summary>
internal sealed class PageWriter
{
    private readonly StringBuilder _text = new();
    private readonly Stack<string> _open = new();

    /// <summary>Starts an element that <see cref="Close"/> ends. An attribute without value is left out.</summary>
    public PageWriter Open(string name, params ReadOnlySpan<(string Name, string? Value)> attributes)
    {
        Tag(name, attributes);
        _text.Append('>');
        _open.Push(name);
        return this;
    }

    /// <summary>Ends the element that was opened last.</summary>
    public PageWriter Close()
    {
        _text.Append("</").Append(_open.Pop()).Append('>');
        if (_open.Count < 4)
        {
            _text.Append('\n');
        }

        return this;
    }

    /// <summary>An element with nothing but text in it.</summary>
    public PageWriter Element(string name, string text, params ReadOnlySpan<(string Name, string? Value)> attributes) =>
        Open(name, attributes).Text(text).Close();

    /// <summary>An element that HTML or SVG lets be empty.</summary>
    public PageWriter Empty(string name, params ReadOnlySpan<(string Name, string? Value)> attributes)
    {
        Tag(name, attributes);
        _text.Append("/>");
        return this;
    }

    public PageWriter Text(string text)
    {
        _text.Append(Escape(text));
        return this;
    }

    /// <summary>Text of the page itself that is markup already.</summary>
    public PageWriter Raw(string markup)
    {
        _text.Append(markup);
        return this;
    }

    public override string ToString() => _open.Count == 0 ? _text.ToString() : throw new InvalidOperationException($"<{_open.Peek()}> is still open");

    /// <summary>The same as text and inside of quotes.</summary>
    public static string Escape(string text)
    {
        StringBuilder escaped = new(text.Length);
        foreach (char each in text)
        {
            _ = each switch
            {
                '<' => escaped.Append("&lt;"),
                '>' => escaped.Append("&gt;"),
                '&' => escaped.Append("&amp;"),
                '"' => escaped.Append("&quot;"),
                '\'' => escaped.Append("&#39;"),

                // XML has no control characters, however they are written.
                < ' ' and not '\n' and not '\t' => escaped.Append('\uFFFD'),
                _ => escaped.Append(each),
            };
        }

        return escaped.ToString();
    }

    /// <summary>A coordinate or a share, short.</summary>
    public static string Number(double number) => number.ToString("0.##", CultureInfo.InvariantCulture);

    private void Tag(string name, ReadOnlySpan<(string Name, string? Value)> attributes)
    {
        _text.Append('<').Append(name);
        foreach ((string attribute, string? value) in attributes)
        {
            if (value != null)
            {
                _text.Append(' ').Append(attribute).Append("=\"").Append(Escape(value)).Append('"');
            }
        }
    }
}
