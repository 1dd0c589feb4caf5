using System;
using System.IO;
using System.Linq;
using System.Text;
using Xunit;

namespace Kmem.Tests.Unit.Tool;

public sealed class BadTraceTests : IDisposable
{
    private static readonly string s_good = string.Concat(Enumerable.Range(1, 200).Select(static index => Line.Kmalloc((ulong)index, 64)));

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static void Fails(string path, string message)
    {
        ToolRun run = ToolRun.Of("replay", "--cold", path);
        Assert.Equal(1, run.ExitCode);
        Assert.Equal("", run.Output);
        Assert.Equal($"kmem: {path}: {message}\n", run.Error);
    }

    [Fact]
    public void A_missing_file() => Fails(_folder["none"], "no such file");

    [Fact]
    public void A_folder() => Fails(_folder.Path, "is a directory; a trace file is expected");

    [Fact]
    public void A_file_below_a_file() => Fails(Path.Join(_folder.Write("a", "x"), "b"), "no such file");

    [Fact]
    public void An_empty_file() => Fails(_folder.Write("empty", ""), "the file is empty");

    [Fact]
    public void A_gzip_of_nothing() => Fails(_folder.Write("empty.gz", TestFolder.Gzip("")), "the file is empty");

    [Fact]
    public void A_binary_file()
    {
        Fails(_folder.Write("binary", [1, 2, 0, 4, 5]), "holds binary data; a text trace is expected (of ftrace, 'trace-cmd report' or 'perf script')");
    }

    [Fact]
    public void A_gzip_of_a_binary_file()
    {
        Fails(_folder.Write("b.gz", TestFolder.Gzip(s_good + "\0")), "holds binary data; a text trace is expected (of ftrace, 'trace-cmd report' or 'perf script')");
    }

    [Fact]
    public void A_text_without_events()
    {
        Fails(_folder.Write("text", "Dear reader,\nthis is no trace.\n"), "no kmem event in 2 lines; 'kmem replay --help' says which traces are read");
    }

    [Fact]
    public void A_trace_of_other_events()
    {
        Fails(
            _folder.Write("sched", Line.Of("sched_switch", "prev_comm=a") + Line.Of("sched_switch", "prev_comm=a")),
            "no kmem event in 2 lines, but 2 of other groups; 'kmem replay --help' says which traces are read");
    }

    [Fact]
    public void A_text_without_line_breaks()
    {
        Fails(_folder.Write("long", new string('x', 3_000_000)), "line 1 is longer than 1,048,576 bytes; this is not a text trace");
    }

    [Theory]
    [InlineData("\x17\x08" + "Dtracing6\0", "is a recording of trace-cmd; make text of it with 'trace-cmd report -i {0}'")]
    [InlineData("PERFILE2xxxxxxxxxxx", "is a recording of perf; make text of it with 'perf script -i {0}'")]
    [InlineData("BZh91AY", "is compressed with bzip2; decompress it first (only gzip is read)")]
    public void A_recording_in_another_format(string content, string message)
    {
        string path = _folder.Write("other", Encoding.Latin1.GetBytes(content));
        Fails(path, string.Format(System.Globalization.CultureInfo.InvariantCulture, message, path));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(8)]
    [InlineData(9)]
    [InlineData(100)]
    public void A_gzip_that_is_cut_off_replays_nothing(int missing)
    {
        byte[] whole = TestFolder.Gzip(s_good);
        string path = _folder.Write("cut.gz", whole[..^missing]);
        ToolRun run = ToolRun.Of("replay", "--cold", path);
        Assert.Equal((1, ""), (run.ExitCode, run.Output));
        Assert.Matches(@"^kmem: \S+: the gzip data is cut off after [\d,]+ bytes of text; nothing was replayed\n$", run.Error);
    }

    [Fact]
    public void A_gzip_that_is_cut_in_its_header()
    {
        string path = _folder.Write("cut.gz", TestFolder.Gzip(s_good)[..9]);
        Fails(path, "the gzip data is cut off after 0 bytes of text; nothing was replayed");
    }

    [Fact]
    public void A_gzip_that_is_damaged()
    {
        byte[] whole = TestFolder.Gzip(s_good);
        whole[^7] ^= 1;
        ToolRun run = ToolRun.Of("replay", "--cold", _folder.Write("bad.gz", whole));
        Assert.Equal((1, ""), (run.ExitCode, run.Output));
        Assert.Matches(@"^kmem: \S+: the gzip data is damaged after [\d,]+ bytes of text; nothing was replayed\n$", run.Error);
    }

    [Fact]
    public void Events_that_are_all_malformed()
    {
        Fails(
            _folder.Write("bad", "# tracer: nop\n" + Line.Of("kfree", "call_site=f") + Line.Of("kfree", "ptr=q")),
            "all 2 kmem events cannot be used; line 2: ptr= is missing: task-1       [000] .....     1.000000: kfree: call_site=f");
    }

