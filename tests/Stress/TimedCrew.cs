using System;
using System.Threading;
using Xunit;

namespace Kmem.Tests.Stress;

/// <summary>
/// A crew that works until its time is up and it reached what the test is about, or one of it fails; a failure tells the seed. A machine that is
/// busy otherwise makes it take longer, up to a minute. Each thread has random numbers of its own.
/// </summary>
internal sealed class TimedCrew(double seconds, Func<bool>? reached = null)
{
    private readonly Budget _budget = new(seconds);
    private readonly Budget _limit = new(60);
    private readonly Crew _crew = new();
    private int _started;

    public bool IsOver => _crew.IsStopped || (_budget.IsSpent && (reached == null || reached() || _limit.IsSpent));

    public void Start(Action<Random> work)
    {
        int number = Interlocked.Increment(ref _started);
        _crew.Add(() => work(new Random(Budget.Seed + (number * 7919))));
    }

    public void Join()
    {
        try
        {
            _crew.Join();
        }
        catch (AggregateException failures)
        {
            Assert.Fail($"seed {Budget.Seed}: {failures}");
        }
    }
}
