using System;
using System.Collections.Generic;

namespace Kmem.Tool.Bench.Report.Page;

/// <summary>Where a value lies on an axis.</summary>
internal sealed class Scale
{
    private readonly double _low;
    private readonly double _high;
    private readonly double _from;
    private readonly double _to;
    private readonly bool _isLog;

    private Scale(double low, double high, double from, double to, bool isLog)
    {
        _isLog = isLog;
        _low = isLog ? Math.Log10(low) : low;
        _high = isLog ? Math.Log10(high) : high;
        _from = from;
        _to = to;
    }

    /// <summary>From <paramref name="low"/> at <paramref name="from"/> to <paramref name="high"/> at <paramref name="to"/>.</summary>
    public static Scale Linear(double low, double high, double from, double to) => new(low, high > low ? high : low + 1, from, to, isLog: false);

    /// <summary>The same with equal distances for equal factors; <paramref name="low"/> is above 0.</summary>
    public static Scale Log(double low, double high, double from, double to) => new(low, high > low ? high : low * 10, from, to, isLog: true);

    /// <summary>The place of a value; what is off the axis stays at its end.</summary>
    public double At(double value)
    {
        double number = _isLog ? Math.Log10(Math.Max(value, 1e-9)) : value;
        double share = Math.Clamp((number - _low) / (_high - _low), 0, 1);
        return _from + (share * (_to - _from));
    }
}

/// <summary>A value that an axis names.</summary>
internal readonly record struct Tick(double Value, string Text);

internal static class Ticks
{
    /// <summary>About five round values from <paramref name="low"/> to <paramref name="high"/>, round in a unit of so much.</summary>
    public static IReadOnlyList<Tick> Linear(double low, double high, double unit, Func<double, string> text)
    {
        double step = Step(Math.Max(high - low, double.Epsilon) / unit / 5) * unit;
        List<Tick> ticks = [];
        for (double number = Math.Ceiling(low / step); number * step <= high * (1 + 1e-9); number++)
        {
            // Without the addition the ceiling of a negative number would be named -0.
            ticks.Add(new Tick(number * step, text((number * step) + 0.0)));
        }

        return ticks;
    }

    /// <summary>The powers of ten; also 2 and 5 times these where they are few.</summary>
    public static IReadOnlyList<Tick> Log(double low, double high, Func<double, string> text)
    {
        bool isWide = high / low > 1000;
        List<Tick> ticks = [];
        for (double power = Math.Pow(10, Math.Floor(Math.Log10(low))); power <= high; power *= 10)
        {
            foreach (int times in (ReadOnlySpan<int>)[1, 2, 5])
            {
                double value = power * times;
                if (value >= low && value <= high && (times == 1 || !isWide))
                {
                    ticks.Add(new Tick(value, text(value)));
                }
            }
        }

        return ticks;
    }

    /// <summary>The next of 1, 2 and 5 times a power of ten.</summary>
    private static double Step(double least)
    {
        double power = Math.Pow(10, Math.Floor(Math.Log10(least)));
        return power * (least / power) switch { <= 1 => 1, <= 2 => 2, <= 5 => 5, _ => 10 };
    }
}
