using System;
using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Kmem.Tool.Bench.Allocators;

/// <summary>The shared heap of Kmem; types are caches.</summary>
internal readonly unsafe struct KmemAllocator : IAllocator<NativeBlock>
{
    private static KmemCache[] s_caches = [];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static NativeBlock Alloc(int sizeBytes) => new(Kmalloc.Alloc((nuint)(uint)sizeBytes));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Free(NativeBlock block) => Kmalloc.Free(block.Address);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static NativeBlock Realloc(NativeBlock block, int oldSizeBytes, int newSizeBytes) => new(Kmalloc.Realloc(block.Address, (nuint)(uint)newSizeBytes));

    public static void DefineTypes(int[] sizesBytes)
    {
        s_caches = new KmemCache[sizesBytes.Length];
        for (int type = 0; type < sizesBytes.Length; type++)
        {
            s_caches[type] = new KmemCache($"type-{type}", (nuint)sizesBytes[type]);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static NativeBlock AllocTyped(int type, int sizeBytes) => new(s_caches[type].Alloc());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void FreeTyped(int type, NativeBlock block) => s_caches[type].Free(block.Address);
}

internal readonly unsafe struct NativeMemoryPointers : IPointerAllocator
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void* Alloc(nuint sizeBytes) => NativeMemory.Alloc(sizeBytes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Free(void* memory) => NativeMemory.Free(memory);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void* Realloc(void* memory, nuint sizeBytes) => NativeMemory.Realloc(memory, sizeBytes);
}

/// <summary>Arrays that are rented and returned.</summary>
internal readonly struct ArrayPoolAllocator : IAllocator<ManagedBlock>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ManagedBlock Alloc(int sizeBytes) => new(ArrayPool<byte>.Shared.Rent(sizeBytes));

    // Workloads free an empty slot before they fill it; the others take null for that.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Free(ManagedBlock block)
    {
        if (block.Array != null)
        {
            ArrayPool<byte>.Shared.Return(block.Array);
        }
    }

    public static ManagedBlock Realloc(ManagedBlock block, int oldSizeBytes, int newSizeBytes)
    {
        if (block.Array!.Length >= newSizeBytes)
        {
            return block;
        }

        ManagedBlock larger = Alloc(newSizeBytes);
        Buffer.BlockCopy(block.Array, 0, larger.Array!, 0, oldSizeBytes);
        Free(block);
        return larger;
    }

    public static void DefineTypes(int[] sizesBytes)
    {
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ManagedBlock AllocTyped(int type, int sizeBytes) => Alloc(sizeBytes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void FreeTyped(int type, ManagedBlock block) => Free(block);
}

/// <summary>Arrays that the garbage collector frees.</summary>
internal readonly struct GarbageCollectedAllocator : IAllocator<ManagedBlock>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ManagedBlock Alloc(int sizeBytes) => new(new byte[sizeBytes]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Free(ManagedBlock block)
    {
    }

    public static ManagedBlock Realloc(ManagedBlock block, int oldSizeBytes, int newSizeBytes)
    {
        ManagedBlock other = new(new byte[newSizeBytes]);
        Buffer.BlockCopy(block.Array!, 0, other.Array!, 0, Math.Min(oldSizeBytes, newSizeBytes));
        return other;
    }

    public static void DefineTypes(int[] sizesBytes)
    {
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ManagedBlock AllocTyped(int type, int sizeBytes) => Alloc(sizeBytes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void FreeTyped(int type, ManagedBlock block)
    {
    }
}
