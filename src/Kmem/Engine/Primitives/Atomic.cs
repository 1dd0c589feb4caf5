using System.Threading;

namespace Kmem.Engine.Primitives;

/// <summary>
/// The only file of the engine that names <c>Interlocked</c> and <c>Volatile</c>. A word that two threads may
/// touch is read and written through these: a plain read could be hoisted out of a loop by the JIT.
/// </summary>
/// <remarks>
/// Loads are acquire, stores are release, and the others are full fences, as in the .NET memory model.
/// </remarks>
internal static unsafe class Atomic
{
    public static int Load(int* location) => Volatile.Read(ref *location);

    public static uint Load(uint* location) => Volatile.Read(ref *location);

    public static long Load(long* location) => Volatile.Read(ref *location);

    public static ulong Load(ulong* location) => Volatile.Read(ref *location);

    public static nuint Load(nuint* location) => Volatile.Read(ref *location);

    public static void Store(byte* location, byte value) => Volatile.Write(ref *location, value);

    public static void Store(int* location, int value) => Volatile.Write(ref *location, value);

    public static void Store(uint* location, uint value) => Volatile.Write(ref *location, value);

    public static void Store(long* location, long value) => Volatile.Write(ref *location, value);

    public static void Store(ulong* location, ulong value) => Volatile.Write(ref *location, value);

    public static void Store(nuint* location, nuint value) => Volatile.Write(ref *location, value);

    public static int Exchange(int* location, int value) => Interlocked.Exchange(ref *location, value);

    public static ulong Exchange(ulong* location, ulong value) => Interlocked.Exchange(ref *location, value);

    /// <summary>Stores <paramref name="value"/> if the word is <paramref name="expected"/>; true if it did.</summary>
    public static bool CompareExchange(int* location, int expected, int value) =>
        Interlocked.CompareExchange(ref *location, value, expected) == expected;

    /// <inheritdoc cref="CompareExchange(int*, int, int)"/>
    public static bool CompareExchange(uint* location, uint expected, uint value) =>
        Interlocked.CompareExchange(ref *location, value, expected) == expected;

    /// <inheritdoc cref="CompareExchange(int*, int, int)"/>
    public static bool CompareExchange(ulong* location, ulong expected, ulong value) =>
        Interlocked.CompareExchange(ref *location, value, expected) == expected;

    /// <summary>Adds and returns the sum.</summary>
    public static long Add(long* location, long value) => Interlocked.Add(ref *location, value);

    /// <summary>The next of a sequence by chance, not 0; <paramref name="state"/> starts it. In one thread the same start gives the same sequence.</summary>
    /// <remarks>Source: xorshift64, Marsaglia, "Xorshift RNGs", 2003.</remarks>
    public static ulong NextRandom(ulong* state)
    {
        ulong before;
        ulong after;
        do
        {
            before = Load(state);
            after = before == 0 ? 0x9E3779B97F4A7C15 : before;
            after ^= after << 13;
            after ^= after >> 7;
            after ^= after << 17;
        }
        while (!CompareExchange(state, before, after));

        return after;
    }
}
