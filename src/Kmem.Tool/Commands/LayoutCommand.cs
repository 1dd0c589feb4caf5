using System;
using System.CommandLine;
using System.Numerics;
using Kmem.Tool.Hosting;
using Kmem.Tool.Layout;
using Kmem.Tool.Views;

namespace Kmem.Tool.Commands;

/// <summary><c>kmem layout</c>: how many pages a slab has and how many objects fit, for one size or for a kernel's caches.</summary>
internal static class LayoutCommand
{
    private const int MaxCpus = 8192;

    /// <summary>The longer help.</summary>
    public const string Details =
        """
        Comparing:
        --compare /sys/kernel/slab computes order and objects per slab of every cache there from its slab_size and the number of CPUs, and compares them with its order and objs_per_slab. All names of a merged cache count once.
        Exit code 1 when a cache does not match.

        """;

    private const string Description = "Shows the slab of an object size, or compares the kernel's slabs with those that its rule gives here.";

    public static Command Create(ToolConsole console)
    {
        Argument<long> size = new("SIZE")
        {
            Description = "Size of an object in bytes, or with K or M behind.",
            Arity = ArgumentArity.ZeroOrOne,
            CustomParser = static result => CommandChecks.ParseSize(result),
        };
        Option<int> align = new("--align") { Description = "Alignment of objects: a power of two up to 4096. Without it 8.", HelpName = "N" };
        Option<string> rule = new("--rule") { Description = "The rule that sizes slabs.", HelpName = "kernel|default", DefaultValueFactory = static _ => "kernel" };
        rule.AcceptOnlyFromAmong("kernel", "default");
        Option<int> cpus = new("--cpus") { Description = "Number of CPUs, by which the kernel's rule goes. Without it, those of this machine.", HelpName = "N" };
        cpus.Validators.Add(result => CommandChecks.RequireRange(result, cpus, 1, MaxCpus));
        Option<string?> compare = new("--compare") { Description = "Compare with the caches under this folder, which is like /sys/kernel/slab.", HelpName = "DIR" };
        Option<string?> json = new("--json") { Description = "Write the result as JSON to this file; '-' prints it instead of the table.", HelpName = "OUT" };

        Command command = new("layout", Description) { size, align, rule, cpus, compare, json };
        command.Validators.Add(result =>
        {
            bool hasSize = result.GetResult(size) is { Tokens.Count: > 0 };
            bool hasFolder = result.GetResult(compare) is { Implicit: false };
            if (hasSize == hasFolder)
            {
                result.AddError(hasSize ? "SIZE and --compare exclude each other." : "Give SIZE or --compare DIR.");
            }

            if (hasFolder && (result.GetResult(align) is { Implicit: false } || result.GetResult(rule) is { Implicit: false }))
            {
                result.AddError("--align and --rule go with SIZE; --compare takes both from the kernel.");
            }
        });
        align.Validators.Add(result =>
        {
            if (result.Tokens.Count == 1 && int.TryParse(result.Tokens[0].Value, out int value) && (value < 1 || value > PageAllocator.PageSizeBytes || !BitOperations.IsPow2(value)))
            {
                result.AddError($"--align is {value}; it must be a power of two from 1 to {PageAllocator.PageSizeBytes}.");
            }
        });
        command.SetAction(parsed =>
        {
            int cpuCount = parsed.GetValue(cpus) is > 0 and int given ? given : CpuCount.ForSlabs();
            string? output = parsed.GetValue(json);
            return parsed.GetValue(compare) is { } folder
                ? Compare(console, folder, cpuCount, output)
                : Show(console, parsed.GetValue(size), parsed.GetValue(align), parsed.GetValue(rule)!, cpuCount, output);
        });
        return command;
    }

    private static int Compare(ToolConsole console, string folder, int cpus, string? json)
    {
        var caches = KernelSlabFolder.Read(folder, console.Note);
        if (caches.Count == 0)
        {
            throw new ToolException($"{folder}: no cache there; a folder like /sys/kernel/slab is expected");
        }

        LayoutReport report = LayoutReport.Compare(caches, cpus, (size, alignment) =>
        {
            KmemSlabLayout layout = KmemSlabLayout.Compute((nuint)size, (nuint)alignment, KmemSlabRule.Kernel, cpus);
            return (layout.Order, layout.ObjectsPerSlab);
        });
        if (json != "-")
        {
            LayoutView.Write(console.Out, report);
        }

        if (json != null)
        {
            JsonFile.Save(json, report, ToolJsonContext.Default.LayoutReport, console);
        }

        return report.Matched == report.Total ? 0 : 1;
    }

    private static int Show(ToolConsole console, long size, int align, string rule, int cpus, string? json)
    {
        KmemSlabLayout layout;
        try
        {
            KmemSlabRule slabRule = rule == "kernel" ? KmemSlabRule.Kernel : KmemSlabRule.Default;
            layout = KmemSlabLayout.Compute((nuint)size, (nuint)align, slabRule, cpus);
        }
        catch (ArgumentException exception)
        {
            throw new ToolException($"{size}: {exception.Message.Split('\n', 2)[0].TrimEnd()}", exception);
        }

        SlabLayoutReport report = new()
        {
            Rule = rule,
            Cpus = cpus,
            ObjectSize = size,
            Size = (long)layout.StrideBytes,
            Alignment = (long)layout.AlignmentBytes,
            Order = layout.Order,
            SlabBytes = (long)PageAllocator.PageSizeBytes << layout.Order,
            ObjectsPerSlab = layout.ObjectsPerSlab,
            TailBytes = (long)layout.TailBytes,
        };
        if (json != "-")
        {
            LayoutView.Write(console.Out, report);
        }

        if (json != null)
        {
            JsonFile.Save(json, report, ToolJsonContext.Default.SlabLayoutReport, console);
        }

        return 0;
    }
}
