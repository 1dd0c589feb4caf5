using System.Runtime.InteropServices;
using Kmem.Engine.Primitives;

namespace Kmem.Engine.Caches;

/// <summary>
/// Full and empty magazines of one cache that one CPU keeps at hand, before the depot that all share: what a CPU freed it
/// allocates again, while it is in its cache, and two CPUs that do not hand objects to each other touch nothing in common.
/// </summary>
/// <remarks>Guard: the lock of the CPU's slot. Working set as for <see cref="Depot"/>.</remarks>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct Shelf
{
    /// <summary>Bytes of objects on a shelf at most.</summary>
    private const uint BytesMax = 512 * 1024;

    private const int MagazinesLeast = 2;
    private const int EmptyMax = 32;

    private Magazine* _full;
    private Magazine* _empty;

    /// <summary>Rounds in the full ones.</summary>
    public int Rounds;

    /// <summary>Magazines of each kind, and the least since the last maintenance.</summary>
    public ushort FullCount;

    public ushort EmptyCount;
    public ushort FullLeast;
    public ushort EmptyLeast;

    /// <summary>Rounds that a shelf takes of objects of a stride.</summary>
    public static int RoundsMaxFor(uint strideBytes)
    {
        int byBytes = (int)(BytesMax / strideBytes);
        int least = MagazinesLeast * MagazineSizing.StartFor(strideBytes);
        return byBytes > least ? byBytes : least;
    }

    /// <summary>A magazine with rounds, or null.</summary>
    public static Magazine* TakeFull(Shelf* shelf)
    {
        Magazine* magazine = shelf->_full;
        if (magazine != null)
        {
            shelf->_full = magazine->Next;
            shelf->FullCount--;
            shelf->Rounds -= magazine->Rounds;
            shelf->FullLeast = shelf->FullCount < shelf->FullLeast ? shelf->FullCount : shelf->FullLeast;
            magazine->Next = null;
        }

        return magazine;
    }

    /// <summary>False when the shelf holds enough.</summary>
    public static bool TryPutFull(Shelf* shelf, Magazine* magazine, int rounds, int roundsMax)
    {
        Invariant.Holds(rounds > 0 && rounds <= magazine->Capacity);
        if (shelf->Rounds + rounds > roundsMax)
        {
            return false;
        }

        magazine->Rounds = (ushort)rounds;
        magazine->Next = shelf->_full;
        shelf->_full = magazine;
        shelf->FullCount++;
        shelf->Rounds += rounds;
        return true;
    }

    /// <summary>An empty magazine, or null.</summary>
    public static Magazine* TakeEmpty(Shelf* shelf)
    {
        Magazine* magazine = shelf->_empty;
        if (magazine != null)
        {
            shelf->_empty = magazine->Next;
            shelf->EmptyCount--;
            shelf->EmptyLeast = shelf->EmptyCount < shelf->EmptyLeast ? shelf->EmptyCount : shelf->EmptyLeast;
            magazine->Next = null;
        }

        return magazine;
    }

    /// <summary>False when the shelf holds enough.</summary>
    public static bool TryPutEmpty(Shelf* shelf, Magazine* magazine)
    {
        if (shelf->EmptyCount >= EmptyMax)
        {
            return false;
        }

        magazine->Rounds = 0;
        magazine->Next = shelf->_empty;
        shelf->_empty = magazine;
        shelf->EmptyCount++;
        return true;
    }

    /// <summary>Takes off what nobody needed since the last call, as a chain through Next; starts a new interval.</summary>
    public static Magazine* TakeUnneeded(Shelf* shelf)
    {
        Magazine* chain = null;
        for (int full = shelf->FullLeast; full > 0; full--)
        {
            Magazine* magazine = TakeFull(shelf);
            magazine->Next = chain;
            chain = magazine;
        }

        for (int empty = shelf->EmptyLeast; empty > 0; empty--)
        {
            Magazine* magazine = TakeEmpty(shelf);
            magazine->Next = chain;
            chain = magazine;
        }

        (shelf->FullLeast, shelf->EmptyLeast) = (shelf->FullCount, shelf->EmptyCount);
        return chain;
    }

    /// <summary>Takes everything off, as a chain through Next.</summary>
    public static Magazine* TakeAll(Shelf* shelf)
    {
        (shelf->FullLeast, shelf->EmptyLeast) = (shelf->FullCount, shelf->EmptyCount);
        return TakeUnneeded(shelf);
    }

    /// <summary>Whether an object is in a full magazine. For reports.</summary>
    public static bool Contains(Shelf* shelf, nuint round)
    {
        bool found = false;
        for (Magazine* magazine = shelf->_full; magazine != null && !found; magazine = magazine->Next)
        {
            found = Magazine.Contains(new SlotWord(magazine, magazine->Rounds), round);
        }

        return found;
    }

    /// <summary>Recounts the lists.</summary>
    public static bool IsValid(Shelf* shelf)
    {
        int full = 0;
        int rounds = 0;
        int empty = 0;
        for (Magazine* magazine = shelf->_full; magazine != null && full <= shelf->FullCount; magazine = magazine->Next)
        {
            full++;
            rounds += magazine->Rounds;
        }

        for (Magazine* magazine = shelf->_empty; magazine != null && empty <= shelf->EmptyCount; magazine = magazine->Next)
        {
            empty++;
        }

        return full == shelf->FullCount && empty == shelf->EmptyCount && rounds == shelf->Rounds;
    }
}
