using Kmem.Engine.Slabs;
using Xunit;

namespace Kmem.Tests.Unit.Checks;

/// <summary>The sets of letters that layouts and sabotage are tried with.</summary>
public sealed class LetterSets : TheoryData<string>
{
    public static readonly string[] All = ["F", "Z", "P", "U", "ZP", "ZU", "FZPU"];

    public LetterSets() => AddRange(All);

    internal static CacheChecks Parse(string letters)
    {
        CacheChecks checks = CacheChecks.None;
        foreach (char letter in letters)
        {
            checks |= letter switch
            {
                'F' => CacheChecks.Consistency,
                'Z' => CacheChecks.RedZones,
                'P' => CacheChecks.Poison,
                _ => CacheChecks.Users,
            };
        }

        return checks;
    }
}