    [Fact]
    public void Some_malformed_events_are_shown_and_the_rest_is_replayed()
    {
        string bad = string.Concat(Enumerable.Repeat(Line.Of("kfree", "call_site=f"), 5));
        string path = _folder.Write("some", s_good + bad);
        ToolRun run = ToolRun.Of("replay", "--cold", path, "--json", "-");
        Assert.Equal(0, run.ExitCode);
        Assert.StartsWith($"kmem: {path}: 5 lines of kmem events cannot be used and left out:\nkmem:   line 201: ptr= is missing: ", run.Error, StringComparison.Ordinal);
        Assert.EndsWith("kmem:   and 2 more\n", run.Error, StringComparison.Ordinal);
        Assert.Contains("\"malformed_lines\": 5", run.Output, StringComparison.Ordinal);
        Assert.Contains("\"allocs\": 200", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_trace_that_ends_in_the_middle_of_a_line_is_replayed_up_to_it()
    {
        string last = Line.CacheAlloc("dentry", 0xffff, 192);
        int needed = last.IndexOf("bytes_req=192 ", StringComparison.Ordinal) + "bytes_req=192 ".Length;
        for (int kept = 1; kept < last.Length; kept++)
        {
            ToolRun run = ToolRun.Of("replay", "--cold", _folder.Write("cut", s_good + last[..kept]), "--json", "-");
            bool complete = kept >= needed;
            Assert.Equal(0, run.ExitCode);
            bool blank = string.IsNullOrWhiteSpace(last[..kept]);
            Assert.True(run.Output.Contains(complete ? "\"allocs\": 201," : "\"allocs\": 200,", StringComparison.Ordinal), last[..kept]);
            Assert.Equal(complete || blank ? "" : "the file ends in the middle of this line", run.Error.Length == 0 ? "" : "the file ends in the middle of this line");
        }
    }

    [Fact]
    public void A_pointer_that_was_cut_is_not_taken_for_another()
    {
        string last = Line.Kfree(0x10);
        ToolRun run = ToolRun.Of("replay", "--cold", _folder.Write("cut", s_good + last[..^2]), "--json", "-");
        Assert.Contains("\"malformed_lines\": 1", run.Output, StringComparison.Ordinal);
        run = ToolRun.Of("replay", "--cold", _folder.Write("uncut", s_good + last[..^1]), "--json", "-");
        Assert.Contains("\"malformed_lines\": 0", run.Output, StringComparison.Ordinal);
        Assert.Contains("\"frees\": 1,", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Gzip_is_recognised_by_content_and_may_have_several_parts()
    {
        byte[] two = [.. TestFolder.Gzip(s_good), .. TestFolder.Gzip(Line.Kfree(1))];
        ToolRun run = ToolRun.Of("replay", "--cold", _folder.Write("trace.txt", two), "--json", "-");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Contains("\"frees\": 1,", run.Output, StringComparison.Ordinal);
        run = ToolRun.Of("replay", "--cold", _folder.Write("cut.txt", two[..^3]));
        Assert.Contains("cut off", run.Error, StringComparison.Ordinal);
        run = ToolRun.Of("replay", "--cold", _folder.Write("plain.gz", s_good), "--json", "-");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
    }

    [Fact]
    public void Lost_events_are_mentioned()
    {
        string path = _folder.Write("lost", "CPU:1 [LOST 12 EVENTS]\n" + s_good);
        Assert.Equal($"kmem: {path}: the recorder lost 12 events; a larger buffer would keep them\n", ToolRun.Of("replay", "--cold", path).Error);
    }

    [Theory]
    [InlineData("--threads", "0")]
    [InlineData("--threads", "257")]
    [InlineData("--threads", "x")]
    [InlineData("--front-end", "magic")]
    [InlineData("--size-classes", "linux")]
    [InlineData("--limit", "12Q")]
    [InlineData("--limit", "0")]
    [InlineData("--unknown", "1")]
    public void A_wrong_option_is_a_usage_error(string option, string value)
    {
        ToolRun run = ToolRun.Of("replay", "trace", option, value);
        Assert.NotEqual(0, run.ExitCode);
        Assert.Contains("'kmem replay --help' shows how it is used.", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void An_output_that_cannot_be_written_is_named()
    {
        string path = _folder.Write("good", s_good);
        ToolRun run = ToolRun.Of("replay", "--cold", path, "--json", _folder["no/such/folder.json"]);
        Assert.Equal(1, run.ExitCode);
        Assert.Equal($"kmem: {_folder["no/such/folder.json"]}: cannot be written: the folder does not exist\n", run.Error);
        run = ToolRun.Of("replay", "--cold", path, "--snapshot", _folder.Path);
        Assert.Equal($"kmem: {_folder.Path}: cannot be written: is a directory\n", run.Error);
    }
}
