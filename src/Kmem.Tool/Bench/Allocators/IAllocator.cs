namespace Kmem.Tool.Bench.Allocators;

/// <summary>
/// An allocator as a type argument: the JIT compiles each workload once for each of them, with the calls inlined as if they
/// had been written there.
/// </summary>
/// <typeparam name="TBlock">What it hands out.</typeparam>
internal interface IAllocator<TBlock>
    where TBlock : struct, IBlock
{
    /// <summary>At least so many bytes, not cleared unless the allocator cannot do without.</summary>
    public static abstract TBlock Alloc(int sizeBytes);

    public static abstract void Free(TBlock block);

    /// <summary>The same bytes in a block of another size; the old one is gone.</summary>
    public static abstract TBlock Realloc(TBlock block, int oldSizeBytes, int newSizeBytes);

    /// <summary>Prepares for objects of so many types; their number is their name.</summary>
    public static abstract void DefineTypes(int[] sizesBytes);

    /// <summary>An object of a type; <paramref name="sizeBytes"/> is what was defined.</summary>
    public static abstract TBlock AllocTyped(int type, int sizeBytes);

    public static abstract void FreeTyped(int type, TBlock block);
}

/// <summary>Memory from an allocator; the default value is no memory.</summary>
internal interface IBlock
{
    public bool IsEmpty { get; }

    /// <summary>The first byte, for as long as the block lives.</summary>
    public ref byte Start { get; }
}
