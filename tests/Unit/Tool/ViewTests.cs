using System;
using System.Collections.Generic;
using System.Linq;
using System.Text.Json.Nodes;
using Kmem.Diagnostics;
using Kmem.Tool.Hosting;
using Kmem.Tool.Views;
using Xunit;

namespace Kmem.Tests.Unit.Tool;

public sealed class ViewTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string SaveSnapshot()
    {
        string trace = _folder.Write("t", Line.CacheAlloc("dentry", 1, 192) + Line.CacheAlloc("dentry", 2, 192) + Line.Kmalloc(3, 100) + Line.PageAlloc(5, 3));
        Assert.Equal(0, ToolRun.Of("replay", "--cold", trace, "--snapshot", _folder["s.json"]).ExitCode);
        return _folder["s.json"];
    }

    [Fact]
    public void The_kernels_tools_read_what_slabinfo_prints_raw()
    {
        string[] lines = ToolRun.Of("slabinfo", SaveSnapshot(), "--raw").Output.Split('\n');
        Assert.Equal("slabinfo - version: 2.1", lines[0]);
        Assert.Equal("# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>", lines[1]);
        Assert.Contains("dentry                 2     21    192   21    1 : tunables    0    0    0 : slabdata      1      1      0", lines);
    }

    [Fact]
    public void White_space_in_a_name_does_not_break_the_columns()
    {
        using KmemHeap heap = new();
        KmemStatistics statistics = heap.GetStatistics();
        KmemCacheStatistics cache = statistics.Caches[0];
        string text = SlabInfoText.Format(statistics with { Caches = [cache with { Name = "two words\n" }, cache with { Name = "" }] });
        string[] lines = text.Split('\n');
        Assert.Equal(5, lines.Length);
        Assert.StartsWith("two_words_ ", lines[2], StringComparison.Ordinal);
        Assert.All(lines[2..4], static line => Assert.Equal(16, line.Split(' ', StringSplitOptions.RemoveEmptyEntries).Length));
    }

    [Fact]
    public void A_snapshot_shows_the_heap_that_was_saved()
    {
        string path = SaveSnapshot();
        ToolRun slabs = ToolRun.Of("slabinfo", path);
        Assert.Equal((0, ""), (slabs.ExitCode, slabs.Error));
        Assert.Contains(slabs.Output.Split('\n'), static line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is ["dentry", "2", "21", "192", "192", "21", "1", "1", "4.0", "KiB", "9.5%"]);
        ToolRun pages = ToolRun.Of("buddyinfo", path);
        Assert.Equal((0, ""), (pages.ExitCode, pages.Error));
        Assert.All(Enumerable.Range(0, 11), order => Assert.Contains($"\n   {order,2} ", pages.Output, StringComparison.Ordinal));
        Assert.StartsWith("Node 0, zone   replay ", ToolRun.Of("buddyinfo", path, "--raw").Output, StringComparison.Ordinal);
        Assert.StartsWith("Page block order: 9\n", ToolRun.Of("buddyinfo", path, "--raw", "--types").Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(80)]
    [InlineData(100)]
    [InlineData(120)]
    [InlineData(200)]
    public void No_table_is_wider_than_the_terminal_or_wraps_its_rows(int width)
    {
        string snapshot = SaveSnapshot();
        string[][] commands =
        [
            ["replay", "--cold", Traces.Filesystem], ["slabinfo", snapshot], ["buddyinfo", snapshot], ["layout", "700"],
        ];
        foreach (string[] command in commands)
        {
            ToolRun run = ToolRun.OfWidth(width, command);
            Assert.Equal(0, run.ExitCode);
            Assert.All(run.Output.Split('\n'), line => Assert.True(line.Length <= width, line));
            Assert.DoesNotContain('\e', run.Output);
            Assert.All(run.Output.Split('\n'), static line => Assert.Equal(line.TrimEnd(), line));
            if (command[0] == "replay")
            {
                Assert.Single(run.Output.Split('\n'), static line => line.StartsWith("ext4_inode_cache ", StringComparison.Ordinal) && line.EndsWith('%'));
            }
        }
    }

    [Fact]
    public void Files_that_are_no_snapshots_are_refused()
    {
        foreach (string command in (string[])["slabinfo", "buddyinfo"])
        {
            Refused(command, _folder["none"], "no such file");
            Refused(command, _folder.Path, "is a directory; a snapshot file is expected");
            Refused(command, _folder.Write("empty", ""), "the file is empty");
            Refused(command, _folder.Write("other", "{\"a\": 1}"), "is not a kmem snapshot; 'kmem replay --snapshot' makes one");
            Refused(command, _folder.Write("array", "[1]"), "is not a kmem snapshot, or a damaged one: The JSON value could not be converted to Kmem.Tool.Snapshots.SnapshotHeader");
            Refused(command, _folder.Write("newer", "{\"format\": \"kmem-snapshot\", \"version\": 2}"), "is a snapshot of version 2; this kmem reads version 1");
            Refused(command, _folder.Write("null", "null"), "is not a kmem snapshot; 'kmem replay --snapshot' makes one");
        }
    }

    [Fact]
    public void A_snapshot_that_lacks_something_is_refused()
    {
        JsonNode snapshot = JsonNode.Parse(System.IO.File.ReadAllText(SaveSnapshot()))!;
        snapshot["statistics"]!.AsObject().Remove("caches");
        ToolRun run = ToolRun.Of("slabinfo", _folder.Write("less", snapshot.ToJsonString()));
        Assert.Equal((1, ""), (run.ExitCode, run.Output));
        Assert.Contains("snapshot", run.Error, StringComparison.Ordinal);
        Assert.Single(run.Error.TrimEnd().Split('\n'));
    }

    [Fact]
    public void A_snapshot_that_was_cut_is_refused()
    {
        string text = System.IO.File.ReadAllText(SaveSnapshot());
        ToolRun run = ToolRun.Of("slabinfo", _folder.Write("cut", text[..(text.Length / 2)]));
        Assert.Equal((1, ""), (run.ExitCode, run.Output));
        Assert.StartsWith($"kmem: {_folder["cut"]}: is not a kmem snapshot, or a damaged one: ", run.Error, StringComparison.Ordinal);
        Assert.Single(run.Error.TrimEnd().Split('\n'));
    }

    private static void Refused(string command, string path, string message)
    {
        ToolRun run = ToolRun.Of(command, path);
        Assert.Equal((1, "", $"kmem: {path}: {message}\n"), (run.ExitCode, run.Output, run.Error));
    }

    [Fact]
    public void Help_names_every_command_and_is_no_wider_than_a_page()
    {
        ToolRun run = ToolRun.Of("--help");
        Assert.Equal(0, run.ExitCode);
        foreach (string command in (string[])["replay", "slabinfo", "buddyinfo", "layout"])
        {
            Assert.Contains($"\n  {command} <", run.Output, StringComparison.Ordinal);
            ToolRun own = ToolRun.Of(command, "--help");
            Assert.Equal((0, ""), (own.ExitCode, own.Error));
            Assert.All(own.Output.Split('\n'), static line => Assert.True(line.Length <= ToolConsole.RedirectedWidth, line));
        }
    }

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(1023, "1023 B")]
    [InlineData(1024, "1.0 KiB")]
    [InlineData(1536, "1.5 KiB")]
    [InlineData(1048575, "1.0 MiB")]
    [InlineData(9624522, "9.2 MiB")]
    [InlineData(ulong.MaxValue, "16.0 EiB")]
    public void Bytes_are_shown_in_the_unit_that_suits_them(ulong bytes, string text) => Assert.Equal(text, Units.Bytes(bytes));

    [Theory]
    [InlineData("short", "short")]
    [InlineData("exactly_ten", "exactly_ten")]
    [InlineData("a_name_that_is_long", "a_name_…ong")]
    public void Long_names_keep_both_ends(string name, string shown) => Assert.Equal(shown, Tables.Shorten(name, 11));

    [Fact]
    public void Spaces_at_the_end_of_lines_are_dropped()
    {
        System.IO.StringWriter text = new();
        LineTrimmingWriter writer = new(text);
        writer.Write("a  b   \n  \n   c  ");
        Assert.Equal("a  b\n\n   c", text.ToString());
    }
}
