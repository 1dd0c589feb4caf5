using System;
using System.Diagnostics;
using System.Globalization;

namespace Kmem.Tests.Stress;

/// <summary>How long a test goes on: seconds, each a few by default; <c>KMEM_STRESS_FACTOR</c> multiplies all. <c>KMEM_STRESS_SEED</c> replays.</summary>
internal sealed class Budget
{
    private readonly Stopwatch _watch = Stopwatch.StartNew();
    private readonly TimeSpan _length;

    public Budget(double seconds) => _length = TimeSpan.FromSeconds(seconds * Factor);

    public bool IsSpent => _watch.Elapsed >= _length;

    public static int Seed { get; } =
        int.TryParse(Environment.GetEnvironmentVariable("KMEM_STRESS_SEED"), CultureInfo.InvariantCulture, out int seed) ? seed : Environment.TickCount;

    private static double Factor { get; } =
        double.TryParse(Environment.GetEnvironmentVariable("KMEM_STRESS_FACTOR"), CultureInfo.InvariantCulture, out double factor) ? factor : 1;
}
