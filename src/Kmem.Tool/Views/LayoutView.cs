using System.Globalization;
using Kmem.Tool.Layout;
using Spectre.Console;

namespace Kmem.Tool.Views;

/// <summary>What <c>kmem layout</c> prints.</summary>
internal static class LayoutView
{
    public static void Write(IAnsiConsole console, LayoutReport report)
    {
        Tables table = Tables.Create(console, "<cache", "size", "order", "objects", "kernel order", "kernel objects", "<");
        foreach (LayoutCache cache in report.Caches)
        {
            table.Add(
                cache.Match ? Style.Plain : new Style(Color.Red),
                Tables.Shorten(cache.Name, 32),
                Number(cache.Size),
                Number(cache.Order),
                Number(cache.ObjectsPerSlab),
                Number(cache.KernelOrder),
                Number(cache.KernelObjectsPerSlab),
                cache.Match ? "" : "differs");
        }

        table.Write(console);
        console.WriteLine();
        console.WriteLine($"{report.Matched} of {report.Total} match, by the kernel's rule with {Units.Of(report.Cpus, "CPU")}.");
    }

    public static void Write(IAnsiConsole console, SlabLayoutReport report)
    {
        Tables table = Tables.CreateFacts(console);
        table.Add("object", $"{Units.Count(report.ObjectSize)} bytes");
        table.Add("stride", $"{Units.Count(report.Size)} bytes, aligned to {Units.Count(report.Alignment)}");
        table.Add("slab", $"order {report.Order}: {Units.Of(1L << report.Order, "page")}, {Units.Count(report.SlabBytes)} bytes");
        table.Add("objects", Units.Count(report.ObjectsPerSlab));
        table.Add("tail", $"{Units.Count(report.TailBytes)} bytes unused, {Units.Percent(report.TailBytes, report.SlabBytes)}");
        table.Add("efficiency", Units.Percent(report.ObjectsPerSlab * report.ObjectSize, report.SlabBytes));
        table.Add("rule", $"{report.Rule}, {Units.Of(report.Cpus, "CPU")}");
        table.Write(console);
    }

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);
}
