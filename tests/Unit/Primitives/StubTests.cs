using System;
using System.Runtime.InteropServices;
using Kmem.Engine;
using Kmem.Engine.Caches;
using Kmem.Engine.Primitives;
using Xunit;

namespace Kmem.Tests.Unit.Primitives;

/// <summary>The emitted operations on slots made by hand.</summary>
public sealed unsafe class StubTests
{
    private const string NoSequences = "This machine has no restartable sequences.";

    public StubTests() => Assert.SkipUnless(FaceStubs.Available, NoSequences);

    [Fact]
    public void Pop_takes_the_top_round_and_counts_down()
    {
        using SlotArea area = new(capacity: 14, rounds: 3);
        void* round = RestartableSequence.Pop(area.Slot);
        int cpu = SlotArea.CpuOf((nuint)round);
        Assert.Equal(SlotArea.Round(cpu, 2), (nuint)round);
        Assert.Equal(2, area.RoundsOf(cpu));
        Assert.Equal((area.CpuCount * 3) - 1, area.Rounds);
        Assert.True(new SlotWord(*area.WordOf(cpu)).Magazine == area.MagazineOf(cpu));
    }

    [Fact]
    public void Pop_empties_a_magazine_from_the_top_and_then_says_slow()
    {
        OneCpu.Run(() =>
        {
            using SlotArea area = new(capacity: 14, rounds: 14);
            for (int left = 13; left >= 0; left--)
            {
                nuint round = (nuint)RestartableSequence.Pop(area.Slot);
                Assert.Equal(SlotArea.Round(SlotArea.CpuOf(round), left), round);
            }

            Assert.True(RestartableSequence.Pop(area.Slot) == null);
            Assert.Equal((area.CpuCount - 1) * 14, area.Rounds);
        });
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Pop_of_nothing_says_slow_and_leaves_the_word_alone(bool withMagazine)
    {
        using SlotArea area = new(capacity: 14, rounds: 0, withMagazine);
        ulong before = *area.WordOf(0);
        Assert.True(RestartableSequence.Pop(area.Slot) == null);
        Assert.Equal(before, *area.WordOf(0));
        Assert.Equal(0, area.Rounds);
    }

    [Fact]
    public void Push_puts_a_round_on_top_and_counts_up()
    {
        using SlotArea area = new(capacity: 14, rounds: 5);
        Assert.True(RestartableSequence.Push(area.Slot, (void*)0x777));
        int cpu = area.ChangedCpu(roundsBefore: 5);
        Assert.InRange(cpu, 0, area.CpuCount - 1);
        Assert.Equal(6, area.RoundsOf(cpu));
        Assert.Equal((nuint)0x777, new SlotWord(*area.WordOf(cpu)).Top);
        for (int below = 0; below < 5; below++)
        {
            Assert.Equal(SlotArea.Round(cpu, below), Magazine.RoundsOf(area.MagazineOf(cpu))[below]);
        }
    }

    [Fact]
    public void Push_fills_a_magazine_to_its_capacity_and_no_further()
    {
        OneCpu.Run(() =>
        {
            using SlotArea area = new(capacity: 8, rounds: 0);
            for (int round = 0; round < 8; round++)
            {
                Assert.True(RestartableSequence.Push(area.Slot, (void*)(nuint)(0x1000 + (round * 16))));
            }

            Assert.False(RestartableSequence.Push(area.Slot, (void*)0x2000));
            Assert.Equal(8, area.Rounds);
            int cpu = area.ChangedCpu(roundsBefore: 0);
            Assert.Equal((nuint)0, Magazine.RoundsOf(area.MagazineOf(cpu))[8]);
        });
    }

    [Fact]
    public void Push_without_a_magazine_says_slow()
    {
        using SlotArea area = new(capacity: 14, rounds: 0, withMagazine: false);
        Assert.False(RestartableSequence.Push(area.Slot, (void*)0x1000));
        Assert.Equal(SlotWord.None, *area.WordOf(0));
    }

    [Fact]
    public void Push_of_the_top_round_again_says_slow()
    {
        OneCpu.Run(() =>
        {
            using SlotArea area = new(capacity: 14, rounds: 0);
            Assert.True(RestartableSequence.Push(area.Slot, (void*)0x1000));
            Assert.False(RestartableSequence.Push(area.Slot, (void*)0x1000));
            Assert.Equal(1, area.Rounds);
            Assert.True(RestartableSequence.Push(area.Slot, (void*)0x2000));
            Assert.True(RestartableSequence.Push(area.Slot, (void*)0x1000));
            Assert.Equal(3, area.Rounds);
        });
    }

    [Fact]
    public void Exchange_replaces_the_word_where_CPU_and_word_are_the_expected_ones()
    {
        using SlotArea area = new(capacity: 14, rounds: 4);
        bool exchanged = false;
        for (int cpu = 0; cpu < area.CpuCount; cpu++)
        {
            // Whoever moves between two tries may miss its CPU: the rounds are tried again below.
            ulong before = *area.WordOf(cpu);
            if (RestartableSequence.Exchange(area.Slot, cpu, before, SlotWord.None))
            {
                exchanged = true;
                Assert.Equal(SlotWord.None, *area.WordOf(cpu));
            }
            else
            {
                Assert.Equal(before, *area.WordOf(cpu));
            }
        }

        for (int attempt = 0; !exchanged && attempt < 1000; attempt++)
        {
            int cpu = RestartableSequence.CurrentCpu();
            exchanged = RestartableSequence.Exchange(area.Slot, cpu, *area.WordOf(cpu), SlotWord.None);
        }

        Assert.True(exchanged);
    }

    [Fact]
    public void Exchange_with_another_word_or_another_CPU_does_nothing()
    {
        using SlotArea area = new(capacity: 14, rounds: 4);
        for (int cpu = 0; cpu < area.CpuCount; cpu++)
        {
            ulong word = *area.WordOf(cpu);
            Assert.False(RestartableSequence.Exchange(area.Slot, cpu, word + 1, 77));
            Assert.False(RestartableSequence.Exchange(area.Slot, cpu + area.CpuCount, word, 77));
            Assert.False(RestartableSequence.Exchange(area.Slot, -1 - cpu, word, 77));
            Assert.Equal(word, *area.WordOf(cpu));
        }
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(5, 5)]
    [InlineData(6, 6)]
    [InlineData(7, 6)]
    [InlineData(1000, 6)]
    [InlineData(0, 0)]
    public void PopBulk_takes_what_is_there_from_the_top(int wanted, int expected)
    {
        using SlotArea area = new(capacity: 14, rounds: 6);
        nuint* rounds = stackalloc nuint[8];
        new Span<nuint>(rounds, 8).Clear();
        Assert.Equal(expected, RestartableSequence.PopBulk(area.Slot, rounds, wanted));
        Assert.Equal((area.CpuCount * 6) - expected, area.Rounds);
        for (int index = 0; index < expected; index++)
        {
            int cpu = SlotArea.CpuOf(rounds[0]);
            Assert.Equal(SlotArea.Round(cpu, 6 - expected + index), rounds[index]);
        }

        Assert.Equal((nuint)0, rounds[expected]);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(4, 4)]
    [InlineData(5, 4)]
    [InlineData(12, 4)]
    [InlineData(0, 0)]
    public void PushBulk_puts_what_there_is_room_for(int wanted, int expected)
    {
        using SlotArea area = new(capacity: 14, rounds: 10);
        nuint* rounds = stackalloc nuint[12];
        for (int index = 0; index < 12; index++)
        {
            rounds[index] = (nuint)(0x9000 + (index * 16));
        }

        Assert.Equal(expected, RestartableSequence.PushBulk(area.Slot, rounds, wanted));
        Assert.Equal((area.CpuCount * 10) + expected, area.Rounds);
        int cpu = area.ChangedCpu(roundsBefore: 10);
        for (int index = 0; index < expected; index++)
        {
            Assert.Equal(rounds[index], Magazine.RoundsOf(area.MagazineOf(cpu))[10 + index]);
        }

        Assert.Equal((nuint)0, Magazine.RoundsOf(area.MagazineOf(Math.Max(cpu, 0)))[14]);
    }

    [Theory]
    [InlineData(true, 0)]
    [InlineData(false, 0)]
    [InlineData(true, 14)]
    public void Bulk_operations_say_slow_where_nothing_can_be_done(bool withMagazine, int rounds)
    {
        using SlotArea area = new(capacity: 14, rounds, withMagazine);
        nuint round = 0x5000;
        if (rounds == 0)
        {
            Assert.Equal(0, RestartableSequence.PopBulk(area.Slot, &round, 1));
        }

        if (rounds == 14 || !withMagazine)
        {
            Assert.Equal(0, RestartableSequence.PushBulk(area.Slot, &round, 1));
        }

        Assert.Equal(area.CpuCount * rounds, area.Rounds);
        Assert.Equal((nuint)0x5000, round);
    }

    [Fact]
    public void The_current_CPU_is_one_that_has_slots() => Assert.InRange(RestartableSequence.CurrentCpu(), 0, Face.CpuCountMax() - 1);

    [Fact]
    public void A_CPU_without_slots_says_slow()
    {
        using SlotArea area = new(capacity: 14, rounds: 4);
        using EmittedCode code = new(cpuCount: 0, executable: true);
        nuint round = 0x5000;
        Assert.True(((delegate* unmanaged[SuppressGCTransition]<nuint, void*>)code.Stubs.Pop)(area.Slot) == null);
        Assert.Equal(0, ((delegate* unmanaged[SuppressGCTransition]<nuint, void*, int>)code.Stubs.Push)(area.Slot, (void*)round));
        Assert.Equal(0, ((delegate* unmanaged[SuppressGCTransition]<nuint, nuint*, int, int>)code.Stubs.PopBulk)(area.Slot, &round, 1));
        Assert.Equal(0, ((delegate* unmanaged[SuppressGCTransition]<nuint, nuint*, int, int>)code.Stubs.PushBulk)(area.Slot, &round, 1));
        Assert.Equal(area.CpuCount * 4, area.Rounds);
        Assert.Equal(RestartableSequence.CurrentCpu() >= 0, ((delegate* unmanaged[SuppressGCTransition]<int>)code.Stubs.CurrentCpu)() >= 0);
    }

    /// <summary>Linux answers a membarrier at once; a slot that was emptied stays so.</summary>
    [Fact]
    public void The_barrier_that_restarts_sequences_works() => Face.BarrierForRestartableSequences();

    [Fact]
    public void Words_hold_addresses_of_47_bits_and_rounds_of_16()
    {
        Magazine* magazine = (Magazine*)0x7FFF_FFFF_FF80;
        SlotWord word = new(magazine, 254);
        Assert.True(word.Magazine == magazine && word.HasMagazine);
        Assert.Equal(254, word.Rounds);
        Assert.Equal(255, word.Pushed.Rounds);
        Assert.Equal(253, word.Popped.Rounds);
        Assert.False(new SlotWord(SlotWord.None).HasMagazine);
        Assert.False(new SlotWord(SlotWord.Busy).HasMagazine);
        Assert.Equal(0, new SlotWord(SlotWord.Busy).Rounds);
        Assert.Equal(16, Magazine.HeaderBytes);
        Assert.Equal(16, sizeof(Magazine));
        Assert.Equal(0, (int)Marshal.OffsetOf<Magazine>(nameof(Magazine.Capacity)));
        Assert.Equal(8, (int)Marshal.OffsetOf<Magazine>(nameof(Magazine.Next)));
    }
}
