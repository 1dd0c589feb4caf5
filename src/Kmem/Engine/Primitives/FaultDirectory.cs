using System.Runtime.InteropServices;

namespace Kmem.Engine.Primitives;

// Theory of faults.
//
// Touching a guarded page raises SIGSEGV. Whose object it was must be said before the process dies, and in the handler of that signal nothing can be
// relied on: with a runtime in the process no managed code may run there. So what is to be said lies ready as text, one for each
// guarded object, kept up to date at each of its allocations and frees; and the handler is emitted code that finds the text by arithmetic and writes it to
// standard error with the system call. Then it jumps to the handler that was there before, as if it had never been: the runtime makes its own report, or a core
// is dumped, in which the texts are too.
//
//      pool      | guard | slot 0 | guard | slot 1 | guard | … | slot n−1 | guard |       pages
//      text      of slot i at Table + i × 4096:  | state (4) | bytes of text (4) | … | text |
//
//      fault in slot i                                        after the free of what was there
//      in a guard page, first half                            past the end of what is to the left
//      in a guard page, second half                           before the start of what is to the right
//
//      line      Kmem: read after the free, at 0x7f3a5c0123f8 <text>

/// <summary>One pool as the handler sees it.</summary>
internal struct FaultPool
{
    public const int SizeBytes = 32;

    public nuint Start;

    /// <summary>0: no pool.</summary>
    public nuint Bytes;
    public nuint Table;
    public nuint Slots;
}

/// <summary>What the handler of faults reads: one in a process, in a page of its own.</summary>
[StructLayout(LayoutKind.Explicit, Size = 4096)]
internal unsafe struct FaultDirectory
{
    public const int PoolsMax = 64;
    public const int CountOffset = 8;
    public const int PoolsOffset = 16;

    /// <summary>A <c>struct kernel_sigaction</c> of zeros: the default action.</summary>
    public const int DefaultActionOffset = 0x840;
    public const int DigitsOffset = 0x880;

    /// <summary>How the line begins: for each of three places a text for reads and one for writes, 64 bytes apart, each led by its length.</summary>
    public const int IntrosOffset = 0x900;
    private const int IntroBytes = 64;

    /// <summary>The handler that was there before; 0 the default one, 1 none.</summary>
    [FieldOffset(0)]
    public nuint Previous;

    /// <summary>Entries that were ever used.</summary>
    [FieldOffset(CountOffset)]
    public int Count;

    [FieldOffset(PoolsOffset)]
    private FaultPool _pools;

    [FieldOffset(DigitsOffset)]
    private byte _digits;

    [FieldOffset(IntrosOffset)]
    private byte _intros;

    /// <summary>Fills in the texts of a directory of zeros.</summary>
    public static void Initialize(FaultDirectory* directory)
    {
        fixed (byte* digits = "0123456789abcdef"u8)
        fixed (byte* readAfter = "Kmem: read after the free, at 0x"u8)
        fixed (byte* writtenAfter = "Kmem: written after the free, at 0x"u8)
        fixed (byte* readPast = "Kmem: read past the end, at 0x"u8)
        fixed (byte* writtenPast = "Kmem: written past the end, at 0x"u8)
        fixed (byte* readBefore = "Kmem: read before the start, at 0x"u8)
        fixed (byte* writtenBefore = "Kmem: written before the start, at 0x"u8)
        {
            Memory.Copy(&directory->_digits, digits, 16);
            SetIntro(directory, 0, readAfter);
            SetIntro(directory, 1, writtenAfter);
            SetIntro(directory, 2, readPast);
            SetIntro(directory, 3, writtenPast);
            SetIntro(directory, 4, readBefore);
            SetIntro(directory, 5, writtenBefore);
        }
    }

    /// <summary>From now on faults in the pool are told. False: there are too many pools. One caller at a time.</summary>
    public static bool TryAdd(FaultDirectory* directory, FaultPool pool)
    {
        FaultPool* pools = &directory->_pools;
        int index = 0;
        while (index < directory->Count && Atomic.Load(&pools[index].Bytes) != 0)
        {
            index++;
        }

        if (index == PoolsMax)
        {
            return false;
        }

        nuint bytes = pool.Bytes;
        pool.Bytes = 0;
        pools[index] = pool;
        Atomic.Store(&pools[index].Bytes, bytes);
        if (index == directory->Count)
        {
            Atomic.Store(&directory->Count, index + 1);
        }

        return true;
    }

    /// <summary>The pool that starts there is no more. One caller at a time.</summary>
    public static void Remove(FaultDirectory* directory, nuint start)
    {
        FaultPool* pools = &directory->_pools;
        for (int index = 0; index < directory->Count; index++)
        {
            if (pools[index].Start == start)
            {
                Atomic.Store(&pools[index].Bytes, 0);
            }
        }
    }

    private static void SetIntro(FaultDirectory* directory, int index, byte* text)
    {
        byte* intro = &directory->_intros + (index * IntroBytes);
        byte length = 0;
        while (text[length] != 0)
        {
            intro[1 + length] = text[length];
            length++;
        }

        *intro = length;
    }
}
