using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;
using Kmem.Tool.Layout;
using Xunit;

namespace Kmem.Tests.Unit.Tool;

public sealed class LayoutCommandTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private void AddCache(string name, string slabSize, string order, string objects)
    {
        string folder = Directory.CreateDirectory(_folder[name]).FullName;
        File.WriteAllText(Path.Join(folder, "slab_size"), slabSize + "\n");
        File.WriteAllText(Path.Join(folder, "order"), order + "\n");
        File.WriteAllText(Path.Join(folder, "objs_per_slab"), objects + "\n");
    }

    private void AddAlias(string name, string target) => Directory.CreateSymbolicLink(_folder[name], target);

    [Fact]
    public void Every_cache_counts_once_under_its_first_name()
    {
        AddCache(":0000192", "192", "0", "21");
        AddAlias("zebra", ":0000192");
        AddAlias("dentry", ":0000192");
        AddCache("ext4_inode_cache", "1120", "2", "14");
        AddAlias("ext4_alias", "ext4_inode_cache");
        AddCache(":a-0000104", "104", "0", "39");
        List<string> notes = [];
        Assert.Equal(
            [
                new KernelSlabCache(":a-0000104", 104, 0, 39),
                new KernelSlabCache("dentry", 192, 0, 21),
                new KernelSlabCache("ext4_inode_cache", 1120, 2, 14),
            ],
            KernelSlabFolder.Read(_folder.Path, notes.Add));
        Assert.Empty(notes);
    }

    [Fact]
    public void Links_to_folders_elsewhere_are_caches_too()
    {
        AddCache("elsewhere/:0000192", "192", "0", "21");
        Directory.CreateDirectory(_folder["slab"]);
        AddAlias("slab/b", _folder["elsewhere/:0000192"]);
        AddAlias("slab/a", "../elsewhere/:0000192");
        Assert.Equal([new KernelSlabCache("a", 192, 0, 21)], KernelSlabFolder.Read(_folder["slab"], static _ => Assert.Fail()));
    }

    [Fact]
    public void What_cannot_be_read_is_left_out_with_a_note()
    {
        AddCache("good", "192", "0", "21");
        AddCache("words", "many", "0", "21");
        AddCache("zero", "0", "0", "21");
        Directory.CreateDirectory(_folder["bare"]);
        AddAlias("dangling", "nowhere");
        AddAlias("loop", "loop");
        File.WriteAllText(_folder["file"], "");
        List<string> notes = [];
        Assert.Equal([new KernelSlabCache("good", 192, 0, 21)], KernelSlabFolder.Read(_folder.Path, notes.Add));
        Assert.Equal(
            [
                "bare: left out: slab_size is missing",
                "dangling: left out: a link that leads nowhere",
                "loop: left out: a link that leads nowhere",
                "words: left out: slab_size is 'many', not a number from 1",
                "zero: left out: slab_size is '0', not a number from 1",
            ],
            notes.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Caches_that_differ_come_first_and_give_exit_code_1()
    {
        AddCache("b", "192", "0", "21");
        AddCache("c", "192", "1", "42");
        AddCache("a", "700", "2", "23");
        ToolRun run = ToolRun.Of("layout", "--compare", _folder.Path, "--cpus", "2");
        Assert.Equal((1, ""), (run.ExitCode, run.Error));
        string[] lines = run.Output.Split('\n');
        Assert.Equal(["c", "192", "0", "21", "1", "42", "differs"], lines[1].Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.StartsWith("a ", lines[2], StringComparison.Ordinal);
        Assert.Contains("2 of 3 match, by the kernel's rule with 2 CPUs.", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void The_number_of_CPUs_decides()
    {
        AddCache("a", "192", "1", "42");
        Assert.Equal(1, ToolRun.Of("layout", "--compare", _folder.Path, "--cpus", "2").ExitCode);
        Assert.Equal(0, ToolRun.Of("layout", "--compare", _folder.Path, "--cpus", "16").ExitCode);
    }

    [Fact]
    public void The_result_is_JSON_on_request()
    {
        AddCache("a", "192", "0", "21");
        ToolRun run = ToolRun.Of("layout", "--compare", _folder.Path, "--cpus", "2", "--json", "-");
        using JsonDocument json = JsonDocument.Parse(run.Output);
        JsonElement root = json.RootElement;
        Assert.Equal((1, 1, 2), (root.GetProperty("matched").GetInt32(), root.GetProperty("total").GetInt32(), root.GetProperty("cpus").GetInt32()));
        JsonElement cache = root.GetProperty("caches")[0];
        Assert.Equal(
            "name=a size=192 order=0 objects_per_slab=21 kernel_order=0 kernel_objects_per_slab=21 match=True",
            string.Join(' ', cache.EnumerateObject().Select(static property => $"{property.Name}={property.Value}")));
    }

    [Fact]
    public void The_layout_of_one_size_is_shown()
    {
        ToolRun run = ToolRun.Of("layout", "700", "--cpus", "2");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Contains("slab        order 2: 4 pages, 16,384 bytes\nobjects     23\n", run.Output, StringComparison.Ordinal);
        run = ToolRun.Of("layout", "700", "--align", "512", "--rule", "default");
        Assert.Contains("stride      1,024 bytes, aligned to 512", run.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData()]
    [InlineData("700", "--compare", "/sys/kernel/slab")]
    [InlineData("0")]
    [InlineData("x")]
    [InlineData("700", "--align", "3")]
    [InlineData("700", "--align", "8192")]
    [InlineData("700", "--rule", "best")]
    [InlineData("700", "--cpus", "0")]
    [InlineData("--compare", "/sys/kernel/slab", "--align", "8")]
    public void Wrong_usage_is_an_error(params string[] arguments)
    {
        ToolRun run = ToolRun.Of(["layout", .. arguments]);
        Assert.Equal((1, ""), (run.ExitCode, run.Output));
        Assert.Contains("'kmem layout --help' shows how it is used.", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_size_that_no_slab_can_hold_is_refused()
    {
        ToolRun run = ToolRun.Of("layout", "5M");
        Assert.Equal((1, ""), (run.ExitCode, run.Output));
        Assert.StartsWith("kmem: 5242880: An object has 1 to 4194304 bytes.", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_without_caches_is_an_error()
    {
        Assert.Equal($"kmem: {_folder.Path}: no cache there; a folder like /sys/kernel/slab is expected\n", ToolRun.Of("layout", "--compare", _folder.Path).Error);
        Assert.Equal($"kmem: {_folder["none"]}: no such folder\n", ToolRun.Of("layout", "--compare", _folder["none"]).Error);
        string file = _folder.Write("file", "");
        Assert.Equal($"kmem: {file}: is a file; a folder like /sys/kernel/slab is expected\n", ToolRun.Of("layout", "--compare", file).Error);
    }

    [Theory]
    [InlineData("0", 1)]
    [InlineData("0-1\n", 2)]
    [InlineData("0-3,8,10-11", 7)]
    [InlineData("", 0)]
    [InlineData("3-1", 0)]
    [InlineData("a-b", 0)]
    public void A_list_of_CPUs_is_counted(string list, int count) => Assert.Equal(count, CpuCount.CountOf(list));

    [Fact]
    public void The_kernel_of_this_machine_has_the_slabs_that_its_rule_gives()
    {
        Assert.SkipUnless(Directory.Exists("/sys/kernel/slab") && File.Exists("/sys/kernel/slab/dentry/slab_size"), "there is no /sys/kernel/slab to read");
        ToolRun run = ToolRun.Of("layout", "--compare", "/sys/kernel/slab");
        Assert.True(run.ExitCode == 0, run.Output);
    }
}
