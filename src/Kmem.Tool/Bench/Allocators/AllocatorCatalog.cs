using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Kmem.Tool.Bench.Report;
using Kmem.Tool.Hosting;

namespace Kmem.Tool.Bench.Allocators;

/// <summary>The allocators that are built in, and peers as the command line gives them.</summary>
internal static class AllocatorCatalog
{
    public const string ArrayPoolName = "arraypool";

    private const string SuppressedSuffix = "+sgt";

    /// <summary>Kmem first: the others are compared with it.</summary>
    public static IReadOnlyList<AllocatorSpec> BuiltIn { get; } =
    [
        new() { Name = "kmem", Description = "Kmalloc and KmemCache, best front end of the machine", Family = AllocatorFamily.Kmem },
        new() { Name = "kmem-lock", Description = "the same with the try-lock front end", Family = AllocatorFamily.Kmem, UsesTryLock = true },
        new() { Name = "native", Description = "NativeMemory: malloc of the C library", Family = AllocatorFamily.NativeMemory },
        new() { Name = ArrayPoolName, Description = "ArrayPool<byte>.Shared", Family = AllocatorFamily.Managed },
        new() { Name = "gc", Description = "new byte[]", Family = AllocatorFamily.Managed },
    ];

    /// <summary>A native library twice, as it is called by default and without transition: <c>NAME=PATH.so</c>.</summary>
    public static IEnumerable<AllocatorSpec> NativePeers(string argument)
    {
        (string name, string path) = Split(argument, "--peer", "NAME=PATH.so");
        string file = ExistingFile("--peer", path);

        // jemalloc refuses to be loaded late: its thread-local memory does not fit into what is left for late libraries.
        bool isPreloaded = Path.GetFileName(path).Contains("jemalloc", StringComparison.Ordinal);
        AllocatorSpec peer = new()
        {
            Name = name,
            Description = $"{Path.GetFileName(path)} by P/Invoke",
            Family = AllocatorFamily.NativePeer,
            Path = file,
            IsPreloaded = isPreloaded,
        };
        yield return peer;
        yield return peer with
        {
            Name = name + SuppressedSuffix,
            Description = $"{Path.GetFileName(path)} with SuppressGCTransition",
            Family = AllocatorFamily.NativePeerSuppressed,
        };
    }

    /// <summary>A class of an assembly: <c>NAME=PATH.dll:TYPE</c>.</summary>
    public static AllocatorSpec ManagedPeerOf(string argument)
    {
        const string Form = "NAME=PATH.dll:TYPE";
        (string name, string rest) = Split(argument, "--managed-peer", Form);
        int colon = rest.LastIndexOf(':');
        if (colon <= 0 || colon == rest.Length - 1)
        {
            throw new ToolException($"--managed-peer {argument}: must be {Form}");
        }

        return new AllocatorSpec
        {
            Name = name,
            Description = $"{rest[(colon + 1)..]} of {Path.GetFileName(rest[..colon])}",
            Family = AllocatorFamily.ManagedPeer,
            Path = ExistingFile("--managed-peer", rest[..colon]),
            TypeName = rest[(colon + 1)..],
        };
    }

    /// <summary>Kmem in an environment of its own: <c>NAME=VARIABLE=VALUE</c>.</summary>
    public static AllocatorSpec VariantOf(string argument)
    {
        const string Form = "NAME=VARIABLE=VALUE";
        (string name, string rest) = Split(argument, "--variant", Form);
        (string variable, string value) = Split(rest, "--variant", Form);
        return new AllocatorSpec
        {
            Name = name,
            Description = $"Kmem with {variable}={value}",
            Family = AllocatorFamily.Kmem,
            Variable = variable,
            VariableValue = value,
        };
    }

    /// <summary>Those named, in the order in which they are named; all where none is. An error for a name that nobody has or that two have.</summary>
    public static IReadOnlyList<AllocatorSpec> Select(IReadOnlyList<string> names, IEnumerable<AllocatorSpec> peers)
    {
        List<AllocatorSpec> all = [.. BuiltIn, .. peers];
        string? twice = all.GroupBy(static each => each.Name, StringComparer.OrdinalIgnoreCase).FirstOrDefault(static group => group.Count() > 1)?.Key;
        if (twice != null)
        {
            throw new ToolException($"two allocators are named '{twice}'");
        }

        return names.Count == 0 ? all : [.. names.Select(name => Find(all, name)).Distinct()];
    }

    private static AllocatorSpec Find(List<AllocatorSpec> all, string name) => all.Find(each => each.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
        ?? throw new ToolException($"no allocator is named '{name}'; there are {string.Join(", ", all.Select(static each => each.Name))}");

    private static (string Name, string Value) Split(string argument, string option, string form)
    {
        int equals = argument.IndexOf('=', StringComparison.Ordinal);
        return equals > 0 && equals < argument.Length - 1
            ? (argument[..equals], argument[(equals + 1)..])
            : throw new ToolException($"{option} {argument}: must be {form}");
    }

    private static string ExistingFile(string option, string path) => File.Exists(path)
        ? Path.GetFullPath(path)
        : throw new ToolException($"{option}: {path}: no such file");
}
