using System;
using System.Collections.Generic;
using System.Linq;

namespace Kmem.Tool.Bench.Report.Page;

/// <summary>A point of a curve and what to tell of it.</summary>
internal readonly record struct CurvePoint(double X, double Y, string Tip);

/// <summary>The curve of one allocator.</summary>
internal sealed record Curve(int Allocator, string Name, IReadOnlyList<CurvePoint> Points)
{
    /// <summary>Without transition: dashed, beside the same library with it.</summary>
    public bool IsDashed { get; init; }

    /// <summary>Drawn stronger.</summary>
    public bool IsFirst { get; init; }

    /// <summary>What to tell of the curve as a whole, where its points are too many to have dots.</summary>
    public string? Tip { get; init; }
}

/// <summary>Something on the x axis to look at.</summary>
/// <param name="Row">Texts of one row have room beside each other.</param>
/// <param name="IsBefore">Whether the text stands to the left of the line.</param>
internal readonly record struct PlotMark(double X, string Text, int Row, bool IsBefore);

/// <summary>Curves with their names at the right end, as near to it as the other names let them.</summary>
internal sealed class CurvePlot
{
    private const double Width = 580;
    private const double Height = 350;
    private const double Left = 62;
    private const double Right = 446;
    private const double Top = 12;
    private const double Bottom = 312;
    private const double NameDistance = 13;

    public required string Title { get; init; }

    public required (double Low, double High) XRange { get; init; }

    public required (double Low, double High) YRange { get; init; }

    public bool IsXLog { get; init; }

    public bool IsYLog { get; init; }

    public required IReadOnlyList<Tick> XTicks { get; init; }

    public required IReadOnlyList<Tick> YTicks { get; init; }

    public required string XTitle { get; init; }

    public required IReadOnlyList<Curve> Curves { get; init; }

    /// <summary>A curve behind all others that is filled to the bottom.</summary>
    public IReadOnlyList<CurvePoint> Background { get; init; } = [];

    public IReadOnlyList<PlotMark> Marks { get; init; } = [];

    public void Write(PageWriter page)
    {
        Scale x = IsXLog ? Scale.Log(XRange.Low, XRange.High, Left, Right) : Scale.Linear(XRange.Low, XRange.High, Left, Right);
        Scale y = IsYLog ? Scale.Log(YRange.Low, YRange.High, Bottom, Top) : Scale.Linear(YRange.Low, YRange.High, Bottom, Top);
        page.Open("figure").Element("figcaption", Title).Open("div", ("class", "scroll"));
        using (SvgCanvas canvas = new(page, Width, Height, Title))
        {
            DrawAxes(canvas, x, y);
            if (Background.Count > 0)
            {
                canvas.Area([.. Background.Select(point => (x.At(point.X), y.At(point.Y)))], Bottom, "background");
            }

            DrawMarks(canvas, x);

            // The first comes last: nothing is drawn over it.
            foreach (Curve curve in Curves.OrderBy(static curve => curve.IsFirst))
            {
                DrawCurve(canvas, curve, x, y);
            }

            DrawNames(canvas, x, y);
        }

        page.Close().Close();
    }

    private void DrawAxes(SvgCanvas canvas, Scale x, Scale y)
    {
        foreach (Tick tick in YTicks)
        {
            canvas.Line(Left, y.At(tick.Value), Right, y.At(tick.Value), "grid");
            canvas.Text(Left - 6, y.At(tick.Value) + 4, tick.Text, "tick", "end");
        }

        foreach (Tick tick in XTicks)
        {
            canvas.Line(x.At(tick.Value), Bottom, x.At(tick.Value), Bottom + 4, "axis");
            canvas.Text(x.At(tick.Value), Bottom + 17, tick.Text, "tick", "middle");
        }

        canvas.Line(Left, Bottom, Right, Bottom, "axis");
        canvas.Text((Left + Right) / 2, Height - 4, XTitle, "tick", "middle");
    }

    private void DrawMarks(SvgCanvas canvas, Scale x)
    {
        foreach (PlotMark mark in Marks)
        {
            double at = x.At(mark.X);
            canvas.Line(at, Top, at, Bottom, "mark");
            canvas.Text(mark.IsBefore ? at - 4 : at + 4, Top + 10 + (mark.Row * 14), mark.Text, "mark", mark.IsBefore ? "end" : "start");
        }
    }

    private static void DrawCurve(SvgCanvas canvas, Curve curve, Scale x, Scale y)
    {
        canvas.Group($"series {Palette.ClassOf(curve.Allocator)}{(curve.IsFirst ? " first" : "")}{(curve.IsDashed ? " dashed" : "")}");
        canvas.Curve(curve.Points.Select(point => (x.At(point.X), y.At(point.Y))), "curve", curve.Tip);
        if (curve.Tip == null)
        {
            foreach (CurvePoint point in curve.Points)
            {
                canvas.Dot(x.At(point.X), y.At(point.Y), "dot", point.Tip);
            }
        }

        canvas.EndGroup();
    }

    private void DrawNames(SvgCanvas canvas, Scale x, Scale y)
    {
        Curve[] curves = [.. Curves.OrderByDescending(static curve => curve.Points[^1].Y)];
        double[] places = Spread([.. curves.Select(curve => y.At(curve.Points[^1].Y))]);
        for (int index = 0; index < curves.Length; index++)
        {
            CurvePoint end = curves[index].Points[^1];
            canvas.Group($"series {Palette.ClassOf(curves[index].Allocator)}{(curves[index].IsFirst ? " first" : "")}");
            canvas.Line(x.At(end.X) + 3, y.At(end.Y), Right + 13, places[index], "leader");
            canvas.Text(Right + 16, places[index] + 4, Views.Tables.Shorten(curves[index].Name, 18), "curve-name");
            canvas.EndGroup();
        }
    }

    /// <summary>Moves places apart that are too near to each other, and none out of the plot. They are in order already.</summary>
    private static double[] Spread(double[] places)
    {
        double distance = places.Length < 2 ? NameDistance : Math.Min(NameDistance, (Bottom - Top) / (places.Length - 1));
        for (int index = 1; index < places.Length; index++)
        {
            places[index] = Math.Max(places[index], places[index - 1] + distance);
        }

        double last = Bottom - 5;
        for (int index = places.Length - 1; index >= 0; index--)
        {
            places[index] = Math.Min(places[index], last);
            last = places[index] - distance;
        }

        return places;
    }
}
