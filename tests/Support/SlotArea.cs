using System;
using System.Runtime.InteropServices;
using Kmem.Engine;
using Kmem.Engine.Caches;
using Kmem.Engine.Os;
using Kmem.Engine.Primitives;

namespace Kmem.Tests;

/// <summary>
/// The area of the CPUs made by hand: one slot and one magazine for each CPU. Rounds are numbers that say which CPU they are of, so that a test
/// need not know where it runs.
/// </summary>
internal sealed unsafe class SlotArea : IDisposable
{
    public const int CapacityMax = 14;

    private readonly OsTable _os = Face.SelectOs();
    private readonly byte* _area;
    private readonly byte* _magazines;

    public SlotArea(int capacity, int rounds, bool withMagazine = true)
    {
        CpuCount = Face.CpuCountMax();
        _area = (byte*)_os.Reserve(null, AreaBytes, Address.PageSizeBytes);
        _magazines = (byte*)NativeMemory.AllocZeroed((nuint)(CpuCount * MagazineBytes));
        for (int cpu = 0; cpu < CpuCount; cpu++)
        {
            if (!_os.Commit(null, _area + ((nuint)cpu << RestartableSequence.CpuAreaShift), Address.PageSizeBytes))
            {
                throw new OutOfMemoryException();
            }

            Magazine* magazine = MagazineOf(cpu);
            magazine->Capacity = (ushort)capacity;
            for (int round = 0; round < rounds; round++)
            {
                Magazine.RoundsOf(magazine)[round] = Round(cpu, round);
            }

            *WordOf(cpu) = withMagazine ? new SlotWord(magazine, rounds).Value : SlotWord.None;
        }
    }

    public int CpuCount { get; }

    public nuint Slot => (nuint)_area;

    private nuint AreaBytes => (nuint)CpuCount << RestartableSequence.CpuAreaShift;

    private static int MagazineBytes => 256;

    public static nuint Round(int cpu, int index) => (nuint)((cpu << 20) + 4096 + (index * 16));

    public static int CpuOf(nuint round) => (int)(round >> 20);

    public ulong* WordOf(int cpu) => (ulong*)(_area + ((nuint)cpu << RestartableSequence.CpuAreaShift));

    public Magazine* MagazineOf(int cpu) => (Magazine*)(_magazines + (cpu * MagazineBytes));

    public int RoundsOf(int cpu) => new SlotWord(*WordOf(cpu)).Rounds;

    /// <summary>Rounds of all CPUs.</summary>
    public int Rounds
    {
        get
        {
            int rounds = 0;
            for (int cpu = 0; cpu < CpuCount; cpu++)
            {
                rounds += RoundsOf(cpu);
            }

            return rounds;
        }
    }

    /// <summary>The one CPU whose word differs from the others' count of rounds; −1 if none does.</summary>
    public int ChangedCpu(int roundsBefore)
    {
        for (int cpu = 0; cpu < CpuCount; cpu++)
        {
            if (RoundsOf(cpu) != roundsBefore)
            {
                return cpu;
            }
        }

        return -1;
    }

    public void Dispose()
    {
        _os.Release(null, _area, AreaBytes);
        NativeMemory.Free(_magazines);
    }
}
