using System.Collections.Generic;
using System.Linq;
using Kmem.Tool.Bench.Report;
using Spectre.Console;

namespace Kmem.Tool.Views;

/// <summary>A row for each case: the time of the first allocator, and its ratio to the best of each family.</summary>
internal static class BenchSummaryTable
{
    // What names of allocators may be cut to where the table would be too wide; without any at last.
    private static readonly int[] s_nameLengths = [20, 14, 11, 9, 7, 0];

    private static readonly (AllocatorFamily Family, string Header)[] s_families =
    [
        (AllocatorFamily.NativeMemory, "NativeMemory"),
        (AllocatorFamily.Managed, "managed"),
        (AllocatorFamily.ManagedPeer, "C# port"),
        (AllocatorFamily.NativePeer, "P/Invoke"),
        (AllocatorFamily.NativePeerSuppressed, "no transition"),
        (AllocatorFamily.Kmem, "other Kmem"),
    ];

    public static void Write(IAnsiConsole console, BenchReport report)
    {
        if (report.Allocators.Count < 2 || report.Cases.Count == 0)
        {
            return;
        }

        string[][] columns = [];
        foreach (int nameLength in s_nameLengths)
        {
            columns = Columns(report, nameLength);
            if (Tables.Fits(console, columns))
            {
                break;
            }
        }

        // Workload and time are worth more than the last of the families.
        while (columns.Length > 2 && !Tables.Fits(console, columns))
        {
            columns = columns[..^1];
        }

        // Headers are names from outside: a bar in them must not be taken for the end of a width.
        Tables table = Tables.Create(console, [$"<{columns[0][0]}", $"0|{columns[1][0]}", .. columns.Skip(2).Select(static column => $"0|<{column[0]}")]);
        for (int row = 1; row < columns[0].Length; row++)
        {
            table.Add([.. columns.Select(column => column[row])]);
        }

        table.Write(console, $"summary: time of {report.Allocators[0].Name}, and its ratio to the best of each family");
    }

    /// <summary>Columns with their headers on top.</summary>
    private static string[][] Columns(BenchReport report, int nameLength)
    {
        List<string[]> columns =
        [
            ["workload", .. report.Cases.Select(static each => each.Label())],
            [report.Allocators[0].Name, .. report.Cases.Select(static each => each.Outcomes[0].Time() is { } time ? Units.Duration(time) : "-")],
        ];
        foreach ((AllocatorFamily family, string header) in s_families)
        {
            string[] members = [.. report.Allocators.Skip(1).Where(allocator => allocator.Family == family).Select(static allocator => allocator.Name)];
            if (members.Length > 0)
            {
                // Where a family has one member, nobody asks which was the best; how a library is called the header must say.
                bool isAlone = members.Length == 1 && family is not (AllocatorFamily.NativePeer or AllocatorFamily.NativePeerSuppressed);
                string title = isAlone && family != AllocatorFamily.NativeMemory ? members[0] : header;
                columns.Add([title, .. report.Cases.Select(each => Cell(report, each, family, isAlone ? 0 : nameLength))]);
            }
        }

        return [.. columns];
    }

    private static string Cell(BenchReport report, BenchCase each, AllocatorFamily family, int nameLength)
    {
        // The first is no rival of itself.
        BenchCase others = each with { Outcomes = [.. each.Outcomes.Skip(1)] };
        return report.BestOf(others, family) is not { TimeRatio: { } ratio } best ? "-"
            : nameLength == 0 ? Units.Digits(ratio)
            : $"{Units.Digits(ratio)} {Tables.Shorten(ReportReading.ShortName(best.Allocator, family), nameLength)}";
    }
}
