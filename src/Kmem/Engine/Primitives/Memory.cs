namespace Kmem.Engine.Primitives;

/// <summary>Fills and copies of plain bytes.</summary>
internal static unsafe class Memory
{
    public static void Clear(void* address, nuint bytes) => Face.Clear(address, bytes);

    public static void Fill(void* address, nuint bytes, byte value) => Face.Fill(address, bytes, value);

    /// <summary>How many bytes from the start have the value.</summary>
    public static nuint FindOther(void* address, nuint bytes, byte value) => Face.FindOther(address, bytes, value);

    /// <summary>The ranges do not overlap.</summary>
    public static void Copy(void* destination, void* source, nuint bytes) => Face.Copy(destination, source, bytes);
}
