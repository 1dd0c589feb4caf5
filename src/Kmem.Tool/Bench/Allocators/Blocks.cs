using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Kmem.Tool.Bench.Allocators;

/// <summary>Memory that the garbage collector does not see.</summary>
internal readonly unsafe struct NativeBlock : IBlock
{
    public readonly void* Address;

    public NativeBlock(void* address) => Address = address;

    public bool IsEmpty => Address == null;

    public ref byte Start => ref *(byte*)Address;
}

/// <summary>An array on the managed heap. A struct around it, so that workloads are compiled for it alone.</summary>
internal readonly struct ManagedBlock : IBlock
{
    public readonly byte[]? Array;

    public ManagedBlock(byte[] array) => Array = array;

    public bool IsEmpty => Array == null;

    public ref byte Start => ref MemoryMarshal.GetArrayDataReference(Array!);
}

/// <summary>What workloads do with a block: a mark at its start that is read back before it is freed.</summary>
internal static class BlockExtensions
{
    private const int PageSizeBytes = 4096;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write<TBlock>(this TBlock block, ulong mark)
        where TBlock : struct, IBlock => Unsafe.WriteUnaligned(ref block.Start, mark);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Read<TBlock>(this TBlock block)
        where TBlock : struct, IBlock => Unsafe.ReadUnaligned<ulong>(ref block.Start);

    /// <summary>Writes a byte to every page after the mark, as a user of the memory would.</summary>
    public static void TouchPages<TBlock>(this TBlock block, int sizeBytes)
        where TBlock : struct, IBlock
    {
        ref byte start = ref block.Start;
        for (int offset = PageSizeBytes; offset < sizeBytes; offset += PageSizeBytes)
        {
            Unsafe.Add(ref start, offset) = (byte)(offset >> 12);
        }
    }
}
