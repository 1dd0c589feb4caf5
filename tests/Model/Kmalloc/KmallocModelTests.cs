using System;
using System.Linq;
using CsCheck;
using Xunit;

namespace Kmem.Tests.Model.Kmalloc;

public sealed class KmallocModelTests
{
    private static readonly Gen<KmallocOperation> s_operation = Gen.Select(
        Gen.Frequency(
            (10, Gen.Const(KmallocOperationKind.Alloc)),
            (4, Gen.Const(KmallocOperationKind.AllocZeroed)),
            (5, Gen.Const(KmallocOperationKind.AllocAligned)),
            (6, Gen.Const(KmallocOperationKind.Realloc)),
            (9, Gen.Const(KmallocOperationKind.Free)),
            (6, Gen.Const(KmallocOperationKind.FreeSized)),
            (1, Gen.Const(KmallocOperationKind.FreeWrongSize)),
            (3, Gen.Const(KmallocOperationKind.AllocPages)),
            (2, Gen.Const(KmallocOperationKind.FreePages)),
            (1, Gen.Const(KmallocOperationKind.Trim)),
            (1, Gen.Const(KmallocOperationKind.Maintain)),
            (1, Gen.Const(KmallocOperationKind.Validate))),
        Gen.Int[0, 1 << 20],
        Gen.Int[0, 1 << 20],
        Gen.Int[0, 1 << 20],
        (kind, a, b, c) => new KmallocOperation(kind, a, b, c));

    /// <summary>Sizes of few classes, so that magazines fill, change places and go to the depot.</summary>
    private static readonly Gen<KmallocOperation> s_smallOperation = Gen.Select(
        Gen.Frequency(
            (20, Gen.Const(KmallocOperationKind.Alloc)),
            (16, Gen.Const(KmallocOperationKind.Free)),
            (1, Gen.Const(KmallocOperationKind.Maintain))),
        Gen.Int[0, 1 << 20],
        Gen.Int[9, 10],
        Gen.Int[0, 1 << 20],
        (kind, a, b, c) => new KmallocOperation(kind, kind == KmallocOperationKind.Alloc ? a % 64 : a, b, c));

    public static TheoryData<KmemSizeClasses, KmemFrontEnd> Heaps()
    {
        TheoryData<KmemSizeClasses, KmemFrontEnd> heaps = [];
        foreach (KmemFrontEnd frontEnd in FrontEnds.All)
        {
            heaps.Add(KmemSizeClasses.Default, frontEnd);
            heaps.Add(KmemSizeClasses.Kernel, frontEnd);
        }

        return heaps;
    }

    [Theory]
    [MemberData(nameof(Heaps))]
    public void A_heap_does_what_a_dictionary_says(KmemSizeClasses classes, KmemFrontEnd frontEnd) =>
        s_operation.Array[1, 200].Sample(operations => Run(operations, classes, frontEnd), iter: 60, threads: 2, print: Print);

    [Theory]
    [MemberData(nameof(Heaps))]
    public void Many_small_blocks_do_what_a_dictionary_says(KmemSizeClasses classes, KmemFrontEnd frontEnd) =>
        s_smallOperation.Array[500, 2000].Sample(operations => Run(operations, classes, frontEnd), iter: 10, threads: 2, print: Print);

    /// <summary>The proof that the model can fail: each mistake of a heap is seen, by an assertion or by the heap itself.</summary>
    [Theory]
    [InlineData(Lie.HandsOutTwice)]
    [InlineData(Lie.DoesNotClear)]
    [InlineData(Lie.IgnoresAlignment)]
    [InlineData(Lie.LosesBytesOnRealloc)]
    [InlineData(Lie.WritesPastTheEnd)]
    [InlineData(Lie.DoesNotFree)]
    [InlineData(Lie.IgnoresWrongSizes)]
    public void A_heap_that_lies_is_caught(Lie lie)
    {
        CsCheckException caught = Assert.Throws<CsCheckException>(() => s_operation.Array[1, 200].Sample(
            operations => Run(operations, KmemSizeClasses.Default, KmemFrontEnd.TryLock, lie),
            iter: 20,
            threads: 1,
            print: Print));
        Assert.Contains("KmallocOperationKind.", caught.Message, StringComparison.Ordinal);
    }

    private static void Run(KmallocOperation[] operations, KmemSizeClasses classes, KmemFrontEnd frontEnd, Lie? lie = null)
    {
        // Ranges of 16 MiB, so that some runs of the test need a second one.
        using KmemHeap heap = new(new KmemHeapOptions
        {
            Name = "model",
            FrontEnd = frontEnd,
            SizeClasses = classes,
            ReserveBytes = 16 << 20,
            PurgeDelayMilliseconds = 0,
            MaintenanceIntervalMilliseconds = 0,
        });
        KmallocModel model = new(heap, lie == null ? new SizedMemory(heap) : new LyingMemory(heap, lie.Value), classes);
        foreach (KmallocOperation operation in operations)
        {
            model.Apply(operation);
        }

        model.Finish();
    }

    private static string Print(KmallocOperation[] operations) =>
        "[" + string.Join(", ", operations.Select(o => $"new(KmallocOperationKind.{o.Kind}, {o.A}, {o.B}, {o.C})")) + "]";
}
