using Kmem.Engine.Primitives;

namespace Kmem.Engine.Caches;

/// <summary>
/// Which allocations of a cache fail where the letter A is on: the kernel's attributes of fault injection. All that are set must agree; with none set nothing fails.
/// </summary>
internal unsafe struct FaultPlan
{
    /// <summary>One in so many fails, by chance; 0 leaves it to the others.</summary>
    public uint OneIn;

    /// <summary>Each so-manyth may fail; 0 and 1: each.</summary>
    public uint Interval;

    /// <summary>Failures still to come; negative: without end.</summary>
    public long TimesLeft;

    /// <summary>Only this call fails, counted from 1; 0: any.</summary>
    public long Nth;

    /// <summary>State of the generator; not 0.</summary>
    public ulong Random;

    public long Calls;
    public long Failures;

    public readonly bool IsSet => OneIn != 0 || Interval != 0 || Nth != 0;

    /// <summary>Counts a call and says whether it is to fail.</summary>
    public static bool Fails(FaultPlan* plan)
    {
        long call = Atomic.Add(&plan->Calls, 1);
        if (!plan->IsSet
            || (plan->Nth != 0 && call != plan->Nth)
            || (plan->Interval > 1 && call % plan->Interval != 0)
            || (plan->OneIn > 1 && (Atomic.NextRandom(&plan->Random) >> 11) % plan->OneIn != 0))
        {
            return false;
        }

        if (plan->TimesLeft >= 0 && Atomic.Add(&plan->TimesLeft, -1) < 0)
        {
            Atomic.Store(&plan->TimesLeft, 0);
            return false;
        }

        _ = Atomic.Add(&plan->Failures, 1);
        return true;
    }
}
