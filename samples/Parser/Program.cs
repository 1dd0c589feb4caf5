using System;
using System.CommandLine;
using System.IO;
using System.Text.Json;
using Kmem;
using Parser.Tree;

namespace Parser;

/// <summary>Parses JSON into a tree off the garbage collector's heap, or into System.Text.Json's tree, and answers a question about it.</summary>
internal static class Program
{
    private const int DepthMost = 1000;

    private static int Main(string[] arguments)
    {
        Argument<string> file = new("file") { Description = "The document; - is standard input.", DefaultValueFactory = _ => "-" };
        Option<string> path = new("--path") { Description = "A part of it, such as $.items[3].name or $['first name']; it is written, unless it is to be counted.", DefaultValueFactory = _ => "$" };
        Option<bool> print = new("--print") { Description = "Write that part." };
        Option<bool> count = new("--count") { Description = "Count the values in that part." };
        Option<string> store = new("--store") { Description = "kmem, or managed: System.Text.Json's JsonNode.", DefaultValueFactory = _ => "kmem" };
        store.AcceptOnlyFromAmong("kmem", "managed");
        Option<int> depth = new("--depth") { Description = $"How deep values may be nested; up to {DepthMost}.", DefaultValueFactory = _ => 64 };
        depth.Validators.Add(result => Require(result, result.GetValueOrDefault<int>() is >= 1 and <= DepthMost, $"--depth is 1 to {DepthMost}."));
        Option<int> megabytes = new("--memory") { Description = "MiB off the heap, in steps of 4; a larger document is refused. For kmem.", DefaultValueFactory = _ => 1024 };
        megabytes.Validators.Add(result => Require(result, result.GetValueOrDefault<int>() >= 4, "--memory is 4 or more."));
        Option<bool> verify = new("--verify") { Description = "Prove at the end that nothing is left off the heap." };
        RootCommand root = new("A JSON parser whose tree the garbage collector does not see.") { file, path, print, count, store, depth, megabytes, verify };
        root.SetAction(parsed => Run(new Request(
            parsed.GetValue(file)!,
            parsed.GetValue(path)!,
            parsed.GetValue(print) || (parsed.GetResult(path)?.Implicit == false && !parsed.GetValue(count)),
            parsed.GetValue(count),
            parsed.GetValue(store) == "managed",
            parsed.GetValue(depth),
            (long)parsed.GetValue(megabytes) << 20,
            parsed.GetValue(verify))));
        return root.Parse(arguments).Invoke();
    }

    private static int Run(Request request)
    {
        // The heap's size is the document's limit: without room to grow, an allocation fails before the machine is short of memory.
        using KmemHeap heap = new(new KmemHeapOptions { Name = "parser", ReserveBytes = (nuint)request.MemoryBytes, Growable = false });
        int exitCode = 0;
        try
        {
            Answer(request, heap);
        }
        catch (Exception exception) when (exception is BadInputException or IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine($"{request.FileShown}: {exception.Message}");
            exitCode = 1;
        }
        catch (OutOfMemoryException exception) when (!request.IsManaged)
        {
            Console.Error.WriteLine($"{request.File}: The document needs more than the {request.MemoryBytes >> 20} MiB that --memory allows. ({exception.Message})");
            exitCode = 1;
        }

        return request.Verifies && !IsEmpty(heap) ? 1 : exitCode;
    }

    private static void Answer(Request request, KmemHeap heap)
    {
        JsonPath path = JsonPath.Parse(request.Path);
        using Stream input = request.File == "-" ? Console.OpenStandardInput() : File.OpenRead(request.File);
        Summary summary = new();
        using IDocument document = request.IsManaged ? ManagedDocument.Parse(input, request.Depth) : KmemDocument.Parse(input, heap, request.Depth);
        if (request.Counts)
        {
            Console.WriteLine(document.Count(path));
        }

        if (request.Prints)
        {
            using Stream output = Console.OpenStandardOutput();
            using (Utf8JsonWriter writer = new(output, new JsonWriterOptions { MaxDepth = DepthMost, SkipValidation = true }))
            {
                document.Write(path, writer);
            }

            output.Write("\n"u8);
        }

        summary.Print(Console.Error, document, heap, request.MemoryBytes);
    }

    /// <summary>With the document disposed nothing of it may be left, whatever happened before.</summary>
    private static bool IsEmpty(KmemHeap heap)
    {
        KmemLeakReport leaks = heap.FindLeaks();
        bool isEmpty = leaks.Objects + leaks.UntrackedObjects == 0;
        Console.Error.WriteLine(isEmpty ? "verified    nothing is left off the heap" : leaks.Text);
        return isEmpty;
    }

    private static void Require(System.CommandLine.Parsing.OptionResult result, bool isRight, string message)
    {
        if (!isRight)
        {
            result.AddError(message);
        }
    }

    private sealed record Request(string File, string Path, bool Prints, bool Counts, bool IsManaged, int Depth, long MemoryBytes, bool Verifies)
    {
        public string FileShown => File == "-" ? "standard input" : File;
    }
}
