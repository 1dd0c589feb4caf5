using System;
using System.Globalization;
using System.IO;

namespace Kmem.Tool.Layout;

/// <summary>
/// The number of CPUs by which the kernel sizes slabs: those present, or, where only one is (a virtual machine that
/// starts so), those possible.
/// </summary>
internal static class CpuCount
{
    private const string Folder = "/sys/devices/system/cpu";

    /// <summary>The number for this machine.</summary>
    public static int ForSlabs()
    {
        int present = ReadList("present");
        if (present == 1)
        {
            present = Math.Max(present, ReadList("possible"));
        }

        return present > 0 ? present : Environment.ProcessorCount;
    }

    /// <summary>Counts a list of ranges such as <c>0-3,8</c>; 0 where it is none.</summary>
    public static int CountOf(string list)
    {
        int count = 0;
        foreach (string range in list.Trim().Split(','))
        {
            string[] ends = range.Split('-');
            if (ends.Length > 2
                || !int.TryParse(ends[0], NumberStyles.None, CultureInfo.InvariantCulture, out int first)
                || !int.TryParse(ends[^1], NumberStyles.None, CultureInfo.InvariantCulture, out int last)
                || last < first)
            {
                return 0;
            }

            count += last - first + 1;
        }

        return count;
    }

    private static int ReadList(string file)
    {
        try
        {
            return CountOf(File.ReadAllText(Path.Join(Folder, file)));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return 0;
        }
    }
}
