using System;
using System.Collections.Generic;
using System.Linq;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Kmem.Tool.Views;

/// <summary>
/// The look of all tables: columns without lines between them, as the kernel's tools print them, numbers to the right. A
/// column that does not fit is left out rather than wrapped: columns are given in order of screen, with the width of
/// terminal from which they are shown.
/// </summary>
internal sealed class Tables
{
    private const int NarrowWidth = 100;

    private readonly Table _table;
    private readonly List<bool> _shown = [];

    private Tables(Table table)
    {
        _table = table;
    }

    /// <summary>
    /// A table for <paramref name="console"/>. A header that starts with <c>&lt;</c> makes a column of text, any other a column of
    /// numbers; a number and <c>|</c> in front is the width of terminal from which the column is shown: <c>110|&lt;name</c>.
    /// </summary>
    public static Tables Create(IAnsiConsole console, params ReadOnlySpan<string> headers)
    {
        int width = console.Profile.Width;
        Table table = new() { Border = TableBorder.None, UseSafeBorder = true };
        Tables tables = new(table);
        foreach (string header in headers)
        {
            string title = header;
            int bar = title.IndexOf('|', StringComparison.Ordinal);
            int fromWidth = bar < 0 ? 0 : int.Parse(title.AsSpan(0, bar), System.Globalization.CultureInfo.InvariantCulture);
            title = title[(bar + 1)..];
            tables._shown.Add(width >= fromWidth);
            if (width < fromWidth)
            {
                continue;
            }

            bool isText = title.StartsWith('<');
            table.AddColumn(new TableColumn(new Text(Printable(title.TrimStart('<')), new Style(decoration: Decoration.Bold)))
            {
                Alignment = isText ? Justify.Left : Justify.Right,
                NoWrap = true,
                Padding = new Padding(0, 0, GapOf(width), 0),
            });
        }

        // Nothing stands to the right of the last one.
        table.Columns[^1].Padding = new Padding(0, 0, 0, 0);
        return tables;
    }

    /// <summary>A table of names and what there is to say of them, without headers; the second column wraps.</summary>
    public static Tables CreateFacts(IAnsiConsole console)
    {
        Tables facts = Create(console, "<", "<");
        facts._table.ShowHeaders = false;
        facts._table.Columns[1].NoWrap = false;
        return facts;
    }

    /// <summary>Adds a row of plain texts, one for each column, shown or not.</summary>
    public void Add(params ReadOnlySpan<string> cells) => Add(Style.Plain, cells);

    /// <summary>Adds a row in a style.</summary>
    public void Add(Style style, params ReadOnlySpan<string> cells)
    {
        List<IRenderable> row = [];
        for (int index = 0; index < cells.Length; index++)
        {
            if (_shown[index])
            {
                row.Add(new Text(Printable(cells[index]), style) { Overflow = Overflow.Ellipsis });
            }
        }

        _table.AddRow(row);
    }

    /// <summary>Writes the table under a title.</summary>
    public void Write(IAnsiConsole console, string title)
    {
        console.WriteLine();
        console.Write(new Text(title, new Style(Color.Teal, decoration: Decoration.Bold)));
        console.WriteLine();
        console.Write(_table);
    }

    /// <summary>Writes the table as it is.</summary>
    public void Write(IAnsiConsole console) => console.Write(_table);

    /// <summary>A name from outside must not move the cursor or colour the rest of the screen.</summary>
    private static string Printable(string text) => text.Any(static each => char.IsControl(each) && each != '\n')
        ? string.Concat(text.Select(static each => char.IsControl(each) && each != '\n' ? '\uFFFD' : each))
        : text;

    /// <summary>Whether columns, given with their headers, have room on the console beside each other. Where they have none, cells wrap at their spaces.</summary>
    public static bool Fits(IAnsiConsole console, IReadOnlyCollection<string[]> columns) =>
        columns.Sum(static column => column.Max(static cell => cell.Length)) + (GapOf(console.Profile.Width) * (columns.Count - 1)) <= console.Profile.Width;

    private static int GapOf(int width) => width < NarrowWidth ? 1 : 2;

    /// <summary>Shortens a name that would make a table too wide, in the middle, where names differ least.</summary>
    public static string Shorten(string name, int length)
    {
        if (name.Length <= length)
        {
            return name;
        }

        int tail = (length - 1) / 3;
        return string.Concat(name.AsSpan(0, length - 1 - tail), "…", name.AsSpan(name.Length - tail));
    }
}
