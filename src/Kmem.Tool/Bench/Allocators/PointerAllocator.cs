using System.Runtime.CompilerServices;

namespace Kmem.Tool.Bench.Allocators;

/// <summary>The least that an allocator of pointers has: <c>malloc</c>, <c>free</c>, <c>realloc</c>.</summary>
public unsafe interface IPointerAllocator
{
    /// <summary>At least so many bytes.</summary>
    public static abstract void* Alloc(nuint sizeBytes);

    /// <summary>Takes them back.</summary>
    public static abstract void Free(void* memory);

    /// <summary>The same bytes at another size.</summary>
    public static abstract void* Realloc(void* memory, nuint sizeBytes);
}

/// <summary>Anything with the interface of <c>malloc</c>. It has no types: they are sizes to it.</summary>
internal readonly unsafe struct PointerAllocator<TPointers> : IAllocator<NativeBlock>
    where TPointers : struct, IPointerAllocator
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static NativeBlock Alloc(int sizeBytes) => new(TPointers.Alloc((nuint)(uint)sizeBytes));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Free(NativeBlock block) => TPointers.Free(block.Address);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static NativeBlock Realloc(NativeBlock block, int oldSizeBytes, int newSizeBytes) => new(TPointers.Realloc(block.Address, (nuint)(uint)newSizeBytes));

    public static void DefineTypes(int[] sizesBytes)
    {
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static NativeBlock AllocTyped(int type, int sizeBytes) => Alloc(sizeBytes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void FreeTyped(int type, NativeBlock block) => Free(block);
}
