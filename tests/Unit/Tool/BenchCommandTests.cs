using System;
using System.IO;
using System.Linq;
using System.Text.Json;
using Kmem.Tool.Bench.Report;
using Kmem.Tool.Bench.Workloads;
using Kmem.Tool.Hosting;
using Xunit;

namespace Kmem.Tests.Unit.Tool;

public sealed class BenchCommandTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_list_names_every_workload_with_what_it_does()
    {
        ToolRun run = ToolRun.Of("bench", "--list");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.All(WorkloadCatalog.All, workload => Assert.Contains(run.Output.Split('\n'), line => line.StartsWith(workload.Name + " ", StringComparison.Ordinal)));
        Assert.Contains("frees them at once.", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Help_tells_the_method_and_does_not_tell_of_the_hidden_command()
    {
        ToolRun run = ToolRun.Of("bench", "--help");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Contains("Method:", run.Output, StringComparison.Ordinal);
        Assert.Contains("--managed-peer <NAME=PATH.dll:TYPE>", run.Output, StringComparison.Ordinal);
        Assert.All(run.Output.Split('\n'), static line => Assert.True(line.Length <= ToolConsole.RedirectedWidth, line));
        Assert.DoesNotContain("bench-measure", ToolRun.Of("--help").Output, StringComparison.Ordinal);
    }

    [Fact]
    public void What_nobody_knows_is_refused_before_anything_is_measured()
    {
        Refused("no workload is named 'nothing'; 'kmem bench --list' shows all", "nothing");
        Refused("no workload is named 'x*'; 'kmem bench --list' shows all", "pair-64", "x*");
        Refused("no allocator is named 'nobody'; there are kmem, kmem-lock, native, arraypool, gc", "--allocator", "nobody");
        Refused("--peer: " + _folder["none.so"] + ": no such file", "--peer", "x=" + _folder["none.so"]);
        Refused("--peer nothing: must be NAME=PATH.so", "--peer", "nothing");
        Refused("--managed-peer x=file.dll: must be NAME=PATH.dll:TYPE", "--managed-peer", "x=file.dll");
        Refused("--managed-peer x=file.dll:: must be NAME=PATH.dll:TYPE", "--managed-peer", "x=file.dll:");
        Refused("--managed-peer: " + _folder["none.dll"] + ": no such file", "--managed-peer", $"x={_folder["none.dll"]}:T");
        Refused("two allocators are named 'kmem'", "--peer", "kmem=" + _folder.Write("empty.so", ""));
        Refused("two allocators are named 'a'", "--peer", "a=" + _folder["empty.so"], "--managed-peer", $"a={_folder["empty.so"]}:T");
    }

    private static void Refused(string message, params string[] arguments)
    {
        ToolRun run = ToolRun.Of(["bench", .. arguments]);
        Assert.Equal((1, "", $"kmem: {message}\n"), (run.ExitCode, run.Output, run.Error));
    }

    [Theory]
    [InlineData("'0' is not a number of threads; write 1 to 256, with commas between.", "--threads", "0")]
    [InlineData("'' is not a number of threads; write 1 to 256, with commas between.", "--threads", "1,,2")]
    [InlineData("'many' is not a number of threads; write 1 to 256, with commas between.", "--threads", "many")]
    [InlineData("'257' is not a number of threads; write 1 to 256, with commas between.", "--threads", "1,257")]
    [InlineData("--runs is 0; it must be from 1 to 100.", "--runs", "0")]
    [InlineData("--seconds is 0; it must be above 0 and at most 100.", "--seconds", "0")]
    [InlineData("--seconds is NaN; it must be above 0 and at most 100.", "--seconds", "NaN")]
    [InlineData("--seconds is 1000; it must be above 0 and at most 100.", "--seconds", "1000")]
    public void Numbers_out_of_range_are_wrong_usage(string message, params string[] arguments)
    {
        ToolRun run = ToolRun.Of(["bench", "pair-64", .. arguments]);
        Assert.Equal((1, ""), (run.ExitCode, run.Output));
        Assert.Equal($"{message}\n'kmem bench --help' shows how it is used.\n", run.Error.Replace("\n\n", "\n", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("--json")]
    [InlineData("--html")]
    public void A_file_that_cannot_be_written_is_told_before_anything_is_measured(string option)
    {
        string path = _folder["none/out"];
        Refused($"{path}: cannot be written: the folder does not exist", "pair-64", option, path);
        Refused($"{_folder.Path}: cannot be written: is a directory", "pair-64", option, _folder.Path);

        // A command that fails for another reason leaves files as they were.
        string old = _folder.Write("old", "old");
        Refused("no workload is named 'nothing'; 'kmem bench --list' shows all", "nothing", option, old);
        Refused("no workload is named 'nothing'; 'kmem bench --list' shows all", "nothing", option, _folder["new"]);
        Assert.Equal("old", File.ReadAllText(old));
        Assert.False(File.Exists(_folder["new"]));
    }

    [Fact]
    public void A_short_run_gives_tables_a_page_and_a_report_that_can_be_shown_again()
    {
        string json = _folder["bench.json"];
        string html = _folder["bench.html"];
        ToolRun run = ToolRun.Of("bench", "pair-64", "--runs", "1", "--seconds", "0.02", "--allocator", "kmem", "native", "--json", json, "--html", html);
        Assert.True(run.ExitCode == 0, run.Error);
        Assert.Matches("^kmem: 1/1 pair-64: done in [0-9.]+ m?s\n$", run.Error);
        Assert.Contains("\nsummary: time of kmem, and its ratio to the best of each family\n", run.Output, StringComparison.Ordinal);
        Assert.Contains("the same for all 2 allocators", run.Output, StringComparison.Ordinal);

        BenchReport report = SavedReport.Load(json);
        Assert.Equal(["kmem", "native"], report.Allocators.Select(static each => each.Name));
        BenchCase only = Assert.Single(report.Cases);
        Assert.Equal(("pair-64", 1), (only.Workload, only.Threads));
        Assert.Single(only.Hashes());
        Assert.All(only.Outcomes, static outcome =>
        {
            Assert.Null(outcome.Failure);
            Assert.True(outcome.NanosecondsPerOperation!.Value.Median > 0);
            Assert.True(outcome.Runs[0].Operations > 0);
            Assert.NotNull(outcome.P99Nanoseconds);
        });
        PageCheck.Check(File.ReadAllText(html));

        ToolRun again = ToolRun.Of("bench", "--load", json, "--html", _folder["again.html"]);
        Assert.Equal((0, ""), (again.ExitCode, again.Error));
        Assert.Equal(run.Output, again.Output);
        Assert.Equal(File.ReadAllText(html), File.ReadAllText(_folder["again.html"]));
    }

    [Fact]
    public void JSON_on_standard_output_stands_there_alone()
    {
        ToolRun run = ToolRun.Of("bench", "batch-10", "--runs", "1", "--seconds", "0.01", "--allocator", "kmem", "--threads", "1,2", "--json", "-");
        Assert.True(run.ExitCode == 0, run.Error);
        using JsonDocument json = JsonDocument.Parse(run.Output);
        Assert.Equal([1, 2], json.RootElement.GetProperty("cases").EnumerateArray().Select(static each => each.GetProperty("threads").GetInt32()));
        Assert.Matches("^kmem: 1/2 batch-10: done in .* left\nkmem: 2/2 batch-10 · 2 threads: done in [0-9.]+ m?s\n$", run.Error);
    }

    [Fact]
    public void Files_that_are_no_reports_are_refused()
    {
        Refused($"{_folder["none"]}: no such file", "--load", _folder["none"]);
        Refused($"{_folder.Write("null", "null")}: is not a report of this kmem; 'kmem bench --json' makes one", "--load", _folder["null"]);
        string empty = _folder.Write("empty", "{}");
        ToolRun run = ToolRun.Of("bench", "--load", empty);
        Assert.Equal((1, ""), (run.ExitCode, run.Output));
        Assert.StartsWith($"kmem: {empty}: is not a report of 'kmem bench --json', or a damaged one: ", run.Error, StringComparison.Ordinal);
        Assert.Single(run.Error.TrimEnd().Split('\n'));
    }
}
