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

    /// <summary>A time with three digits in the unit that suits it, for times that differ by powers of ten: <c>4.12 ns</c>, <c>35.2 µs</c>, <c>1.25 s</c>.</summary>
    public static string Duration(double nanoseconds)
    {
        // 999.6 would be printed as 1000.
        return nanoseconds switch
        {
            < 999.5 => Digits(nanoseconds) + " ns",
            < 999.5e3 => Digits(nanoseconds / 1e3) + " µs",
            < 999.5e6 => Digits(nanoseconds / 1e6) + " ms",
            _ => Digits(nanoseconds / 1e9) + " s",
        };
    }

    /// <summary>A number of things each second: <c>143 M/s</c>, <c>8.25 k/s</c>.</summary>
    public static string Rate(double perSecond)
    {
        return perSecond switch
        {
            < 999.5 => Digits(perSecond) + "/s",
            < 999.5e3 => Digits(perSecond / 1e3) + " k/s",
            < 999.5e6 => Digits(perSecond / 1e6) + " M/s",
            _ => Digits(perSecond / 1e9) + " G/s",
        };
    }

    /// <summary>Three digits where they stand before the point or right behind it: <c>4.12</c>, <c>41.2</c>, <c>412</c>, <c>1,234</c>.</summary>
    public static string Digits(double number)
    {
        return number.ToString(Math.Abs(number) switch { < 9.995 => "F2", < 99.95 => "F1", _ => "N0" }, CultureInfo.InvariantCulture);
    }

    /// <summary>A time to wait, as people say it: <c>40 s</c>, <c>12 min</c>, <c>1 h 5 min</c>.</summary>
    public static string Wait(TimeSpan time)
    {
        return time.TotalSeconds < 99.5 ? $"{time.TotalSeconds:F0} s"
            : time.TotalMinutes < 99.5 ? $"{time.TotalMinutes:F0} min"
            : $"{(int)time.TotalHours} h {time.Minutes} min";
    }

    /// <summary>Thousandths with a sign, as the kernel prints its indexes: <c>0.123</c>, <c>-1.000</c>.</summary>
    public static string Thousandths(int value) => (value / 1000.0).ToString("F3", CultureInfo.InvariantCulture);

    /// <summary>A word with the number of it: <c>1 thread</c>, <c>2 threads</c>.</summary>
    public static string Of(long number, string one, string? many = null)
    {
        return $"{Count(number)} {(Math.Abs(number) == 1 ? one : many ?? one + "s")}";
    }
}
