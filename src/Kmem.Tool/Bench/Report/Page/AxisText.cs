using System;
using System.Globalization;

namespace Kmem.Tool.Bench.Report.Page;

/// <summary>Round values as an axis names them: without digits that are all zero.</summary>
internal static class AxisText
{
    private const double Kibi = 1024;
    private static readonly string[] s_bytes = ["B", "KiB", "MiB", "GiB", "TiB"];

    public static string Duration(double nanoseconds) => nanoseconds switch
    {
        0 => "0",
        < 1e3 => Short(nanoseconds) + " ns",
        < 1e6 => Short(nanoseconds / 1e3) + " µs",
        < 1e9 => Short(nanoseconds / 1e6) + " ms",
        _ => Short(nanoseconds / 1e9) + " s",
    };

    public static string Rate(double perSecond) => perSecond switch
    {
        0 => "0",
        < 1e3 => Short(perSecond) + "/s",
        < 1e6 => Short(perSecond / 1e3) + " k/s",
        < 1e9 => Short(perSecond / 1e6) + " M/s",
        _ => Short(perSecond / 1e9) + " G/s",
    };

    public static string Seconds(double seconds) => Short(seconds) + " s";

    public static string Times(double ratio) => ratio == 0 ? "0" : Short(ratio) + "×";

    public static string Bytes(double bytes)
    {
        int unit = UnitOf(Math.Abs(bytes));
        return bytes == 0 ? "0" : $"{Short(bytes / Math.Pow(Kibi, unit))} {s_bytes[unit]}";
    }

    /// <summary>What values up to <paramref name="high"/> bytes should be round in.</summary>
    public static double ByteUnit(double high) => Math.Pow(Kibi, UnitOf(high));

    private static int UnitOf(double bytes)
    {
        int unit = 0;
        for (; bytes >= Kibi && unit < s_bytes.Length - 1; unit++)
        {
            bytes /= Kibi;
        }

        return unit;
    }

    private static string Short(double number) => number.ToString("0.###", CultureInfo.InvariantCulture);
}
