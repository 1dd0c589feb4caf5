using System.Globalization;
using System.Linq;
using Kmem.Tool.Bench.Report;
using Kmem.Tool.Bench.Workloads;
using Spectre.Console;

namespace Kmem.Tool.Views;

/// <summary>What <c>kmem bench</c> prints: where it was measured and how, a summary, and a table for each case.</summary>
internal static class BenchView
{
    public static void WriteWorkloads(IAnsiConsole console)
    {
        Tables table = Tables.CreateFacts(console);
        foreach (Workload workload in WorkloadCatalog.All)
        {
            table.Add(workload.Name, workload.Summary);
        }

        table.Write(console);
    }

    public static void Write(IAnsiConsole console, BenchReport report)
    {
        WriteHeading(console, report);
        BenchSummaryTable.Write(console, report);
        foreach (BenchCase each in report.Cases)
        {
            BenchCaseTable.Write(console, each, hasRange: report.Runs > 1);
        }

        WriteFailures(console, report);
    }

    private static void WriteHeading(IAnsiConsole console, BenchReport report)
    {
        BenchMachine machine = report.Machine;
        string memory = Units.Bytes((ulong)machine.MemoryBytes);
        console.Write(new Text("kmem bench", new Style(decoration: Decoration.Bold)));
        console.WriteLine($", {machine.Date}");
        Tables facts = Tables.CreateFacts(console);
        facts.Add("machine", $"{machine.Processor}, {Units.Of(machine.Cpus, "CPU")}, {memory}");
        facts.Add("system", $"{machine.Kernel}, {machine.CLibrary}, {machine.Runtime}");
        facts.Add("kmem", machine.Kmem);
        facts.Add("method", Method(report));
        facts.Write(console);
    }

    /// <summary>How it was measured, in two sentences.</summary>
    public static string Method(BenchReport report)
    {
        string processes = report.Runs == 1
            ? "one fresh process; a figure is the median of its rounds"
            : $"{report.Runs.ToString(CultureInfo.InvariantCulture)} fresh processes that took turns with the others'; a figure is the median over them, lowest and highest stand beside it";
        return $"Each workload ran with each allocator in {processes}. "
            + $"A ratio is the time of {report.Allocators[0].Name} over another's: below 1 says that {report.Allocators[0].Name} is faster.";
    }

    private static void WriteFailures(IAnsiConsole console, BenchReport report)
    {
        if (!report.Cases.Any(static each => each.Outcomes.Any(static outcome => outcome.Failure != null)))
        {
            return;
        }

        Tables table = Tables.CreateFacts(console);
        foreach (BenchCase each in report.Cases)
        {
            foreach (BenchOutcome outcome in each.Outcomes.Where(static outcome => outcome.Failure != null))
            {
                table.Add($"{each.Label()}: {outcome.Allocator}", outcome.Failure!);
            }
        }

        table.Write(console, "failures");
    }
}
