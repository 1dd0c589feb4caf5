using System;
using System.Collections.Generic;
using System.Globalization;

namespace Kmem.Tool.Bench.Report.Page;

/// <summary>
/// The axis of percentiles on which each further nine is as long as the one before: 90, 99, 99.9. The highest value of all has its
/// place one nine after the last that was recorded.
/// </summary>
internal static class Nines
{
    private const double Last = 6;

    public static IReadOnlyList<Tick> Ticks { get; } =
    [
        new(Place(0), "0"), new(Place(90), "90"), new(Place(99), "99"), new(Place(99.9), "99.9"),
        new(Place(99.99), "99.99"), new(Place(99.999), "99.999"), new(Place(100), "max"),
    ];

    public static double Place(double percentile) => percentile >= 100 ? Last : Math.Min(Last, -Math.Log10(1 - (percentile / 100)));

    public static string NameOf(double percentile) => percentile switch
    {
        <= 0 => "lowest",
        >= 100 => "highest",
        _ => "p" + percentile.ToString("0.####", CultureInfo.InvariantCulture),
    };
}
