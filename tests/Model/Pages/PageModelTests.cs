using CsCheck;
using Xunit;

namespace Kmem.Tests.Model.Pages;

public sealed class PageModelTests
{
    private static readonly Gen<PageOperation> s_operation = Gen.Select(
        Gen.Frequency(
            (6, Gen.Const(PageOperationKind.AllocateBlock)),
            (6, Gen.Const(PageOperationKind.FreeOne)),
            (3, Gen.Const(PageOperationKind.AllocateRun)),
            (2, Gen.Const(PageOperationKind.ResizeRun)),
            (1, Gen.Const(PageOperationKind.Purge)),
            (1, Gen.Const(PageOperationKind.Drain)),
            (1, Gen.Const(PageOperationKind.FreeHalf))),
        Gen.Int[0, 1 << 20],
        Gen.Int[0, 1 << 20],
        Gen.Int[0, 1 << 20],
        (kind, a, b, c) => new PageOperation(kind, a, b, c));

    /// <summary>Small blocks only, so that the CPUs' lists and the pageblocks' mobilities are under pressure.</summary>
    private static readonly Gen<PageOperation> s_smallOperation = Gen.Select(
        Gen.Frequency(
            (12, Gen.Const(PageOperationKind.AllocateBlock)),
            (8, Gen.Const(PageOperationKind.FreeOne)),
            (1, Gen.Const(PageOperationKind.FreeHalf))),
        Gen.Int[0, 3],
        Gen.Int[0, 2],
        Gen.Int[0, 1 << 20],
        (kind, a, b, c) => new PageOperation(kind, kind == PageOperationKind.AllocateBlock ? a : c, b, c));

    [Fact]
    public void A_zone_does_what_a_bitmap_says() =>
        s_operation.Array[1, 80].Sample(operations => Run(4096, operations), iter: 400, threads: 2, print: Print);

    /// <summary>4 MiB, so that memory is often out and blocks of one mobility come from pageblocks of another.</summary>
    [Fact]
    public void Small_blocks_do_what_a_bitmap_says() =>
        s_smallOperation.Array[200, 800].Sample(operations => Run(1024, operations), iter: 60, threads: 2, print: Print);

    private static void Run(int capacityPages, PageOperation[] operations)
    {
        using PageModel model = new(capacityPages);
        foreach (PageOperation operation in operations)
        {
            model.Apply(operation);
        }

        model.Finish();
    }

    private static string Print(PageOperation[] operations) =>
        "[" + string.Join(", ", System.Linq.Enumerable.Select(operations, o => $"new(PageOperationKind.{o.Kind}, {o.A}, {o.B}, {o.C})")) + "]";
}
