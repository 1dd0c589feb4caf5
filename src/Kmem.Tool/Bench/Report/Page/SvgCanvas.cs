using System;
using System.Collections.Generic;
using System.Linq;
using static Kmem.Tool.Bench.Report.Page.PageWriter;

namespace Kmem.Tool.Bench.Report.Page;

/// <summary>A drawing inside of the page; its colours and strokes are in the style sheet.</summary>
internal sealed class SvgCanvas : IDisposable
{
    private readonly PageWriter _page;

    public SvgCanvas(PageWriter page, double width, double height, string label)
    {
        _page = page;
        page.Open("svg", ("viewBox", $"0 0 {Number(width)} {Number(height)}"), ("role", "img"), ("aria-label", label));
    }

    public void Line(double x1, double y1, double x2, double y2, string style) =>
        _page.Empty("line", ("x1", Number(x1)), ("y1", Number(y1)), ("x2", Number(x2)), ("y2", Number(y2)), ("class", style));

    /// <summary>Text that starts at a point, or has its middle or end there.</summary>
    public void Text(double x, double y, string text, string style, string anchor = "start") =>
        _page.Element("text", text, ("x", Number(x)), ("y", Number(y)), ("class", style), ("text-anchor", anchor == "start" ? null : anchor));

    public void Curve(IEnumerable<(double X, double Y)> points, string style, string? tip = null) =>
        _page.Empty("polyline", ("points", Points(points)), ("class", style), ("data-tip", tip));

    /// <summary>What is between a curve and a line at the bottom.</summary>
    public void Area(IReadOnlyList<(double X, double Y)> points, double bottom, string style) =>
        _page.Empty("polygon", ("points", Points([(points[0].X, bottom), .. points, (points[^1].X, bottom)])), ("class", style));

    /// <summary>A dot, and a larger one that nobody sees for those who point at it.</summary>
    public void Dot(double x, double y, string style, string tip)
    {
        _page.Empty("circle", ("cx", Number(x)), ("cy", Number(y)), ("r", "2"), ("class", style));
        _page.Empty("circle", ("cx", Number(x)), ("cy", Number(y)), ("r", "7"), ("class", "target"), ("data-tip", tip));
    }

    /// <summary>What follows, until <see cref="EndGroup"/>, belongs together.</summary>
    public void Group(string style) => _page.Open("g", ("class", style));

    public void EndGroup() => _page.Close();

    public void Dispose() => _page.Close();

    private static string Points(IEnumerable<(double X, double Y)> points) =>
        string.Join(' ', points.Select(static point => $"{Number(point.X)},{Number(point.Y)}"));
}
