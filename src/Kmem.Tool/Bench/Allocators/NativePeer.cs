using System;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Kmem.Tool.Hosting;

namespace Kmem.Tool.Bench.Allocators;

/// <summary>
/// A native library with <c>mi_malloc</c> or <c>malloc</c>, loaded once in the life of a process: the addresses become
/// constants of the code that calls them.
/// </summary>
internal static unsafe class NativePeer
{
    public static nint Malloc { get; private set; }

    public static nint Free { get; private set; }

    public static nint Realloc { get; private set; }

    /// <summary>Loads the library of this process.</summary>
    public static void Load(string path)
    {
        nint library;
        try
        {
            library = NativeLibrary.Load(path);
        }
        catch (Exception exception) when (exception is DllNotFoundException or BadImageFormatException)
        {
            throw new ToolException($"{path}: cannot be loaded: {exception.Message.TrimEnd().Split('\n')[^1].Trim()}", exception);
        }

        string prefix = NativeLibrary.TryGetExport(library, "mi_malloc", out _) ? "mi_" : "";
        Malloc = Export(library, path, prefix + "malloc");
        Free = Export(library, path, prefix + "free");
        Realloc = Export(library, path, prefix + "realloc");
    }

    private static nint Export(nint library, string path, string name) => NativeLibrary.TryGetExport(library, name, out nint address)
        ? address
        : throw new ToolException($"{path}: exports no '{name}'");
}

/// <summary>Through the runtime's ordinary transition, as a plain P/Invoke.</summary>
internal readonly unsafe struct NativePeerPointers : IPointerAllocator
{
    private static readonly delegate* unmanaged<nuint, void*> s_malloc = (delegate* unmanaged<nuint, void*>)NativePeer.Malloc;
    private static readonly delegate* unmanaged<void*, void> s_free = (delegate* unmanaged<void*, void>)NativePeer.Free;
    private static readonly delegate* unmanaged<void*, nuint, void*> s_realloc = (delegate* unmanaged<void*, nuint, void*>)NativePeer.Realloc;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void* Alloc(nuint sizeBytes) => s_malloc(sizeBytes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Free(void* memory) => s_free(memory);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void* Realloc(void* memory, nuint sizeBytes) => s_realloc(memory, sizeBytes);
}

/// <summary>Without transition. Fast, and the garbage collector waits while such a call faults pages in.</summary>
internal readonly unsafe struct NativePeerSuppressedPointers : IPointerAllocator
{
    private static readonly delegate* unmanaged[SuppressGCTransition]<nuint, void*> s_malloc = (delegate* unmanaged[SuppressGCTransition]<nuint, void*>)NativePeer.Malloc;
    private static readonly delegate* unmanaged[SuppressGCTransition]<void*, void> s_free = (delegate* unmanaged[SuppressGCTransition]<void*, void>)NativePeer.Free;
    private static readonly delegate* unmanaged[SuppressGCTransition]<void*, nuint, void*> s_realloc = (delegate* unmanaged[SuppressGCTransition]<void*, nuint, void*>)NativePeer.Realloc;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void* Alloc(nuint sizeBytes) => s_malloc(sizeBytes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Free(void* memory) => s_free(memory);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void* Realloc(void* memory, nuint sizeBytes) => s_realloc(memory, sizeBytes);
}
