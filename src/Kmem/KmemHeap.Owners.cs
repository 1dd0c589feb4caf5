using System;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Kmem;

/// <summary>What code without pointers gets of a heap. Owners hold their heap and ask it before they touch memory: it may have gone, and all memory with it.</summary>
public sealed unsafe partial class KmemHeap
{
    /// <summary>One value with an owner that frees it: no pointer, no <c>unsafe</c>.</summary>
    /// <typeparam name="T">A type without references.</typeparam>
    /// <param name="isZeroed">Whether it reads as zero; else it is not initialised.</param>
    /// <returns>The owner.</returns>
    /// <exception cref="OutOfMemoryException">Memory is out.</exception>
    /// <exception cref="ObjectDisposedException">The heap was disposed.</exception>
    /// <remarks>Aligned to 16 bytes. For many values of a type, <see cref="KmemCache{T}.Rent"/> packs them more tightly and counts them by name.</remarks>
    public KmemOwned<T> AllocOwned<T>(bool isZeroed = false)
        where T : unmanaged => new(this, null, (T*)(isZeroed ? AllocZeroed((nuint)sizeof(T)) : Alloc((nuint)sizeof(T))));

    /// <summary>Memory with an owner that frees it, as <see cref="Memory{T}"/>: no pointer, no <c>unsafe</c>.</summary>
    /// <typeparam name="T">A type without references.</typeparam>
    /// <param name="length">Elements.</param>
    /// <param name="isZeroed">Whether it reads as zero; else it is not initialised.</param>
    /// <param name="alignmentBytes">A power of two up to 1 GiB; 0, the default, is 16.</param>
    /// <returns>The owner, which is an <see cref="System.Buffers.IMemoryOwner{T}"/>.</returns>
    /// <exception cref="ArgumentException">A negative length, or a number that is no alignment.</exception>
    /// <exception cref="OutOfMemoryException">Memory is out.</exception>
    /// <exception cref="ObjectDisposedException">The heap was disposed.</exception>
    public KmemMemory<T> AllocMemory<T>(int length, bool isZeroed = false, nuint alignmentBytes = 0)
        where T : unmanaged => new(this, length, isZeroed, alignmentBytes);

    /// <summary>Frees what an owner had. When the heap has gone, the memory went with it and there is nothing left to do.</summary>
    internal void FreeOfOwner(void* pointer)
    {
        if (!_disposed)
        {
            Free(pointer);
        }
    }

    /// <summary>For owners, before they touch memory of the heap.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void ThrowIfGone(object owner)
    {
        if (_disposed)
        {
            ThrowGone(owner.ToString() ?? "");
        }
    }

    [DoesNotReturn]
    [MethodImpl(MethodImplOptions.NoInlining)]
    internal void ThrowGone(string owner) => throw new ObjectDisposedException(owner, $"The heap '{Name}', which its memory is of, was disposed.");
}
