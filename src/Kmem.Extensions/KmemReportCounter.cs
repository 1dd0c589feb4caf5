using System;
using System.Threading;

namespace Kmem.Extensions;

/// <summary>Reports of the process since it is there: for the health check.</summary>
internal sealed class KmemReportCounter : IDisposable
{
    private long _damages;
    private long _mistakes;
    private long _leaks;
    private KmemReport? _last;

    public KmemReportCounter() => KmemReports.Reported += Count;

    /// <summary>Bytes were found that nobody should have written.</summary>
    public long Damages => Volatile.Read(ref _damages);

    /// <summary>Mistakes that harmed nothing, such as a double free that was refused.</summary>
    public long Mistakes => Volatile.Read(ref _mistakes);

    public long Leaks => Volatile.Read(ref _leaks);

    /// <summary>The last one that is not a leak.</summary>
    public KmemReport? Last => Volatile.Read(ref _last);

    public static bool IsDamage(KmemMisuse misuse) => misuse is KmemMisuse.WrittenBefore or KmemMisuse.WrittenPast or KmemMisuse.WrittenAfterFree
        or KmemMisuse.TrackDamaged or KmemMisuse.SlabDamaged or KmemMisuse.GuardedAccess;

    public static bool IsLeak(KmemMisuse misuse) => misuse is KmemMisuse.Leaked or KmemMisuse.LiveObjects;

    public void Dispose() => KmemReports.Reported -= Count;

    private void Count(KmemReport report)
    {
        if (IsLeak(report.Misuse))
        {
            Interlocked.Increment(ref _leaks);
            return;
        }

        Volatile.Write(ref _last, report);
        if (IsDamage(report.Misuse))
        {
            Interlocked.Increment(ref _damages);
        }
        else
        {
            Interlocked.Increment(ref _mistakes);
        }
    }
}
