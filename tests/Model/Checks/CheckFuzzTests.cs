using System;
using System.Collections.Generic;
using System.Threading;
using Xunit;

namespace Kmem.Tests.Model.Checks;

/// <summary>
/// Random programs with all checks on: without a mistake no report, with one the one report that it must be. <c>KMEM_LONG=1</c> runs a million operations, and a thousand
/// programs with a mistake; <c>KMEM_FUZZ_SEED</c> one program.
/// </summary>
public sealed class CheckFuzzTests
{
    private static readonly bool s_isLong = Environment.GetEnvironmentVariable("KMEM_LONG") is not (null or "" or "0");

    [Theory]
    [InlineData("FZPU", false)]
    [InlineData("FZPU", true)]
    [InlineData("FZPUG", false)]
    [InlineData("U", true)]
    public void A_program_without_mistakes_is_not_reported(string letters, bool switches)
    {
        int seed = Seed();
        using CheckProgram program = new(seed, letters, switches: switches, name: $"valid-{letters}-{switches}");
        program.Run(s_isLong ? 1_000_000 : 20_000);
        program.Finish();
        Assert.True(program.Reports.Count == 0, $"seed {seed}: {string.Join("\n", program.Reports)}");
    }

    [Theory]
    [InlineData(KmemMisusePolicy.Throw)]
    [InlineData(KmemMisusePolicy.Quarantine)]
    [InlineData(KmemMisusePolicy.Repair)]
    public void A_mistake_is_the_one_report_that_it_must_be(KmemMisusePolicy policy)
    {
        List<string> failures = [];
        int count = OneSeed == null ? s_isLong ? 1000 : 30 : 1;
        for (int index = 0; index < count; index++)
        {
            int seed = OneSeed ?? ((int)policy * 1_000_000) + index;
            try
            {
                RunOne(seed, policy);
            }
            catch (Exception exception)
            {
                failures.Add($"KMEM_FUZZ_SEED={seed}, {policy}: {exception.Message}");
            }
        }

        Assert.True(failures.Count == 0, $"{count - failures.Count} of {count} seeds are right.\n{string.Join("\n\n", failures)}");
    }

    private static void RunOne(int seed, KmemMisusePolicy policy)
    {
        Random lengths = new(seed);
        using CheckProgram program = new(seed, "FZPU", policy);
        program.Run(lengths.Next(20, 1500));
        program.Err();
        try
        {
            program.Run(lengths.Next(1500));
            program.Finish();
        }
        catch (Exception exception)
        {
            throw new InvalidOperationException($"{program.Story}: {exception.Message} {string.Join("\n", program.Reports)}", exception);
        }

        program.AssertTold();
    }

    private static int Seed()
    {
        int seed = OneSeed ?? Environment.TickCount;
        TestContext.Current.TestOutputHelper?.WriteLine($"KMEM_FUZZ_SEED={seed}");
        return seed;
    }

    private static int? OneSeed => int.TryParse(Environment.GetEnvironmentVariable("KMEM_FUZZ_SEED"), out int seed) ? seed : null;
}
