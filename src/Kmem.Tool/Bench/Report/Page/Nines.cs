using System;
using System.Collections.Generic;
using System.Globalization;

namespace Kmem.Tool.Bench.Report.Page;

/// <summary>
/// The axis of percentiles on which each further nine is as long as the one before: 90, 99, 99.9. It ends with the last that is
/// recorded: the highest value of all is a single event, often an interrupt, and would press all curves to the bottom.
/// </summary>
internal static class Nines
{
    public const double LastPercentile = 99.999;

    public static IReadOnlyList<Tick> Ticks { get; } =
    [
        new(Place(0), "0"), new(Place(90), "90"), new(Place(99), "99"), new(Place(99.9), "99.9"),
        new(Place(99.99), "99.99"), new(Place(LastPercentile), "99.999"),
    ];

    public static double Place(double percentile) => -Math.Log10(1 - (Math.Min(percentile, LastPercentile) / 100));

    public static string NameOf(double percentile) => percentile switch
    {
        <= 0 => "lowest",
        _ => "p" + percentile.ToString("0.####", CultureInfo.InvariantCulture),
    };
}
