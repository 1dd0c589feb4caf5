using System;
using System.Text;
using System.Threading;

namespace Kmem.Diagnostics;

/// <summary>Mistakes that were found in this process, by kind.</summary>
internal static class ReportCounts
{
    private static readonly long[] s_counts = new long[Enum.GetValues<KmemMisuse>().Length];

    public static void Add(KmemMisuse misuse) => Interlocked.Increment(ref s_counts[(int)misuse]);

    public static long Of(KmemMisuse misuse) => Interlocked.Read(ref s_counts[(int)misuse]);

    /// <summary><c>AlreadyFree</c> is <c>already_free</c>.</summary>
    public static string NameOf(KmemMisuse misuse)
    {
        StringBuilder text = new();
        foreach (char character in misuse.ToString())
        {
            if (char.IsUpper(character) && text.Length != 0)
            {
                text.Append('_');
            }

            text.Append(char.ToLowerInvariant(character));
        }

        return text.ToString();
    }
}
