using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text;

namespace Kmem.Tests.Hosting;

/// <summary>Texts of JSON with all that it allows: blanks, escapes, characters of one to four bytes, numbers of all forms. Names of an object are different.</summary>
internal static class RandomJson
{
    public static string Next(Random random, int depth) => Blank(random) + random.Next(depth > 0 ? 9 : 6) switch
    {
        0 => "true",
        1 => "false",
        2 => "null",
        3 => Number(random),
        4 or 5 => Quoted(random, ""),
        6 or 7 => $"[{string.Join(',', Many(random).Select(_ => Next(random, depth - 1)))}{Blank(random)}]",
        _ => $"{{{string.Join(',', Many(random).Select(index => $"{Blank(random)}{Quoted(random, $"{index}")}{Blank(random)}:{Next(random, depth - 1)}"))}{Blank(random)}}}",
    } + Blank(random);

    private static IEnumerable<int> Many(Random random) => Enumerable.Range(0, random.Next(5));

    private static string Blank(Random random) => string.Concat(Enumerable.Range(0, random.Next(3)).Select(_ => " \t\r\n"[random.Next(4)]));

    private static string Number(Random random)
    {
        string whole = random.Next(3) == 0 ? "0" : string.Create(CultureInfo.InvariantCulture, $"{random.NextInt64(1, long.MaxValue) >> random.Next(62)}");
        string fraction = random.Next(2) == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $".{random.Next(100000):000000}");
        string exponent = random.Next(3) != 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"{"eE"[random.Next(2)]}{(random.Next(3) switch { 0 => "", 1 => "+", _ => "-" })}{random.Next(300):00}");
        return (random.Next(2) == 0 ? "-" : "") + whole + fraction + exponent;
    }

    private static string Quoted(Random random, string start)
    {
        StringBuilder text = new("\"" + start);
        for (int length = random.Next(12); length > 0; length--)
        {
            switch (random.Next(6))
            {
                case 0:
                    _ = text.Append('\\').Append("\"\\/bfnrt"[random.Next(8)]);
                    break;
                case 1:
                    foreach (char unit in AnyRune(random).ToString())
                    {
                        _ = text.Append(CultureInfo.InvariantCulture, $"\\u{(random.Next(2) == 0 ? $"{(int)unit:x4}" : $"{(int)unit:X4}")}");
                    }

                    break;
                case 2:
                    Rune rune = AnyRune(random);
                    _ = text.Append(rune.Value < 0x20 || rune.Value is '"' or '\\' ? " " : rune.ToString());
                    break;
                default:
                    _ = text.Append((char)random.Next('a', 'z' + 1));
                    break;
            }
        }

        return text.Append('"').ToString();
    }

    private static Rune AnyRune(Random random) => random.Next(4) switch
    {
        0 => new Rune(random.Next(0x80)),
        1 => new Rune(random.Next(0x80, 0x800)),
        2 => new Rune(random.Next(0x800, 0xD800)),
        _ => new Rune(random.Next(0x10000, 0x110000)),
    };
}
