using System;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Kmem;

/// <summary>
/// <see cref="NativeMemory"/> on Kmem: the same names, parameters and results, so that a file or a project moves over with one line:
/// <c>using NativeMemory = Kmem.KmemNativeMemory;</c>, or the same as <c>global using</c>.
/// </summary>
/// <remarks>
/// <para>Memory is from <see cref="KmemHeap.Shared"/>. All that <see cref="Kmalloc"/> does for it is done here too: any thread may free, statistics, checks by letter, leaks by site.</para>
/// <para>What is different. Either <see cref="Free"/> takes what either kind of allocation gave; a wrong pointer throws <see cref="KmemMisuseException"/> instead of damaging the heap; memory from
/// <see cref="NativeMemory"/> itself is such a wrong pointer, so both must not be mixed. An alignment is 1 GiB at most.</para>
/// </remarks>
public static unsafe class KmemNativeMemory
{
    /// <summary>Memory that is not initialised. 0 bytes give a pointer of their own, too.</summary>
    /// <param name="byteCount">Bytes.</param>
    /// <returns>The memory, aligned to 16 bytes. Never null.</returns>
    /// <exception cref="OutOfMemoryException">Memory is out.</exception>
    /// <safety>As for <see cref="Kmalloc.Alloc"/>.</safety>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void* Alloc(nuint byteCount) => Kmalloc.Alloc(byteCount == 0 ? 1 : byteCount);

    /// <summary>Memory for so many elements.</summary>
    /// <param name="elementCount">Elements.</param>
    /// <param name="elementSize">Bytes of one.</param>
    /// <returns>As for <see cref="Alloc(nuint)"/>.</returns>
    /// <exception cref="OutOfMemoryException">Memory is out, or the product is no size.</exception>
    /// <safety>As for <see cref="Kmalloc.Alloc"/>.</safety>
    public static void* Alloc(nuint elementCount, nuint elementSize) => Alloc(Product(elementCount, elementSize));

    /// <summary>Memory that reads as zero.</summary>
    /// <param name="byteCount">Bytes.</param>
    /// <returns>As for <see cref="Alloc(nuint)"/>.</returns>
    /// <exception cref="OutOfMemoryException">Memory is out.</exception>
    /// <safety>As for <see cref="Kmalloc.Alloc"/>.</safety>
    public static void* AllocZeroed(nuint byteCount) => Kmalloc.AllocZeroed(byteCount == 0 ? 1 : byteCount);

    /// <summary>Memory for so many elements that reads as zero.</summary>
    /// <param name="elementCount">Elements.</param>
    /// <param name="elementSize">Bytes of one.</param>
    /// <returns>As for <see cref="Alloc(nuint)"/>.</returns>
    /// <exception cref="OutOfMemoryException">Memory is out, or the product is no size.</exception>
    /// <safety>As for <see cref="Kmalloc.Alloc"/>.</safety>
    public static void* AllocZeroed(nuint elementCount, nuint elementSize) => AllocZeroed(Product(elementCount, elementSize));

    /// <summary>Changes the size of an allocation; its bytes are kept up to the smaller size.</summary>
    /// <param name="ptr">An allocation, or null, which makes this an <see cref="Alloc(nuint)"/>.</param>
    /// <param name="byteCount">Bytes. 0 keeps an allocation, unlike <see cref="Kmalloc.Realloc"/>.</param>
    /// <returns>The allocation, moved or not.</returns>
    /// <exception cref="OutOfMemoryException">Memory is out; the allocation stays as it was.</exception>
    /// <exception cref="KmemMisuseException">As for <see cref="Kmalloc.Realloc"/>.</exception>
    /// <safety>As for <see cref="Kmalloc.Realloc"/>.</safety>
    public static void* Realloc(void* ptr, nuint byteCount) => Kmalloc.Realloc(ptr, byteCount == 0 ? 1 : byteCount);

