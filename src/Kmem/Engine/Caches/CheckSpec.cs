using Kmem.Engine.Slabs;

namespace Kmem.Engine.Caches;

/// <summary>
/// What is to be checked in which caches, as text: the form of the kernel's <c>slab_debug</c>.
/// <code>
///   FZPU                         these letters in all caches
///   FZ,kmalloc-*,dentry          in caches with such names; * stands for any characters
///   U;FZPU,kmalloc-*;-,inode     blocks: the first whose names match, else the one without names; - is nothing
///   ,dentry                      no letter: F, Z, P and U
/// </code>
/// Blanks around letters and names mean nothing.
/// </summary>
internal static unsafe class CheckSpec
{
    public const CacheChecks All = CacheChecks.Consistency | CacheChecks.RedZones | CacheChecks.Poison | CacheChecks.Users;

    /// <summary>The letters for a cache; none for an empty text. Both texts are UTF-8 that ends with 0; the spec has been found good.</summary>
    public static CacheChecks For(byte* spec, byte* name)
    {
        CacheChecks forOthers = CacheChecks.None;
        while (spec != null && *spec != 0)
        {
            if (*spec == ';' || IsBlank(*spec))
            {
                // A block of nothing, or none yet.
                spec++;
                continue;
            }

            CacheChecks letters = ReadLetters(&spec, out _);
            if (*spec != ',')
            {
                forOthers = letters;
            }
            else
            {
                while (*spec == ',')
                {
                    spec++;
                    if (Matches(&spec, name))
                    {
                        return letters;
                    }
                }
            }

            spec += *spec == ';' ? 1 : 0;
        }

        return forOthers;
    }

    /// <summary>A character that is no letter of a check where one should be, a blank within a name, or 0.</summary>
    public static byte FindBad(byte* spec)
    {
        while (spec != null && *spec != 0)
        {
            _ = ReadLetters(&spec, out byte bad);
            if (bad != 0)
            {
                return bad;
            }

            while (*spec == ',')
            {
                spec++;
                if (HasBlankWithin(&spec))
                {
                    return (byte)' ';
                }
            }

            spec += *spec == ';' ? 1 : 0;
        }

        return 0;
    }

    private static CacheChecks ReadLetters(byte** spec, out byte bad)
    {
        bad = 0;
        CacheChecks letters = CacheChecks.None;
        bool isEmpty = true;
        for (; **spec != 0 && **spec != ',' && **spec != ';'; (*spec)++)
        {
            if (IsBlank(**spec))
            {
                continue;
            }

            CacheChecks letter = LetterOf(**spec);
            if (letter == CacheChecks.None && **spec != '-')
            {
                bad = **spec;
            }

            letters |= letter;
            isEmpty = false;
        }

        return isEmpty ? All : letters;
    }

    private static CacheChecks LetterOf(byte letter) => (char)(letter | 0x20) switch
    {
        'f' => CacheChecks.Consistency,
        'z' => CacheChecks.RedZones,
        'p' => CacheChecks.Poison,
        'u' => CacheChecks.Users,
        't' => CacheChecks.Trace,
        'a' => CacheChecks.Faults,
        'g' => CacheChecks.Guard,
        _ => CacheChecks.None,
    };

    /// <summary>Whether a pattern, which ends with a comma, a semicolon or the text, matches the name. Leaves the position behind the pattern.</summary>
    private static bool Matches(byte** pattern, byte* name)
    {
        byte* at = AfterBlanks(*pattern);
        byte* star = null;
        byte* tried = null;
        bool matches = true;
        while (matches && *name != 0)
        {
            if (*at == '*')
            {
                star = ++at;
                tried = name;
            }
            else if (!IsEnd(*at) && *at == *name)
            {
                at++;
                name++;
            }
            else if (star != null)
            {
                // The star takes one character more.
                at = star;
                name = ++tried;
            }
            else
            {
                matches = false;
            }
        }

        while (matches && *at == '*')
        {
            at++;
        }

        matches = matches && IsEnd(*AfterBlanks(at));
        *pattern = EndOf(*pattern);
        return matches;
    }

    /// <summary>No name has blanks. Leaves the position behind the pattern.</summary>
    private static bool HasBlankWithin(byte** pattern)
    {
        byte* at = AfterBlanks(*pattern);
        while (!IsEnd(*at) && !IsBlank(*at))
        {
            at++;
        }

        *pattern = EndOf(at);
        return AfterBlanks(at) != *pattern;
    }

    private static byte* EndOf(byte* pattern)
    {
        while (!IsEnd(*pattern))
        {
            pattern++;
        }

        return pattern;
    }

    private static byte* AfterBlanks(byte* at)
    {
        while (IsBlank(*at))
        {
            at++;
        }

        return at;
    }

    private static bool IsBlank(byte c) => c is (byte)' ' or (byte)'\t';

    private static bool IsEnd(byte c) => c is 0 or (byte)',' or (byte)';';
}
