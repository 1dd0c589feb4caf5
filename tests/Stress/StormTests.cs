using System;
using System.Collections.Concurrent;
using System.Linq;
using System.Runtime.InteropServices;
using System.Threading;
using Xunit;

namespace Kmem.Tests.Stress;

/// <summary>
/// The slots of the CPUs under everything that interrupts a sequence: preemption (more threads than CPUs), signals sent to
/// the working threads, migrations that the threads ask for, and drains that take magazines away.
/// </summary>
public sealed unsafe class StormTests(ITestOutputHelper output)
{
    private const int Threads = 10;
    private const int LiveOfThread = 300;
    private const long OperationsWanted = 15_000_000;

    private static readonly int[] s_sizes = [16, 64, 96, 208, 1024];

    public static TheoryData<KmemFrontEnd> FrontEnds => [KmemFrontEnd.RestartableSequences, KmemFrontEnd.TryLock];

    [Theory]
    [MemberData(nameof(FrontEnds))]
    public void No_object_is_lost_or_handed_out_twice_in_a_storm_of_signals_migrations_and_drains(KmemFrontEnd frontEnd)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64, "sends signals and moves threads as x64 Linux does");
        int seed = Environment.TickCount;
        output.WriteLine($"seed {seed}");
        long handled = 0;
#pragma warning disable CA1416 // Skipped above where there is no such signal.
        using PosixSignalRegistration registration = PosixSignalRegistration.Create(PosixSignal.SIGWINCH, _ => Interlocked.Increment(ref handled));
#pragma warning restore CA1416
        using KmemHeap heap = new(new KmemHeapOptions { FrontEnd = frontEnd, MaintenanceIntervalMilliseconds = 0 });

        ConcurrentQueue<Parcel> mail = [];
        ConcurrentDictionary<int, bool> workers = [];
        Crew crew = new();
        long operations = 0;
        long sent = 0;
        long drains = 0;
        for (int index = 0; index < Threads; index++)
        {
            int number = index;
            crew.Add(() => Work(heap, number, seed + number, mail, workers, ref operations, crew));
        }

        crew.Add(() =>
        {
            while (!crew.IsStopped)
            {
                foreach (int worker in workers.Keys)
                {
                    sent += Linux.Interrupt(worker) ? 1 : 0;
                }

                Thread.SpinWait(2000);
            }
        });
        crew.Add(() =>
        {
            for (; !crew.IsStopped; drains++)
            {
                _ = heap.Trim();
                heap.Maintain();
                _ = heap.GetStatistics();
            }
        });

        SpinWait.SpinUntil(() => crew.IsStopped || Volatile.Read(ref operations) >= OperationsWanted);
        crew.Stop();
        crew.Join();
        while (mail.TryDequeue(out Parcel parcel))
        {
            Ownership.CheckAndWipe(parcel.Address, parcel.SizeBytes, parcel.Tag);
            heap.Free((void*)parcel.Address);
        }

        output.WriteLine($"{operations} operations, {sent} signals sent, {handled} handled, {drains} drains");
        Assert.True(sent > 100, "the storm did not blow");
        Assert.True(drains > 3, "nothing was drained");
        heap.Validate();
        Assert.Equal(0, heap.GetStatistics().Caches.Where(cache => !cache.IsInternal).Sum(cache => cache.LiveObjects));
        _ = heap.Trim();
        heap.Validate();
        Assert.Equal(0, heap.GetStatistics().Caches.Sum(cache => cache.Slabs));
    }

    [Fact]
    public void The_check_sees_an_object_that_two_owners_hold()
    {
        using KmemHeap heap = new(new KmemHeapOptions { MaintenanceIntervalMilliseconds = 0 });
        nint address = (nint)heap.Alloc(64);
        Ownership.Mark(address, 64, 1);
        Ownership.Mark(address, 64, 2);
        Ownership.CheckAndWipe(address, 64, 2);
        Assert.Throws<InvalidOperationException>(() => Ownership.CheckAndWipe(address, 64, 1));
        heap.Free((void*)address);
    }

    private static void Work(
        KmemHeap heap,
        int number,
        int seed,
        ConcurrentQueue<Parcel> mail,
        ConcurrentDictionary<int, bool> workers,
        ref long operations,
        Crew crew)
    {
        int threadId = Linux.CurrentThreadId();
        workers[threadId] = true;
        Random random = new(seed);
        Parcel[] live = new Parcel[LiveOfThread];
        ulong mask = 1;
        for (long step = 1; !crew.IsStopped; step++)
        {
            ref Parcel slot = ref live[random.Next(LiveOfThread)];
            if (slot.Address == 0)
            {
                int size = s_sizes[random.Next(s_sizes.Length)];
                slot = new Parcel((nint)heap.Alloc((nuint)size), size, ((long)number << 48) | step);
                Ownership.Mark(slot.Address, size, slot.Tag);
            }
            else if (random.Next(8) == 0)
            {
                mail.Enqueue(slot);
                slot = default;
            }
            else
            {
                Free(heap, slot);
                slot = default;
            }

            if (random.Next(8) == 0 && mail.TryDequeue(out Parcel parcel))
            {
                Free(heap, parcel);
            }

            if (step % 512 == 0)
            {
                mask ^= 3;
                Linux.MoveTo(mask);
                Interlocked.Add(ref operations, 512);
            }
        }

        workers.TryRemove(threadId, out _);
        foreach (Parcel parcel in live.Where(each => each.Address != 0))
        {
            Free(heap, parcel);
        }
    }

    private static void Free(KmemHeap heap, Parcel parcel)
    {
        Ownership.CheckAndWipe(parcel.Address, parcel.SizeBytes, parcel.Tag);
        heap.Free((void*)parcel.Address);
    }
}
