using System;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Kmem.Diagnostics;

namespace Kmem.Pooling;

/// <summary>Turns a mistake with a lease into one report that names the pool and the block.</summary>
internal static class LeaseReport
{
    /// <summary>Lost leases of a pool that are reported one by one; those after are only counted.</summary>
    private const int LostReportsMax = 16;

    [DoesNotReturn]
    public static void ReturnedTwice(SlabMemoryPool pool, SlabLease owner)
    {
        KmemReport report = Make(pool, owner, KmemMisuse.AlreadyFree, "Return", "returned twice");
        KmemReports.Publish(report);
        MisuseReport.Act(pool.Policy, new KmemMisuseException(report));
        throw new InvalidOperationException(report.Text);
    }

    [DoesNotReturn]
    public static void UsedAfterReturn(SlabMemoryPool pool, SlabLease owner, string operation)
    {
        KmemReport report = Make(pool, owner, KmemMisuse.AlreadyFree, operation, pool.IsHeapGone ? "used after its heap was disposed" : "used after it was returned");
        KmemReports.Publish(report);
        throw new ObjectDisposedException(pool.ToString(), report.Text);
    }

    public static void Lost(SlabMemoryPool pool, SlabLease owner, long count)
    {
        if (count > LostReportsMax)
        {
            return;
        }

        string what = count < LostReportsMax ? "dropped without a return; its memory stays allocated" : "dropped without a return, and so were others; no more of this pool are reported";
        KmemReports.Publish(Make(pool, owner, KmemMisuse.Leaked, "Finalize", what));
    }

    private static KmemReport Make(SlabMemoryPool pool, SlabLease owner, KmemMisuse misuse, string operation, string what)
    {
        KnownStack rented = StackDepot.Get(owner.RentedAt) ?? KnownStack.None;
        KnownStack returned = StackDepot.Get(owner.ReturnedAt) ?? KnownStack.None;
        KnownStack found = misuse == KmemMisuse.Leaked || !(KmemReports.HasSubscribers || owner.IsChecked) ? KnownStack.None : StackDepot.Now();
        string text = string.Create(
            CultureInfo.InvariantCulture,
            $"Kmem: {operation}: a lease of the memory pool '{pool.Name}' of the heap '{pool.Heap.Name}' was {what}: {owner.LengthBytes} bytes at 0x{owner.LastAddress:x}");
        return new KmemReport
        {
            Misuse = misuse,
            Operation = operation,
            HeapName = pool.Heap.Name,
            CacheName = pool.Cache?.Name ?? "",
            Address = owner.LastAddress,
            RequestedBytes = (nuint)owner.LengthBytes,
            AllocatedBy = rented.Frames,
            FreedBy = returned.Frames,
            FoundBy = found.Frames,
            Text = text + Line("rented", rented) + Line("returned", returned) + Line("found", found),
        };
    }

    private static string Line(string what, KnownStack stack) => stack.Frames.Length == 0 ? "" : $"\n  {what,-9} {stack.Text}";
}
