using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;
using Kmem.Tool.Traces;
using Xunit;

namespace Kmem.Tests.Unit.Tool;

/// <summary>
/// The recorder itself, in a C program that says what it does: every event is compared. Where the library was not built, these are skipped.
/// </summary>
public sealed class RecordTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static (List<string> Events, TraceSummary Summary) AssertAllIsThere(ToolRun run, string trace)
    {
        (List<string> events, TraceSummary summary) = ProgramEvents.Read(trace);
        List<string> said = Markers.Said(run.Output);
        List<string> recorded = Markers.Between(events);
        Assert.Equal(said.Count, recorded.Count);
        foreach ((string expected, string actual) in said.Zip(recorded))
        {
            Assert.True(expected.Length > 100_000, "There is something to compare.");
            Assert.Equal(expected, actual);
        }

        return (events, summary);
    }

    [Theory]
    [InlineData("exit", 0)]
    [InlineData("_exit", 5)]
    [InlineData("abort", 134)]
    [InlineData("kill", 137)]
    public void Every_event_is_in_the_file_however_the_program_ends(string end, int exitCode)
    {
        ToolRun run = RecordingSupport.Record(_folder["t"], end);
        Assert.Equal((exitCode, ""), (run.ExitCode, run.Error));
        (_, TraceSummary summary) = AssertAllIsThere(run, _folder["t"]);
        Assert.Empty(summary.Program!.Notes);
        Assert.Equal((1, end == "exit", 0), (summary.Program.Threads, summary.Program.Ended != null, summary.LostEvents));
        Assert.Equal($"{RecordingSupport.Program} {end}", summary.Program.CommandLine);
        Assert.InRange(summary.Program.Started, DateTimeOffset.UtcNow.AddMinutes(-5), DateTimeOffset.UtcNow);
        Assert.InRange(new FileInfo(_folder["t"]).Length, 3 * summary.Events, (9 * summary.Events) + (2 * 65536));
    }

    [Fact]
    public void Threads_record_side_by_side_and_numbers_tell_the_order()
    {
        ToolRun run = RecordingSupport.Record(_folder["t"], "exit", "4");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        (_, TraceSummary summary) = AssertAllIsThere(run, _folder["t"]);
        Assert.Equal(4, summary.Program!.Threads);

        // An address that is handed out again after its free, by whatever thread, is never found taken.
        foreach (string threads in (string[])["1", "3"])
        {
            JsonElement report = JsonSerializer.Deserialize<JsonElement>(ToolRun.Of("replay", "--cold", _folder["t"], "--threads", threads, "--json", "-").Output);
            Assert.Equal(
                (0, 0, 0, 0),
                (report.GetProperty("implicit_frees").GetInt64(), report.GetProperty("unmatched_frees").GetInt64(), report.GetProperty("corrupt").GetInt64(), report.GetProperty("failed").GetInt64()));
            Assert.Empty(report.GetProperty("accounting_errors").EnumerateArray());
        }
    }

    [Fact]
    public void A_forked_process_has_a_file_of_its_own()
    {
        ToolRun run = RecordingSupport.Record(_folder["t"], "fork");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        (List<string> parent, TraceSummary summary) = AssertAllIsThere(run, _folder["t"]);
        string child = Assert.Single(Directory.GetFiles(_folder.Path), path => path != _folder["t"]);
        (List<string> events, TraceSummary forked) = ProgramEvents.Read(child);
        Assert.Equal((true, summary.Program!.ProcessId), (forked.Program!.IsFork, forked.Program.ParentId));
        Assert.Equal($"{_folder["t"]}.{forked.Program.ProcessId}", child);
        string ours = parent.Single(static text => text.EndsWith(" 7654321", StringComparison.Ordinal)).Split(' ')[2];
        Assert.Equal($"0 free {ours}", events[0]);
        Assert.EndsWith(" 7654322", events[1], StringComparison.Ordinal);
        Assert.DoesNotContain(parent, static text => text.EndsWith(" 7654322", StringComparison.Ordinal));
        Assert.Contains(parent, static text => text.EndsWith(" 7654323", StringComparison.Ordinal));
    }

    [Fact]
    public void A_file_that_exists_is_left_alone()
    {
        string taken = _folder.Write("t", "mine");
        Assert.Equal(0, RecordingSupport.Record(taken, "exec").ExitCode);
        Assert.Equal("mine", File.ReadAllText(taken));

        // The process replaced itself: both have one number.
        string[] files = [.. Directory.GetFiles(_folder.Path).Where(path => path != taken).Order(StringComparer.Ordinal)];
        Assert.Equal(2, files.Length);
        Assert.Equal(files[0] + ".2", files[1]);
        Assert.Equal((null, false), (ProgramEvents.Read(files[0]).Summary.Program!.Ended, ProgramEvents.Read(files[1]).Summary.Program!.Ended == null));
    }

    [Fact]
    public void The_number_of_the_process_may_stand_in_the_name()
    {
        ToolRun run = RecordingSupport.Run(RecordingSupport.Program, _folder.Path, [("LD_PRELOAD", RecordingSupport.Library), ("KMEM_TRACE", "a%p.b")], ["exit"]);
        string path = Assert.Single(Directory.GetFiles(_folder.Path));
        Assert.Equal((0, _folder[$"a{ProgramEvents.Read(path).Summary.Program!.ProcessId}.b"]), (run.ExitCode, path));
    }

    [Fact]
    public void A_file_that_cannot_grow_stops_the_recording_and_not_the_program()
    {
        ToolRun run = RecordingSupport.Record(_folder["t"], "limit");
        Assert.Equal((0, $"kmem: KMEM_TRACE: the recording stops: larger than the shell allows (ulimit -f): {_folder["t"]}\n"), (run.ExitCode, run.Error));
        (List<string> events, TraceSummary summary) = ProgramEvents.Read(_folder["t"]);
        Assert.True(summary.Program!.HasStopped && events.Count > 10_000);
        Assert.Equal((4096 + 65536, 0), (new FileInfo(_folder["t"]).Length, summary.Program.Notes.Count));
    }

    [Theory]
    [InlineData("no/such/folder", "no such file or folder")]
    [InlineData("", "the name is too long")]
    public void A_file_that_cannot_be_made_is_told_and_the_program_runs(string name, string message)
    {
        string path = name.Length > 0 ? _folder[name] : "/" + new string('x', 5000);
        ToolRun run = RecordingSupport.Run(RecordingSupport.Program, _folder.Path, [("LD_PRELOAD", RecordingSupport.Library), ("KMEM_TRACE", path)], ["exit"]);
        Assert.Equal(0, run.ExitCode);
        Assert.StartsWith($"kmem: KMEM_TRACE: cannot record: {message}: /", run.Error, StringComparison.Ordinal);
        Assert.EndsWith("\n", run.Error, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public void The_command_records_what_it_runs()
    {
        _folder.Write("kmem.trace", "an old one");
        ToolRun run = RecordingSupport.Kmem(_folder.Path, "record", "--library", RecordingSupport.Library, "--", RecordingSupport.Program, "_exit", "2");
        Assert.Equal(5, run.ExitCode);
        AssertAllIsThere(run, _folder["kmem.trace"]);
        Assert.Matches(@"^kmem: [\d,]+ events of 2 threads in kmem\.trace \([\d.]+ [KM]iB\); next: kmem replay kmem\.trace\n$", run.Error);
    }

    [Fact]
    public void Input_output_exit_code_and_the_files_of_other_processes_come_through()
    {
        _ = RecordingSupport.Library;
        ToolRun run = RecordingSupport.Kmem(_folder.Path, "record", "--library", RecordingSupport.Library, "-o", "x", "--", "bash", "-c", "cat; ls >/dev/null; echo oops >&2; exit 7");
        Assert.Equal((7, "a line\n"), (run.ExitCode, run.Output));
        Assert.StartsWith("oops\nkmem: ", run.Error, StringComparison.Ordinal);
        Assert.Matches(@" of 1 thread in x \(.*\); of other processes: x\.\d+", run.Error);
        run = RecordingSupport.Kmem(_folder.Path, "record", "--library", RecordingSupport.Library, "--", "sh", "-c", "kill -9 $$");
        Assert.Equal(137, run.ExitCode);
    }

    [Fact]
    public void What_cannot_be_recorded_is_told()
    {
        string library = RecordingSupport.Library;
        ToolRun run = RecordingSupport.Kmem(_folder.Path, "record", "--library", library, "--", "no-such-program");
        Assert.Equal((1, "kmem: no-such-program: no such program in PATH\n"), (run.ExitCode, run.Error));
        run = RecordingSupport.Kmem(_folder.Path, "record", "--library", _folder["none.so"], "--", "true");
        Assert.Equal((1, $"kmem: {_folder["none.so"]}: no such file (--library names it as the library)\n"), (run.ExitCode, run.Error));
        run = RecordingSupport.Kmem(_folder.Path, "record", "--library", library, "-o", "/dev/null", "--", "true");
        Assert.Equal((1, "kmem: /dev/null: is a device; a trace is a file\n"), (run.ExitCode, run.Error));
        run = RecordingSupport.Kmem(_folder.Path, "record", "--library", library, "-o", "no/folder", "--", "true");
        Assert.Equal((1, $"kmem: {_folder["no/folder"]}: cannot be written: the folder does not exist\n"), (run.ExitCode, run.Error));
        run = RecordingSupport.Kmem(_folder.Path, "record", "--library", library, "--", "/usr/bin/env", "-u", "LD_PRELOAD", "-u", "KMEM_TRACE", "true");
        Assert.Equal(0, run.ExitCode);
        run = RecordingSupport.Kmem(_folder.Path, "record");
        Assert.NotEqual(0, run.ExitCode);
        Assert.Contains("'kmem record --help' shows how it is used.", run.Error, StringComparison.Ordinal);
    }
}
