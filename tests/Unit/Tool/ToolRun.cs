using System;
using System.IO;
using System.IO.Compression;
using System.Text;
using Kmem.Tool.Commands;
using Kmem.Tool.Hosting;

namespace Kmem.Tests.Unit.Tool;

/// <summary>Runs the command in this process and keeps what it prints.</summary>
internal sealed record ToolRun(int ExitCode, string Output, string Error)
{
    public static ToolRun Of(params string[] arguments) => OfWidth(ToolConsole.RedirectedWidth, arguments);

    public static ToolRun OfWidth(int width, params string[] arguments)
    {
        StringWriter output = new() { NewLine = "\n" };
        StringWriter error = new() { NewLine = "\n" };
        int exitCode = KmemCommand.Run(arguments, ToolConsole.ForCapture(output, error, width));
        return new ToolRun(exitCode, output.ToString(), error.ToString());
    }
}

/// <summary>A folder for the files of one test.</summary>
internal sealed class TestFolder : IDisposable
{
    public TestFolder()
    {
        Path = Directory.CreateTempSubdirectory("kmem-tool-").FullName;
    }

    public string Path { get; }

    public string this[string name] => System.IO.Path.Join(Path, name);

    public string Write(string name, string text)
    {
        File.WriteAllText(this[name], text);
        return this[name];
    }

    public string Write(string name, byte[] content)
    {
        File.WriteAllBytes(this[name], content);
        return this[name];
    }

    public static byte[] Gzip(string text)
    {
        using MemoryStream compressed = new();
        using (GZipStream gzip = new(compressed, CompressionLevel.Fastest, leaveOpen: true))
        {
            gzip.Write(Encoding.UTF8.GetBytes(text));
        }

        return compressed.ToArray();
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}

/// <summary>The traces that come with the project.</summary>
internal static class Traces
{
    public static string Filesystem => Path.Join(Root, "traces", "linux-6.18-filesystem.ftrace.gz");

    public static string Root
    {
        get
        {
            string folder = AppContext.BaseDirectory;
            while (!File.Exists(Path.Join(folder, "Kmem.slnx")))
            {
                folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("The tests run outside of the repository.");
            }

            return folder;
        }
    }
}

/// <summary>Lines of a trace for tests, as ftrace prints them.</summary>
internal static class Line
{
    public static string Kmalloc(ulong pointer, int size, int cpu = 0) =>
        Of("kmalloc", $"call_site=f+0x1/0x2 ptr={pointer:x16} bytes_req={size} bytes_alloc={size} gfp_flags=GFP_KERNEL node=-1 accounted=false", cpu);

    public static string Kfree(ulong pointer, int cpu = 0) => Of("kfree", $"call_site=f+0x1/0x2 ptr={pointer:x16}", cpu);

    public static string CacheAlloc(string name, ulong pointer, int size, int cpu = 0) =>
        Of("kmem_cache_alloc", $"call_site=f+0x1/0x2 ptr={pointer:x16} name={name} bytes_req={size} bytes_alloc={size} gfp_flags=GFP_KERNEL node=-1 accounted=false", cpu);

    public static string CacheFree(string name, ulong pointer, int cpu = 0) =>
        Of("kmem_cache_free", $"call_site=f+0x1/0x2 ptr={pointer:x16} name={name}", cpu);

    public static string PageAlloc(ulong frame, int order, int mobility = 1, int cpu = 0) =>
        Of("mm_page_alloc", $"page=00000000b1032d71 pfn=0x{frame:x} order={order} migratetype={mobility} gfp_flags=GFP_KERNEL", cpu);

    public static string PageFree(ulong frame, int order, int cpu = 0) =>
        Of("mm_page_free", $"page=00000000b1032d71 pfn=0x{frame:x} order={order}", cpu);

    public static string Of(string name, string fields, int cpu = 0) => $"          task-1       [{cpu:000}] .....     1.000000: {name}: {fields}\n";
}
