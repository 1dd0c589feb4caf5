using System;
using System.Collections.Generic;
using System.Linq;
using System.Text.Json;
using Kmem.Tool.Bench.Workloads;
using Kmem.Tool.Traces;
using Xunit;

namespace Kmem.Tests.Unit.Tool;

public sealed class ProgramTraceTests : IDisposable
{
    private readonly TestFolder _folder = new();
    private readonly ProgramTraceWriter _writer = new();

    public void Dispose() => _folder.Dispose();

    private string Save() => _folder.Write("t", _writer.ToArray());

    private static JsonElement Replay(string path, params string[] options)
    {
        ToolRun run = ToolRun.Of(["replay", "--cold", path, "--json", "-", .. options]);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        JsonElement report = JsonSerializer.Deserialize<JsonElement>(run.Output);
        Assert.Empty(report.GetProperty("accounting_errors").EnumerateArray());
        Assert.Equal((0, 0), (Number(report, "corrupt"), Number(report, "failed")));
        return report;
    }

    private static long Number(JsonElement element, string name) => element.GetProperty(name).GetInt64();

    [Fact]
    public void Every_kind_of_record_is_read()
    {
        _writer.Alloc(0, 0x7f0000001000, 100);
        _writer.Zeroed(0, 0x7f0000002008, 0);
        _writer.Aligned(0, 0x10, 5000, 12);
        _writer.Aligned(0, 0xFFFFFFFFFFFFFFF8, 1, 63, zeroed: true);
        _writer.Free(0, 0x7f0000001000);
        _writer.Free(0, 0x7f0000001003);
        _writer.Realloc(0, 0x10, 0x10, 6000);
        _writer.Realloc(0, 0x10, 0x7f0000009000, 7000);
        _writer.Failed(0, 1ul << 50);
        _writer.FailedAligned(0, 3, 20);
        _writer.FailedRealloc(0, 0x7f0000009000, ulong.MaxValue);
        _writer.Alloc(0, 8, int.MaxValue);
        _writer.Alloc(0, 16, 1ul << 31);
        (List<string> events, TraceSummary summary) = ProgramEvents.Read(Save());
        Assert.Equal(
            [
                "0 alloc 7f0000001000 100", "0 alloc 7f0000002008 0 zeroed", "0 alloc 10 5000 aligned 4096", "0 alloc fffffffffffffff8 1 zeroed aligned 9223372036854775808",
                "0 free 7f0000001000", "0 free 7f0000001003", "0 from 10", "0 to 10 6000", "0 from 10", "0 to 7f0000009000 7000",
                "0 fail 2147483647 zeroed too large", "0 fail 3 aligned 1048576", "0 fail 2147483647 too large", "0 alloc 8 2147483647", "0 alloc 10 2147483647 too large",
            ],
            events);
        Assert.Equal((13, 0), (summary.Events, summary.LostEvents));
        Assert.Empty(summary.Program!.Notes);
    }

