using System.Linq;
using CsCheck;
using Xunit;

namespace Kmem.Tests.Model.Caches;

public sealed class CacheModelTests
{
    private static readonly Gen<CacheSettings> s_settings = Gen.Select(
        Gen.Frequency((1, Gen.Int[1, 8]), (4, Gen.Int[9, 600]), (1, Gen.Int[601, 6000])),
        Gen.Frequency((3, Gen.Const(0)), (1, Gen.Int[1, 12])),
        Gen.Select(Gen.Int[0, 7], Gen.Frequency((4, Gen.Const(0)), (1, Gen.Const(8))), (some, none) => (KmemCacheFlags)(some | none)),
        Gen.Frequency((1, Gen.Const(0)), (1, Gen.OneOf(Gen.Int[1, 14], Gen.Int[15, 300], Gen.Const(1000)))),
        Gen.Bool,
        Gen.Bool,
        (size, alignment, flags, capacity, constructs, kernel) =>
            new CacheSettings(size, alignment, flags, capacity, constructs, kernel ? KmemSlabRule.Kernel : KmemSlabRule.Default, default));

    private static readonly Gen<CacheOperation> s_operation = Gen.Select(
        Gen.Frequency(
            (10, Gen.Const(CacheOperationKind.Alloc)),
            (8, Gen.Const(CacheOperationKind.Free)),
            (5, Gen.Const(CacheOperationKind.AllocBulk)),
            (5, Gen.Const(CacheOperationKind.FreeBulk)),
            (2, Gen.Const(CacheOperationKind.AllocRefused)),
            (2, Gen.Const(CacheOperationKind.AllocBulkRefused)),
            (1, Gen.Const(CacheOperationKind.FreeBulkOfOneWrong)),
            (1, Gen.Const(CacheOperationKind.DisposeTooEarly)),
            (1, Gen.Const(CacheOperationKind.Shrink)),
            (2, Gen.Const(CacheOperationKind.Maintain))),
        Gen.Int[0, 1 << 20],
        Gen.Int[0, 1 << 20],
        (kind, a, b) => new CacheOperation(kind, a, b));

    public static TheoryData<KmemFrontEnd> AvailableFrontEnds() => [.. FrontEnds.All];

    [Theory]
    [MemberData(nameof(AvailableFrontEnds))]
    public void A_cache_does_what_a_set_says(KmemFrontEnd frontEnd) =>
        Gen.Select(s_settings, s_operation.Array[1, 80]).Sample(
            (settings, operations) =>
            {
                using CacheModel model = new(settings with { FrontEnd = frontEnd });
                foreach (CacheOperation operation in operations)
                {
                    model.Apply(operation);
                }

                model.Finish();
            },
            iter: 200,
            threads: 2,
            print: run => $"{run.Item1}, [" + string.Join(", ", run.Item2.Select(o => $"new(CacheOperationKind.{o.Kind}, {o.A}, {o.B})")) + "]");
}
