using System;
using System.Collections.Generic;
using System.Threading;
using Kmem.Engine;
using Kmem.Engine.Caches;
using Kmem.Engine.Primitives;
using Xunit;

namespace Kmem.Tests.Stress;

/// <summary>
/// The stubs alone, on slots made by hand: many more threads than CPUs pop and push while signals and moves interrupt them, and another thread
/// takes magazines away and loads them elsewhere. Then every round is there, once.
/// </summary>
public sealed unsafe class StubStormTests(ITestOutputHelper output)
{
    private const int Threads = 12;
    private const int Capacity = 14;

    [Theory]
    [InlineData(EmittedCode.OffsetOfMmCid)]
    [InlineData(EmittedCode.OffsetOfCpuId)]
    public void No_round_is_lost_or_doubled_by_signals_migrations_and_drains(int cpuOffset)
    {
        Assert.SkipUnless(FaceStubs.Available && Disturbance.IsPossible, "This machine has no restartable sequences.");
        Assert.SkipUnless(cpuOffset <= EmittedCode.CpuOffsetInUse, "This kernel has no numbers of running threads.");
        using SlotArea area = new(Capacity, rounds: 10);
        using EmittedCode code = new(Face.CpuCountMax(), executable: true, cpuOffset);
        using Disturbance disturbance = new();
        Storm storm = new(area, code.Stubs);
        storm.Blow(disturbance, seconds: 3, () => disturbance.Delivered > 200 && code.Aborts > 50 && storm.Drains > 50);
        storm.AssertComplete();
        output.WriteLine($"{storm.Operations} operations, {disturbance.Delivered} signals, {code.Aborts} aborts, {storm.Drains} drains, seed {Budget.Seed}");
        Assert.True(disturbance.Delivered > 200 && code.Aborts > 50 && storm.Drains > 50, "the storm did not blow");
    }

    /// <summary>The same storm over stubs whose interruption the kernel does not know of: a round is soon in two hands.</summary>
    [Fact]
    public void Stubs_that_are_not_restarted_are_caught()
    {
        Assert.SkipUnless(FaceStubs.Available && Disturbance.IsPossible, "This machine has no restartable sequences.");
        using SlotArea area = new(Capacity, rounds: 10);
        using EmittedCode code = new(Face.CpuCountMax(), executable: true, EmittedCode.CpuOffsetInUse, broken: true);
        using Disturbance disturbance = new();
        Storm storm = new(area, code.Stubs);
        Exception caught = Assert.ThrowsAny<Exception>(() =>
        {
            storm.Blow(disturbance, seconds: 10, () => true);
            storm.AssertComplete();
        });
        Assert.Equal(0, code.Aborts);
        output.WriteLine(caught.Message);
    }

    private sealed class Storm(SlotArea area, RestartableStubs stubs)
    {
        private readonly int[] _owners = new int[area.CpuCount * Capacity];
        private readonly List<nuint> _left = [];
        private readonly int _rounds = area.Rounds;
        private long _operations;
        private long _drains;

        public long Operations => _operations;

        public long Drains => Volatile.Read(ref _drains);

        public void Blow(Disturbance disturbance, double seconds, Func<bool> reached)
        {
            TimedCrew crew = new(seconds, reached);
            for (int thread = 0; thread < Threads; thread++)
            {
                crew.Start(random =>
                {
                    disturbance.Enter();
                    PopAndPush(crew, random);
                    disturbance.Leave();
                });
            }

            crew.Start(random => TakeAwayAndLoad(crew, random));
            crew.Join();
        }

        private void PopAndPush(TimedCrew crew, Random random)
        {
            const int HeldMax = 6;
            List<nuint> held = [];
            nuint* rounds = stackalloc nuint[4];
            long operations = 0;
            while (!crew.IsOver)
            {
                for (int step = 0; step < 500; step++, operations++)
                {
                    int kind = random.Next(8);
                    int count = 1 + random.Next(4);
                    if (kind < 3 && held.Count < HeldMax)
                    {
                        nuint round = (nuint)((delegate* unmanaged[SuppressGCTransition]<nuint, void*>)stubs.Pop)(area.Slot);
                        if (round != 0)
                        {
                            held.Add(Claim(round));
                        }
                    }
                    else if (kind == 3 && held.Count < HeldMax)
                    {
                        int taken = ((delegate* unmanaged[SuppressGCTransition]<nuint, nuint*, int, int>)stubs.PopBulk)(area.Slot, rounds, count);
                        for (int index = 0; index < taken; index++)
                        {
                            held.Add(Claim(rounds[index]));
                        }
                    }
                    else if (kind == 7)
                    {
                        HoldAMoment(held);
                    }
                    else if (kind == 4 && held.Count >= count)
                    {
                        for (int index = 0; index < count; index++)
                        {
                            rounds[index] = Release(held[^(index + 1)]);
                        }

                        int put = ((delegate* unmanaged[SuppressGCTransition]<nuint, nuint*, int, int>)stubs.PushBulk)(area.Slot, rounds, count);
                        held.RemoveRange(held.Count - count, count);
                        for (int index = put; index < count; index++)
                        {
                            held.Add(Claim(rounds[index]));
                        }
                    }
                    else if (held.Count != 0)
                    {
                        nuint round = Release(held[^1]);
                        held.RemoveAt(held.Count - 1);
                        if (((delegate* unmanaged[SuppressGCTransition]<nuint, void*, int>)stubs.Push)(area.Slot, (void*)round) == 0)
                        {
                            held.Add(Claim(round));
                        }
                    }
                }

                if (random.Next(8) == 0)
                {
                    Disturbance.Migrate(random);
                }
            }

            Leave(held, operations);
        }

