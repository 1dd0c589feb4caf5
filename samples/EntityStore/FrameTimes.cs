using System;
using System.Diagnostics;

namespace EntityStore;

/// <summary>How long the last frames took. Has its memory from the start, so that measuring allocates nothing.</summary>
internal sealed class FrameTimes(int frames)
{
    private readonly long[] _ticks = new long[frames];
    private int _count;

    /// <summary>Adds a frame that began at a time stamp and ends now.</summary>
    public void Add(long began) => _ticks[_count++] = Stopwatch.GetTimestamp() - began;

    /// <summary>Milliseconds that so much of the frames did not exceed, at the middle, at 99 % and at the end; the next frames start anew.</summary>
    public (double P50, double P99, double Longest) Take()
    {
        Span<long> sorted = _ticks.AsSpan(0, _count);
        sorted.Sort();
        (double, double, double) times = (At(sorted, 0.5), At(sorted, 0.99), At(sorted, 1));
        _count = 0;
        return times;
    }

    private static double At(ReadOnlySpan<long> sorted, double part) => sorted[(int)Math.Ceiling(part * sorted.Length) - 1] * 1e3 / Stopwatch.Frequency;
}
