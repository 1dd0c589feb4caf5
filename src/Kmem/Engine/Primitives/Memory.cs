namespace Kmem.Engine.Primitives;

/// <summary>Fills and copies of plain bytes.</summary>
internal static unsafe class Memory
{
    public static void Clear(void* address, nuint bytes) => Face.Clear(address, bytes);

    /// <summary>The ranges do not overlap.</summary>
    public static void Copy(void* destination, void* source, nuint bytes) => Face.Copy(destination, source, bytes);
}
