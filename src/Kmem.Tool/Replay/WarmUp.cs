using System;
using System.Diagnostics;
using Kmem.Tool.Hosting;
using Kmem.Tool.Traces;

namespace Kmem.Tool.Replay;

/// <summary>
/// Replays before the one that counts. The runtime compiles a method quickly at first and well after 30 calls and a tenth of a
/// second, which is longer than a small trace takes: without this the compiler is what is timed. A large trace takes so
/// long that it does not matter.
/// </summary>
internal static class WarmUp
{
    private const long LargePlanSteps = 4_000_000;
    private const int MinRuns = 2;
    private const int MaxRuns = 50;

    private static readonly TimeSpan s_time = TimeSpan.FromMilliseconds(400);

    /// <summary>Replays a plan into heaps of their own for a while; returns how often.</summary>
    public static int Run(TracePlan plan, ReplaySettings settings)
    {
        long start = Stopwatch.GetTimestamp();
        int runs = 0;
        for (; plan.StepCount <= LargePlanSteps && runs < MaxRuns; runs++)
        {
            if (runs >= MinRuns && Stopwatch.GetElapsedTime(start) >= s_time)
            {
                break;
            }

            using Replayer replayer = new(plan, settings);
            if (replayer.Run().Corrupt is > 0 and long corrupt)
            {
                throw new ToolException($"{corrupt} objects damaged before the replay that counts: memory was handed out twice, or written to by the heap");
            }
        }

        return runs;
    }
}