    [Fact]
    public void The_header_tells_of_the_program()
    {
        _writer.Alloc(0, 64, 1);
        TraceSummary summary = ProgramEvents.Read(Save()).Summary;
        Assert.Equal("program --option 'two words'", summary.Program!.CommandLine);
        Assert.Equal((4711u, 815u, false, false, 1), (summary.Program.ProcessId, summary.Program.ParentId, summary.Program.IsFork, summary.Program.HasStopped, summary.Program.Threads));
        Assert.Equal(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000), summary.Program.Started);
        Assert.Equal(TimeSpan.FromSeconds(2.5), summary.Program.Duration);
        Array.Clear(_writer.Header, 40, 8);
        _writer.Header[56] = 3;
        summary = ProgramEvents.Read(Save()).Summary;
        Assert.Equal((true, true, null, TimeSpan.FromMicroseconds(77)), (summary.Program!.IsFork, summary.Program.HasStopped, summary.Program.Ended, summary.Program.Duration));
    }

    [Fact]
    public void Events_of_threads_come_in_the_order_of_their_numbers()
    {
        _writer.Alloc(1, 0x1000, 1);
        _writer.Alloc(0, 0x2000, 2);
        _writer.Free(0, 0x1000);
        _writer.Alloc(1, 0x1000, 3);
        _writer.Free(2, 0x2000);
        ulong before = _writer.Next();
        _writer.Alloc(2, 0x3000, 4);
        _writer.Free(0, 0x3000);
        _writer.Realloc(1, before, 0x1000, 0x3000, 5);
        Assert.Equal(
            ["1 alloc 1000 1", "0 alloc 2000 2", "0 free 1000", "1 alloc 1000 3", "2 free 2000", "1 from 1000", "2 alloc 3000 4", "0 free 3000", "1 to 3000 5"],
            ProgramEvents.Read(Save()).Events);
    }

    [Fact]
    public void Another_thread_may_get_the_address_before_the_realloc_is_over()
    {
        _writer.Alloc(0, 0x1000, 100);
        ulong before = _writer.Next();
        _writer.Alloc(1, 0x1000, 50);
        _writer.Realloc(0, before, 0x1000, 0x2000, 200);
        _writer.Free(1, 0x1000);
        JsonElement report = Replay(Save(), "--threads", "2");
        Assert.Equal((3, 2, 0, 0), (Number(report, "allocs"), Number(report, "frees"), Number(report, "implicit_frees"), Number(report, "unmatched_frees")));
        Assert.Equal((1, 200), (Number(report, "live_objects"), Number(report, "requested_bytes")));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void What_is_written_is_read_again(int seed)
    {
        (List<string> expected, _) = RandomProgram.Write(_writer, seed, 60_000);
        byte[] file = _writer.ToArray();
        Assert.True(file.Length > 5 * 65536, "There are several chunks of a thread.");
        (List<string> events, TraceSummary summary) = ProgramEvents.Read(_folder.Write("plain", file));
        Assert.Equal(expected, events);
        Assert.Empty(summary.Program!.Notes);
        Assert.Equal(expected, ProgramEvents.Read(_folder.Write("packed", ProgramTraceWriter.Gzip(file))).Events);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void A_program_is_replayed_on_any_number_of_threads(int threads)
    {
        (_, RandomProgram program) = RandomProgram.Write(_writer, 7, 20_000);
        JsonElement report = Replay(_folder.Write("t.gz", ProgramTraceWriter.Gzip(_writer.ToArray())), "--threads", $"{threads}");
        (string, long)[] expected =
        [
            ("allocs", program.Allocs), ("frees", program.Frees), ("implicit_frees", 0), ("unmatched_frees", 0), ("null_allocs", program.Failed),
            ("live_objects", program.Live), ("requested_bytes", program.LiveBytes), ("peak_requested_bytes", program.PeakBytes), ("threads", threads), ("cpus", RandomProgram.Threads),
        ];
        Assert.Equal(expected, expected.Select(pair => (pair.Item1, Number(report, pair.Item1))));
        Assert.Equal(program.Reallocs, Number(report.GetProperty("program"), "reallocs"));
    }

    [Fact]
    public void A_realloc_in_place_keeps_the_class_of_the_first_allocation()
    {
        _writer.Alloc(0, 0x1000, 1000);
        for (ulong size = 990; size >= 600; size -= 10)
        {
            _writer.Realloc(0, 0x1000, 0x1000, size);
        }

        _writer.Aligned(1, 0x8000, 100, 10);
        _writer.Realloc(0, 0x8000, 0x8000, 700);
        _writer.Alloc(0, 0x100000, 1_000_000);
        _writer.Realloc(0, 0x100000, 0x100000, 2_000_000);
        _writer.Realloc(0, 0x100000, 0x200000, 10);
        Assert.Equal((3, 600 + 700 + 10), (Number(Replay(Save()), "live_objects"), Number(Replay(Save()), "requested_bytes")));
    }

    [Fact]
    public void A_buffer_that_stays_in_place_two_hundred_thousand_times_does_not_take_the_square_of_it()
    {
        _writer.Alloc(0, 0x100000, 5_000_000);
        for (ulong step = 0; step < 200_000; step++)
        {
            _writer.Realloc((int)(step % 2), 0x100000, 0x100000, 5_000_000 - step);
        }

        Assert.Equal((200_001, 1), (Number(Replay(Save(), "--threads", "2"), "allocs"), Number(Replay(Save()), "live_objects")));
    }

    [Fact]
    public void What_is_larger_than_a_replay_can_have_is_left_out_with_its_free()
    {
        _writer.Alloc(0, 0x1000, 1ul << 40);
        _writer.Alloc(0, 0x2000, 10);
        _writer.Realloc(0, 0x2000, 0x3000, 1ul << 40);
        _writer.Realloc(0, 0x3000, 0x3000, 20);
        _writer.Free(0, 0x1000);
        JsonElement report = Replay(Save());
        Assert.Equal((2, 1, 0, 20), (Number(report, "allocs"), Number(report, "frees"), Number(report, "unmatched_frees"), Number(report, "requested_bytes")));
        Assert.Equal(2, Number(report.GetProperty("program"), "oversized_allocs"));
    }

    [Fact]
    public void The_report_speaks_of_the_program_and_not_of_a_kernel()
    {
        _writer.Alloc(0, 0x1000, 1000);
        _writer.Failed(1, 5);
        ToolRun run = ToolRun.Of("replay", "--cold", Save());
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        string text = string.Join(' ', run.Output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        Assert.Contains("program program --option 'two words'", text, StringComparison.Ordinal);
        Assert.Contains("events 2 of 2 threads in 2.50 s", text, StringComparison.Ordinal);
        Assert.Contains("with an alignment; 1 failed", text, StringComparison.Ordinal);
        Assert.Contains("live 1 object with 1000 B (peak 1000 B)", text, StringComparison.Ordinal);
        Assert.DoesNotContain("kernel", text, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("kmem group", text, StringComparison.Ordinal);
    }

    [Fact]
    public void The_bench_replays_a_program_with_its_reallocs()
    {
        _writer.Alloc(0, 0x1000, 100);
        _writer.Realloc(0, 0x1000, 0x2000, 200);
        _writer.Zeroed(1, 0x3000, 4);
        _writer.Aligned(1, 0x4000, 30, 6);
        _writer.Free(0, 0x2000);
        ReplayScript script = ReplayScript.Read(Save());
        Assert.Equal(
            [
                new(0, 100, -1), new(0, 100, ScriptEvent.Realloc), new(0, 200, -1), new(1, 8, -1), new(2, 30, -1), new(0, 0, -1), new(1, 0, -1), new(2, 0, -1),
            ],
            script.Events);
        Assert.Equal((3, 238), (script.Slots, script.PeakBytes));
    }

    [Fact]
    public void The_bench_gives_every_allocator_the_same_program()
    {
        RandomProgram.Write(_writer, 3, 3_000);
        ToolRun run = ToolRun.Of("bench", "replay", "--trace", Save(), "--allocator", "kmem", "native", "gc", "--runs", "1", "--seconds", "0.02", "--json", "-");
        Assert.Equal(0, run.ExitCode);
    }
}
