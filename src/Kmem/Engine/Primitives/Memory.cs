namespace Kmem.Engine.Primitives;

/// <summary>Fills and copies of plain bytes.</summary>
internal static unsafe class Memory
{
    public static void Clear(void* address, nuint bytes) => Face.Clear(address, bytes);

    public static void Fill(void* address, nuint bytes, byte value)
    {
        byte* at = (byte*)address;
        byte* end = at + bytes;
        for (ulong word = value * 0x0101010101010101ul; end - at >= 8; at += 8)
        {
            *(ulong*)at = word;
        }

        for (; at < end; at++)
        {
            *at = value;
        }
    }

    /// <summary>How many bytes from the start have the value.</summary>
    public static nuint FindOther(void* address, nuint bytes, byte value)
    {
        byte* at = (byte*)address;
        byte* end = at + bytes;
        for (ulong word = value * 0x0101010101010101ul; end - at >= 8 && *(ulong*)at == word;)
        {
            at += 8;
        }

        while (at < end && *at == value)
        {
            at++;
        }

        return (nuint)(at - (byte*)address);
    }

    /// <summary>The ranges do not overlap.</summary>
    public static void Copy(void* destination, void* source, nuint bytes) => Face.Copy(destination, source, bytes);
}
