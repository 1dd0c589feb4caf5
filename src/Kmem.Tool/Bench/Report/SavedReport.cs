using System;
using System.IO;
using System.Linq;
using System.Text.Json;
using Kmem.Tool.Hosting;

namespace Kmem.Tool.Bench.Report;

/// <summary>Reads what <c>--json</c> wrote, so that tables and page can be made again without measuring.</summary>
internal static class SavedReport
{
    public static BenchReport Load(string path)
    {
        try
        {
            BenchReport? report = JsonSerializer.Deserialize(File.ReadAllBytes(path), ToolJsonContext.Default.BenchReport);
            return report != null && IsWhole(report)
                ? report
                : throw new ToolException($"{path}: is not a report of this kmem; 'kmem bench --json' makes one");
        }
        catch (JsonException exception)
        {
            throw new ToolException($"{path}: is not a report of 'kmem bench --json', or a damaged one: {exception.Message.Split(". ")[0].ReplaceLineEndings(" ")}", exception);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new ToolException($"{path}: no such file", exception);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new ToolException($"{path}: cannot be read: {exception.Message}", exception);
        }
    }

    /// <summary>Tables and plots rely on an outcome for each allocator, in their order.</summary>
    private static bool IsWhole(BenchReport report) =>
        report.FormatVersion == BenchReport.CurrentFormatVersion
        && report.Allocators.Count > 0
        && report.Cases.All(each => each.Outcomes.Select(static outcome => outcome.Allocator).SequenceEqual(report.Allocators.Select(static allocator => allocator.Name)));
}
