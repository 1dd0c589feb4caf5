using Kmem.Engine.Slabs;

namespace Kmem.Diagnostics;

/// <summary>Checks as people write them.</summary>
internal static class CheckLetters
{
    private const string Letters = "FZPUTA";

    /// <summary>The letters in the kernel's order; <c>-</c> for none.</summary>
    public static string Of(CacheChecks checks)
    {
        if ((checks & CacheChecks.Guarded) != 0)
        {
            return "guarded";
        }

        string text = "";
        for (int bit = 0; bit < Letters.Length; bit++)
        {
            text += ((int)checks & (1 << bit)) != 0 ? Letters[bit] : "";
        }

        text += (checks & CacheChecks.Guard) != 0 ? "G" : "";
        return text.Length == 0 ? "-" : text;
    }
}