        /// <summary>Nothing but sequences, so that interruptions mostly fall into one; claims between would take most of the time.</summary>
        private void HoldAMoment(List<nuint> held)
        {
            for (int pair = 0; pair < 100; pair++)
            {
                void* round = ((delegate* unmanaged[SuppressGCTransition]<nuint, void*>)stubs.Pop)(area.Slot);
                if (round != null && ((delegate* unmanaged[SuppressGCTransition]<nuint, void*, int>)stubs.Push)(area.Slot, round) == 0)
                {
                    held.Add(Claim((nuint)round));
                    return;
                }
            }
        }

        /// <summary>The protocol of a drain, word for word; what was taken is loaded where some CPU has nothing.</summary>
        private void TakeAwayAndLoad(TimedCrew crew, Random random)
        {
            List<SlotWord> magazines = [];
            while (!crew.IsOver)
            {
                ulong* word = area.WordOf(random.Next(area.CpuCount));
                ulong taken = Atomic.Load(word);
                while (Atomic.Load(word) != SlotWord.None)
                {
                    taken = Atomic.Exchange(word, SlotWord.None);
                    Face.BarrierForRestartableSequences();
                }

                if (taken != SlotWord.None)
                {
                    // From here on nobody can commit to the magazine: its rounds are nobody's.
                    SlotWord magazine = new(taken);
                    for (int index = 0; index < magazine.Rounds; index++)
                    {
                        _ = Release(Claim(Magazine.RoundsOf(magazine.Magazine)[index]));
                    }

                    magazines.Add(magazine);
                    _drains++;
                }

                Disturbance.Migrate(random);
                for (int attempt = 0; attempt < 20 && magazines.Count != 0; attempt++)
                {
                    int cpu = ((delegate* unmanaged[SuppressGCTransition]<int>)stubs.CurrentCpu)();
                    if (((delegate* unmanaged[SuppressGCTransition]<nuint, int, ulong, ulong, int>)stubs.Exchange)(area.Slot, cpu, SlotWord.None, magazines[^1].Value) != 0)
                    {
                        magazines.RemoveAt(magazines.Count - 1);
                    }
                }
            }

            List<nuint> held = [];
            foreach (SlotWord magazine in magazines)
            {
                for (int index = 0; index < magazine.Rounds; index++)
                {
                    held.Add(Claim(Magazine.RoundsOf(magazine.Magazine)[index]));
                }
            }

            Leave(held, 0);
        }

        /// <summary>What the words hold and what threads held at last are all rounds, each once.</summary>
        public void AssertComplete()
        {
            HashSet<nuint> all = [.. _left];
            Assert.Equal(_left.Count, all.Count);
            for (int cpu = 0; cpu < area.CpuCount; cpu++)
            {
                SlotWord word = new(*area.WordOf(cpu));
                for (int index = 0; index < word.Rounds; index++)
                {
                    Assert.True(all.Add(Magazine.RoundsOf(word.Magazine)[index]), $"seed {Budget.Seed}: a round is there twice");
                }
            }

            Assert.Equal(_rounds, all.Count);
        }

        private void Leave(List<nuint> held, long operations)
        {
            lock (_left)
            {
                _left.AddRange(held);
                _operations += operations;
            }
        }

        private nuint Claim(nuint round)
        {
            int previous = Interlocked.CompareExchange(ref OwnerOf(round), Environment.CurrentManagedThreadId, 0);
            return previous == 0 ? round : throw new InvalidOperationException($"0x{round:x} was handed out to thread {previous} and again");
        }

        private nuint Release(nuint round)
        {
            Volatile.Write(ref OwnerOf(round), 0);
            return round;
        }

        private ref int OwnerOf(nuint round)
        {
            int cpu = SlotArea.CpuOf(round);
            return ref _owners[(cpu * Capacity) + (int)((round - SlotArea.Round(cpu, 0)) / 16)];
        }
    }
}
