using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using Kmem.Tests.Detectors;
using Xunit;

namespace Kmem.Tests.Unit.Checks;

/// <summary>
/// The table of docs/debugging/detectors.md is what really happens: each mistake is made under each setting, and the page must say what came of it. With
/// <c>KMEM_WRITE_DOCS=1</c> the test writes the page instead.
/// </summary>
public sealed class DetectorTableTests
{
    private const string Page = "docs/debugging/detectors.md";

    /// <summary>The columns: title, and what is in the environment.</summary>
    private static readonly (string Title, (string Name, string Value)[] Environment)[] s_columns =
    [
        ("nothing on", []),
        ("F", [("KMEM_DEBUG", "F")]),
        ("Z", [("KMEM_DEBUG", "Z")]),
        ("P", [("KMEM_DEBUG", "P")]),
        ("U", [("KMEM_DEBUG", "U")]),
        ("FZPU", [("KMEM_DEBUG", "FZPU")]),
    ];

    [Fact]
    public void The_page_says_what_happens()
    {
        string? root = DetectorProgram.FindRoot();
        Assert.SkipUnless(root != null, "There is no checkout around the tests.");
        string path = Path.Combine(root, Page);
        string made = Make();
        if (Environment.GetEnvironmentVariable("KMEM_WRITE_DOCS") == "1")
        {
            File.WriteAllText(path, made);
            return;
        }

        string written = File.ReadAllText(path);
        Assert.True(written == made, $"{Page} is not what happens. With KMEM_WRITE_DOCS=1 this test writes it.\n{Difference(written, made)}");
    }

    private static string Make()
    {
        StringBuilder page = new();
        page.Append(
            """
            # What finds which mistake

            Each row is a mistake, made by a small program in tests/Detectors on the shared heap; each column is what `KMEM_DEBUG` says. A test makes every mistake under every setting
            and writes down what found it: no cell is written by hand. A report names who allocated and who freed the object with the letter U only. F looks at what only the
            allocator itself writes, its descriptors and bits: none of these mistakes reaches them. What F finds here any letter finds, since checked objects pass no magazines.
            Where a cell names several, each finds it by itself. The last column is the letter G: what happens to each object there happens with `KMEM_GUARD` to those that
            are sampled ([guards.md](guards.md)).

            | cell | |
            |---|---|
            | at once | the instruction that reads or writes faults, and the process ends |
            | at the free | of the damaged object, or the free that is the mistake |
            | next allocation | of an object of the same size |
            | later allocations | some thousand of that size, with their frees |
            | flush | everything freed goes back to its slabs: `Trim`, or maintenance when nothing was freed for a while |
            | `Validate` | of the heap or the cache |
            | no | by none of these |


            """);
        page.Append("| mistake |");
        foreach ((string title, _) in s_columns)
        {
            page.Append(' ').Append(title).Append(" |");
        }

        page.Append(" guarded |");
        page.Append("\n|---|").Insert(page.Length, "---|", s_columns.Length + 1).Append('\n');
        Dictionary<(string Misuse, Finder Finder), string>[] columns = [.. s_columns.Select(static column => Run(column.Environment))];
        foreach (Misuse misuse in Misuses.All)
        {
            page.Append("| ").Append(misuse.Title).Append(" |");
            foreach (Dictionary<(string Misuse, Finder Finder), string> column in columns)
            {
                page.Append(' ').Append(Cell(misuse, column)).Append(" |");
            }

            page.Append(' ').Append(GuardedCell(misuse)).Append(" |\n");
        }

        return page.ToString();
    }

    /// <summary>One process makes all mistakes under one setting.</summary>
    private static Dictionary<(string Misuse, Finder Finder), string> Run((string Name, string Value)[] environment)
    {
        (int exitCode, string output) = DetectorProgram.Run("--table", environment);
        Assert.True(exitCode == 0, output);
        Dictionary<(string, Finder), string> results = [];
        foreach (string line in output.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] fields = line.TrimEnd('\r').Split('\t');
            Assert.True(fields.Length == 3, line);
            results.Add((fields[0], Enum.Parse<Finder>(fields[1])), fields[2]);
        }

        return results;
    }

    /// <summary>A process for each mistake, since a fault ends it.</summary>
    private static string GuardedCell(Misuse misuse)
    {
        (int exitCode, string output) = DetectorProgram.Run("--guarded", misuse.Name, ("KMEM_DEBUG", "G"));
        if (exitCode != 0)
        {
            Assert.Contains(", on guarded pages\n", output, StringComparison.Ordinal);
            return "at once";
        }

        return output.StartsWith("at once", StringComparison.Ordinal) ? misuse.AtOnce : "no";
    }

    private static string Cell(Misuse misuse, Dictionary<(string Misuse, Finder Finder), string> column)
    {
        if (column[(misuse.Name, Finder.Next)] == "at once")
        {
            return misuse.AtOnce;
        }

        List<string> finders = [];
        if (IsFoundBy(Finder.Next))
        {
            finders.Add("next allocation");
        }
        else if (IsFoundBy(Finder.Later))
        {
            finders.Add("later allocations");
        }

        if (IsFoundBy(Finder.Flush))
        {
            finders.Add("flush");
        }

        if (IsFoundBy(Finder.Validate))
        {
            finders.Add("`Validate`");
        }

        return finders.Count == 0 ? "no" : string.Join(", ", finders);

        bool IsFoundBy(Finder finder) => column[(misuse.Name, finder)] == "found";
    }

    private static string Difference(string written, string made)
    {
        string[] before = written.Split('\n');
        string[] after = made.Split('\n');
        return string.Join('\n', before.Except(after).Select(static line => "- " + line).Concat(after.Except(before).Select(static line => "+ " + line)));
    }
}