    /// <summary>Frees an allocation of any method here.</summary>
    /// <param name="ptr">The allocation, or null, which does nothing.</param>
    /// <exception cref="KmemMisuseException">The pointer is not a live allocation.</exception>
    /// <safety>As for <see cref="Kmalloc.Free(void*)"/>.</safety>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Free(void* ptr) => Kmalloc.Free(ptr);

    /// <summary>Aligned memory that is not initialised.</summary>
    /// <param name="byteCount">Bytes.</param>
    /// <param name="alignment">A power of two, up to 1 GiB.</param>
    /// <returns>The memory. Never null.</returns>
    /// <exception cref="ArgumentException">The alignment is not such a number.</exception>
    /// <exception cref="OutOfMemoryException">Memory is out.</exception>
    /// <safety>As for <see cref="Kmalloc.Alloc"/>.</safety>
    public static void* AlignedAlloc(nuint byteCount, nuint alignment) => Kmalloc.AllocAligned(byteCount == 0 ? 1 : byteCount, alignment);

    /// <summary>Changes the size of an allocation, aligned too; its bytes are kept up to the smaller size.</summary>
    /// <param name="ptr">An allocation of any method here, or null, which makes this an <see cref="AlignedAlloc"/>.</param>
    /// <param name="byteCount">Bytes.</param>
    /// <param name="alignment">A power of two, up to 1 GiB. May differ from that of the allocation.</param>
    /// <returns>The allocation, moved or not.</returns>
    /// <exception cref="ArgumentException">The alignment is not such a number.</exception>
    /// <exception cref="OutOfMemoryException">Memory is out; the allocation stays as it was.</exception>
    /// <exception cref="KmemMisuseException">The pointer is not a live allocation.</exception>
    /// <safety>As for <see cref="Kmalloc.Realloc"/>.</safety>
    public static void* AlignedRealloc(void* ptr, nuint byteCount, nuint alignment)
    {
        if (ptr == null)
        {
            return AlignedAlloc(byteCount, alignment);
        }

        byteCount = byteCount == 0 ? 1 : byteCount;
        nuint usable = Kmalloc.UsableSize(ptr);
        bool stays = byteCount <= usable && byteCount >= usable / 2 && alignment != 0 && ((nuint)ptr & (alignment - 1)) == 0 && (alignment & (alignment - 1)) == 0;
        if (stays && Kmalloc.Realloc(ptr, byteCount) == ptr)
        {
            return ptr;
        }

        void* moved = Kmalloc.AllocAligned(byteCount, alignment);
        Buffer.MemoryCopy(ptr, moved, byteCount, byteCount < usable ? byteCount : usable);
        Kmalloc.Free(ptr);
        return moved;
    }

    /// <summary>The same as <see cref="Free"/>.</summary>
    /// <param name="ptr">The allocation, or null, which does nothing.</param>
    /// <exception cref="KmemMisuseException">The pointer is not a live allocation.</exception>
    /// <safety>As for <see cref="Kmalloc.Free(void*)"/>.</safety>
    public static void AlignedFree(void* ptr) => Kmalloc.Free(ptr);

    /// <inheritdoc cref="NativeMemory.Clear"/>
    /// <safety>The bytes are the caller's.</safety>
    public static void Clear(void* ptr, nuint byteCount) => NativeMemory.Clear(ptr, byteCount);

    /// <inheritdoc cref="NativeMemory.Copy"/>
    /// <safety>The bytes of both are the caller's.</safety>
    public static void Copy(void* source, void* destination, nuint byteCount) => NativeMemory.Copy(source, destination, byteCount);

    /// <inheritdoc cref="NativeMemory.Fill"/>
    /// <safety>The bytes are the caller's.</safety>
    public static void Fill(void* ptr, nuint byteCount, byte value) => NativeMemory.Fill(ptr, byteCount, value);

    private static nuint Product(nuint elementCount, nuint elementSize)
    {
        UInt128 product = (UInt128)elementCount * elementSize;
        return product <= nuint.MaxValue ? (nuint)product : throw new OutOfMemoryException($"Kmem: {elementCount} elements of {elementSize} bytes are more than any memory holds.");
    }
}
