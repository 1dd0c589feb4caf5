using System.Runtime.InteropServices;

namespace Kmem.Engine.Caches;

/// <summary>
/// A stack of objects ("rounds") that are free to the caller and in use to the slab layer. 16 bytes of header, then the rounds,
/// then the *end*, a word that is no address and holds the capacity. The stubs of the restartable sequences know this layout.
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = HeaderBytes)]
internal unsafe struct Magazine
{
    public const int HeaderBytes = 16;

    /// <summary>Rounds that it takes; at most what its memory holds. Never changes while a thread or a CPU holds it.</summary>
    [FieldOffset(0)]
    public ushort Capacity;

    /// <summary>Rounds in it while it is in the depot; while a thread or a CPU holds it, the front's entry or the slot's word says.</summary>
    [FieldOffset(2)]
    public ushort Rounds;

    /// <summary>Which of the five sizes of magazine memory it is.</summary>
    [FieldOffset(4)]
    public ushort SizeClass;

    /// <summary>
    /// Next in the depot's list; null while a thread or a CPU holds it: pops of a front stop at this word, the one before the first round, and pushes
    /// compare it.
    /// </summary>
    [FieldOffset(8)]
    public Magazine* Next;

    /// <summary>No address has this bit.</summary>
    private const ulong EndBit = 1ul << 63;

    public static nuint* RoundsOf(Magazine* magazine) => (nuint*)((byte*)magazine + HeaderBytes);

    /// <summary>The magazine whose first round would be there.</summary>
    public static Magazine* OfRounds(nuint* rounds) => (Magazine*)((byte*)rounds - HeaderBytes);

    /// <summary>The magazine whose end is there.</summary>
    public static Magazine* OfEnd(nuint* end) => OfRounds(end - CapacityOfEnd(*end));

    public static bool IsEnd(nuint word) => (word & EndBit) != 0;

    public static int CapacityOfEnd(nuint word) => (int)(uint)word;

    /// <summary>Makes fresh memory a magazine. What was there before could be taken for an end.</summary>
    public static void Initialize(Magazine* magazine, int capacity, int sizeClass)
    {
        Face.Clear(magazine, MagazineSizing.BytesOf(sizeClass));
        magazine->Capacity = (ushort)capacity;
        magazine->SizeClass = (ushort)sizeClass;
        RoundsOf(magazine)[capacity] = (nuint)(EndBit | (uint)capacity);
    }

    /// <summary>Whether the words before the first round and after the last are as they must be.</summary>
    public static bool IsBounded(SlotWord word)
    {
        nuint* rounds = RoundsOf(word.Magazine);
        int capacity = word.Magazine->Capacity;
        return word.Rounds <= capacity && rounds[-1] == 0 && rounds[capacity] == (nuint)(EndBit | (uint)capacity);
    }

    /// <summary>Whether an object is among the rounds. For reports.</summary>
    public static bool Contains(SlotWord word, nuint round)
    {
        nuint* rounds = RoundsOf(word.Magazine);
        for (int index = 0; index < word.Rounds; index++)
        {
            if (rounds[index] == round)
            {
                return true;
            }
        }

        return false;
    }
}

/// <summary>
/// The 8-byte word of a slot: which magazine is loaded and how many rounds are in it: <c>address &lt;&lt; 16 | rounds</c>. User
/// addresses have 47 bits. Previous magazines, those of fronts too, are told in the same form.
/// </summary>
internal readonly unsafe struct SlotWord
{
    /// <summary>No magazine.</summary>
    public const ulong None = 0;

    /// <summary>Try-lock front end only: some thread has the word in hand.</summary>
    public const ulong Busy = 1;

    private const int AddressShift = 16;
    private const ulong RoundsMask = 0xFFFF;

    public readonly ulong Value;

    public SlotWord(ulong value) => Value = value;

    public SlotWord(Magazine* magazine, int rounds) => Value = ((ulong)magazine << AddressShift) | (uint)rounds;

    public Magazine* Magazine => (Magazine*)(Value >> AddressShift);

    public bool HasMagazine => Value >> AddressShift != 0;

    /// <summary>0 when there is no magazine.</summary>
    public int Rounds => HasMagazine ? (int)(Value & RoundsMask) : 0;

    public bool HasRoom => HasMagazine && Rounds < Magazine->Capacity;

    public nuint Top => Caches.Magazine.RoundsOf(Magazine)[Rounds - 1];

    public SlotWord Popped => new(Value - 1);

    public SlotWord Pushed => new(Value + 1);
}
