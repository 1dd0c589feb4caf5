using System.Linq;
using CsCheck;
using Xunit;

namespace Kmem.Tests.Model.Slabs;

public sealed class SlabModelTests
{
    private static readonly Gen<SlabSettings> s_settings = Gen.Select(
        Gen.Frequency((1, Gen.Int[1, 8]), (3, Gen.Int[9, 512]), (2, Gen.Int[513, 5000]), (1, Gen.Int[5001, 40_000])),
        Gen.Frequency((3, Gen.Const(0)), (1, Gen.Int[1, 12])),
        Gen.Bool,
        Gen.Bool,
        (size, alignment, line, kernel) => new SlabSettings(size, alignment, line, kernel));

    private static readonly Gen<SlabOperation> s_operation = Gen.Select(
        Gen.Frequency(
            (8, Gen.Const(SlabOperationKind.Take)),
            (5, Gen.Const(SlabOperationKind.Return)),
            (4, Gen.Const(SlabOperationKind.ReturnMostOfOneSlab)),
            (2, Gen.Const(SlabOperationKind.ReturnTwice)),
            (2, Gen.Const(SlabOperationKind.ReturnMixed)),
            (2, Gen.Const(SlabOperationKind.Release))),
        Gen.Int[0, 1 << 20],
        Gen.Int[0, 1 << 20],
        (kind, a, b) => new SlabOperation(kind, a, b));

    [Fact]
    public void Slabs_do_what_a_set_of_addresses_says() =>
        Gen.Select(s_settings, s_operation.Array[1, 60]).Sample(
            (settings, operations) =>
            {
                using SlabModel model = new(settings);
                foreach (SlabOperation operation in operations)
                {
                    model.Apply(operation);
                }

                model.Finish();
            },
            iter: 500,
            threads: 2,
            print: run => $"{run.Item1}, [" + string.Join(", ", run.Item2.Select(o => $"new(SlabOperationKind.{o.Kind}, {o.A}, {o.B})")) + "]");
}
