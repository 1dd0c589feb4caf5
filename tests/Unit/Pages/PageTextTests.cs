using System.IO;
using System.Linq;
using Kmem.Diagnostics;
using Kmem.Engine.Pages;
using Xunit;

namespace Kmem.Tests.Unit.Pages;

public sealed unsafe class PageTextTests
{
    [Fact]
    public void The_buddyinfo_row_is_the_kernels()
    {
        using TestZone zone = new();
        _ = Zone.AllocateBlock(zone, 4, Mobility.Movable, 0);
        string text = BuddyInfoText.Format(PageStatisticsReader.Read(zone), "Normal");
        Assert.Equal("Node 0, zone   Normal      0      0      0      0      1      1      1      1      1      1      0 \n", text);
    }

    [Fact]
    public void The_pagetypeinfo_text_is_the_kernels()
    {
        using TestZone zone = new();
        _ = Zone.AllocateBlock(zone, 4, Mobility.Unmovable, 0);
        string text = PageTypeInfoText.Format(PageStatisticsReader.Read(zone), "Normal");
        Assert.Equal(
            "Page block order: 9\n" +
            "Pages per block:  512\n" +
            "\n" +
            "Free pages count per migrate type at order       0      1      2      3      4      5      6      7      8      9     10 \n" +
            "Node    0, zone   Normal, type    Unmovable      0      0      0      0      1      1      1      1      1      1      0 \n" +
            "Node    0, zone   Normal, type      Movable      0      0      0      0      0      0      0      0      0      0      0 \n" +
            "Node    0, zone   Normal, type  Reclaimable      0      0      0      0      0      0      0      0      0      0      0 \n" +
            "\n" +
            "Number of blocks type     Unmovable      Movable  Reclaimable \n" +
            "Node 0, zone   Normal            2            0            0 \n",
            text);
    }

    [Fact]
    public void The_forms_are_those_of_the_running_kernel()
    {
        Assert.SkipUnless(File.Exists("/proc/buddyinfo"), "no /proc/buddyinfo");
        using TestZone zone = new();
        _ = Zone.AllocateBlock(zone, 0, Mobility.Movable, 0);
        string ours = BuddyInfoText.Format(PageStatisticsReader.Read(zone), "Normal");
        string kernels = File.ReadLines("/proc/buddyinfo").First(line => line.Contains("Normal") || line.Contains("DMA32")) + "\n";
        Assert.Equal(kernels.Length, ours.Length);
        Assert.Equal(kernels[..13], ours[..13]);
    }

    [Fact]
    public void The_parts_of_the_statistics_add_up()
    {
        using TestZone zone = new();
        _ = Zone.AllocateBlock(zone, 2, Mobility.Movable, 0);
        _ = Zone.AllocateRun(zone, 77, 4096, Mobility.Reclaimable);
        KmemPageStatistics pages = PageStatisticsReader.Read(zone);
        Assert.Equal(81, pages.AllocatedPages);
        Assert.Equal(pages.TotalPages, pages.FreePages + pages.AllocatedPages);
        Assert.Equal(pages.FreePages, pages.FreeBlocks.Select((blocks, order) => blocks << order).Sum());
        Assert.Equal(pages.TotalPages / 512, pages.PageblocksByMobility.Sum());
        Assert.True(pages.ListedPages is > 0 and <= 64);
        Assert.Equal(pages.FreePages - pages.ListedPages, pages.FreeBlocksByMobility.SelectMany(row => row.Select((blocks, order) => blocks << order)).Sum());
    }
}
