using System;

namespace Kmem.Extensions;

/// <summary>The heap that the options ask for.</summary>
internal static class KmemHeapFactory
{
    public static KmemHeap Create(KmemOptions options)
    {
        KmemHeap heap = options.HeapName == null ? KmemHeap.Shared : CreateOwn(options.HeapName, options);
        try
        {
            if (options.Debug != null)
            {
                heap.SetChecks(options.Debug);
            }

            if (options.GuardInterval is TimeSpan guard)
            {
                heap.GuardIntervalMilliseconds = (int)guard.TotalMilliseconds;
            }

            if (options.ProfileIntervalBytes is long profile)
            {
                heap.ProfileIntervalBytes = (nuint)profile;
            }

            return heap;
        }
        catch
        {
            heap.Dispose();
            throw;
        }
    }

    private static KmemHeap CreateOwn(string name, KmemOptions options) => new(new KmemHeapOptions
    {
        Name = name,
        ReserveBytes = (nuint)(options.MaxBytes ?? 0),
        Growable = options.MaxBytes == null,
        PurgeDelayMilliseconds = (int)(options.PurgeDelay ?? TimeSpan.FromSeconds(1)).TotalMilliseconds,
        MaintenanceIntervalMilliseconds = (int)KmemReaper.IntervalOf(options).TotalMilliseconds,
        MisusePolicy = options.MisusePolicy ?? KmemMisusePolicy.Throw,
        ReportLeaksAtDispose = options.ReportLeaksAtDispose,
    });
}
