using System.Runtime.InteropServices;

namespace Kmem.Engine.Caches;

/// <summary>
/// A stack of objects ("rounds") that are free to the caller and in use to the slab layer. 16 bytes of header, then the rounds.
/// The stubs of the restartable sequences know this layout.
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = HeaderBytes)]
internal unsafe struct Magazine
{
    public const int HeaderBytes = 16;

    /// <summary>Rounds that it takes; at most what its memory holds. Never changes while a CPU holds it.</summary>
    [FieldOffset(0)]
    public ushort Capacity;

    /// <summary>Rounds in it while it is in the depot; while a CPU holds it, the slot's word says.</summary>
    [FieldOffset(2)]
    public ushort Rounds;

    /// <summary>Which of the five sizes of magazine memory it is.</summary>
    [FieldOffset(4)]
    public ushort SizeClass;

    /// <summary>Next in the depot's list; null while a CPU holds it, since a push compares the word before the first round.</summary>
    [FieldOffset(8)]
    public Magazine* Next;

    public static nuint* RoundsOf(Magazine* magazine) => (nuint*)((byte*)magazine + HeaderBytes);
}

/// <summary>
/// The 8-byte word of a slot: which magazine is loaded and how many rounds are in it: <c>address &lt;&lt; 16 | rounds</c>. User
/// addresses have 47 bits.
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
