using System.Runtime.InteropServices;
using Kmem.Engine.Primitives;

namespace Kmem.Engine.Caches;

/// <summary>
/// What one CPU keeps for one cache beside the slot's word: the previous magazine, a shelf of others, and counters. Only slow rungs come
/// here. 128 bytes, so that two CPUs never share a line.
/// </summary>
/// <remarks>
/// <code>
///   area of CPU n (2 MiB of addresses):   | words, 8 bytes a cache | CpuSlots, 128 bytes a cache |
///                                         0                      64 KiB                    1088 KiB
/// </code>
/// Everything is zero for a cache that was never used on the CPU.
/// </remarks>
[StructLayout(LayoutKind.Explicit, Size = SizeBytes)]
internal unsafe struct CpuSlot
{
    public const int SizeBytes = 128;

    /// <summary>Rank <see cref="LockRank.CpuSlot"/>. Guards the fields and every replacement of the loaded magazine.</summary>
    [FieldOffset(0)]
    public RankedLock Lock;

    /// <summary>Maintenance passes that found this slot unused.</summary>
    [FieldOffset(4)]
    public int IdlePasses;

    /// <summary>A <see cref="SlotWord"/>: the magazine that was loaded before.</summary>
    [FieldOffset(8)]
    public ulong Previous;

    [FieldOffset(16)]
    public long AllocFromPrevious;

    [FieldOffset(24)]
    public long AllocFromDepot;

    [FieldOffset(32)]
    public long AllocFromSlab;

    [FieldOffset(40)]
    public long FreeToPrevious;

    [FieldOffset(48)]
    public long FreeToDepot;

    [FieldOffset(56)]
    public long FreeToSlab;

    /// <summary>What maintenance saw last: the word and the sum of the counters.</summary>
    [FieldOffset(64)]
    public ulong SeenWord;

    [FieldOffset(72)]
    public long SeenVisits;

    /// <summary>Magazines at hand.</summary>
    [FieldOffset(80)]
    public Shelf Shelf;

    /// <summary>Visits of the shelf since the capacity of magazines changed.</summary>
    [FieldOffset(112)]
    public int ShelfVisits;

    /// <summary>Watched places on top of this CPU's magazines: see <see cref="Sampling"/>. Atomic.</summary>
    [FieldOffset(116)]
    public uint HotSamples;

    public readonly long Visits =>
        AllocFromPrevious + AllocFromDepot + AllocFromSlab + FreeToPrevious + FreeToDepot + FreeToSlab;
}

/// <summary>
/// The front end for machines without restartable sequences: the same words; whoever exchanges one with <see cref="SlotWord.Busy"/>
/// has it in hand until it stores a word again. Finding it busy is "slow": the next rung is taken, nobody spins.
/// </summary>
/// <remarks>One locked instruction an operation. The CPU is a hint here: any CPU's slot would do.</remarks>
internal static unsafe class TryLockFrontEnd
{
    public static void* Pop(ulong* slot)
    {
        SlotWord word = new(Atomic.Exchange(slot, SlotWord.Busy));
        if (word.Value == SlotWord.Busy)
        {
            return null;
        }

        if (word.Rounds == 0)
        {
            Atomic.Store(slot, word.Value);
            return null;
        }

        void* round = (void*)word.Top;
        Atomic.Store(slot, word.Popped.Value);
        return round;
    }

    public static bool Push(ulong* slot, void* round)
    {
        SlotWord word = new(Atomic.Exchange(slot, SlotWord.Busy));
        if (word.Value == SlotWord.Busy)
        {
            return false;
        }

        if (!word.HasRoom || (word.Rounds != 0 && word.Top == (nuint)round))
        {
            Atomic.Store(slot, word.Value);
            return false;
        }

        Magazine.RoundsOf(word.Magazine)[word.Rounds] = (nuint)round;
        Atomic.Store(slot, word.Pushed.Value);
        return true;
    }

    public static int PopBulk(ulong* slot, nuint* rounds, int count)
    {
        SlotWord word = new(Atomic.Exchange(slot, SlotWord.Busy));
        if (word.Value == SlotWord.Busy)
        {
            return 0;
        }

        int taken = word.Rounds < count ? word.Rounds : count;
        for (int index = 0; index < taken; index++)
        {
            rounds[index] = Magazine.RoundsOf(word.Magazine)[word.Rounds - taken + index];
        }

        Atomic.Store(slot, word.Value - (uint)taken);
        return taken;
    }

    public static int PushBulk(ulong* slot, nuint* rounds, int count)
    {
        SlotWord word = new(Atomic.Exchange(slot, SlotWord.Busy));
        if (word.Value == SlotWord.Busy)
        {
            return 0;
        }

        int room = word.HasMagazine ? word.Magazine->Capacity - word.Rounds : 0;
        int put = room < count ? room : count;
        for (int index = 0; index < put; index++)
        {
            Magazine.RoundsOf(word.Magazine)[word.Rounds + index] = rounds[index];
        }

        Atomic.Store(slot, word.Value + (uint)put);
        return put;
    }
}
