using System;
using System.Globalization;

namespace Kmem.Tool.Views;

/// <summary>Numbers as people read them.</summary>
internal static class Units
{
    private static readonly string[] s_byteUnits = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

    /// <summary>1234567 → <c>1,234,567</c>.</summary>
    public static string Count(long number) => number.ToString("N0", CultureInfo.InvariantCulture);

    /// <summary>Bytes in the largest unit that leaves at least one whole: 9624522 → <c>9.2 MiB</c>.</summary>
    public static string Bytes(ulong bytes)
    {
        double scaled = bytes;
        int unit = 0;
        for (; scaled >= 1024 && unit < s_byteUnits.Length - 1; unit++)
        {
            scaled /= 1024;
        }

        // 1023.97 would be printed as 1024.0.
        if (unit > 0 && unit < s_byteUnits.Length - 1 && scaled >= 1023.95)
        {
            scaled /= 1024;
            unit++;
        }

        return scaled.ToString(unit == 0 ? "F0" : "F1", CultureInfo.InvariantCulture) + " " + s_byteUnits[unit];
    }

    /// <summary>A share of a whole: <c>12.3%</c>; a dash where there is no whole.</summary>
    public static string Percent(double part, double whole)
    {
        return whole == 0 ? "-" : (100 * part / whole).ToString("F1", CultureInfo.InvariantCulture) + "%";
    }

    /// <summary>A time in the unit that suits it: <c>1.25 s</c>, <c>35.2 ms</c>.</summary>
    public static string Time(double seconds)
    {
        return seconds switch
        {
            >= 1 => seconds.ToString("F2", CultureInfo.InvariantCulture) + " s",
            >= 0.001 => (seconds * 1e3).ToString("F1", CultureInfo.InvariantCulture) + " ms",
            _ => (seconds * 1e6).ToString("F1", CultureInfo.InvariantCulture) + " µs",
        };
    }

    /// <summary>Nanoseconds: <c>115 ns</c>, <c>8.3 ns</c>.</summary>
    public static string Nanoseconds(double nanoseconds)
    {
        return nanoseconds.ToString(nanoseconds < 100 ? "F1" : "N0", CultureInfo.InvariantCulture) + " ns";
    }

    /// <summary>Thousandths with a sign, as the kernel prints its indexes: <c>0.123</c>, <c>-1.000</c>.</summary>
    public static string Thousandths(int value) => (value / 1000.0).ToString("F3", CultureInfo.InvariantCulture);

    /// <summary>A word with the number of it: <c>1 thread</c>, <c>2 threads</c>.</summary>
    public static string Of(long number, string one, string? many = null)
    {
        return $"{Count(number)} {(Math.Abs(number) == 1 ? one : many ?? one + "s")}";
    }
}
