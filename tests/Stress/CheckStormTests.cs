using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using Xunit;

namespace Kmem.Tests.Stress;

/// <summary>Checks are switched on, off and over, gates of guard pages are opened, and everything is looked at, while threads allocate and free: nothing is reported, and nobody loses anything.</summary>
public sealed unsafe class CheckStormTests(ITestOutputHelper output)
{
    private const int Threads = 4;
    private const int HeldOfThread = 100;

    /// <summary>What a constructed object begins with.</summary>
    private const int MarkBytes = 16;

    private static readonly string[] s_letters = ["FZPU", "", "Z", "PU", "G", "U", "FZPUG", "ZT", "-"];

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void Switching_beside_allocations_reports_nothing_and_loses_nothing(KmemFrontEnd frontEnd) =>
        Storm(frontEnd, KmemMisusePolicy.Throw, seconds: 3);

    [Theory]
    [ClassData(typeof(FrontEnds))]
    public void The_same_where_reports_do_not_throw(KmemFrontEnd frontEnd) => Storm(frontEnd, KmemMisusePolicy.Quarantine, seconds: 1);

    private void Storm(KmemFrontEnd frontEnd, KmemMisusePolicy policy, double seconds)
    {
        ConcurrentQueue<KmemReport> reports = [];
        using ObjectLife life = new();
        using KmemHeap heap = new(new KmemHeapOptions
        {
            Name = $"switched-{policy}-{frontEnd}",
            FrontEnd = frontEnd,
            Debug = "",
            GuardedObjects = 24,
            MaintenanceIntervalMilliseconds = 0,
            MisusePolicy = policy,
        });
        KmemCache[] caches =
        [
            new("plain", 40, new KmemCacheOptions { Heap = heap }),
            new("aligned", 192, new KmemCacheOptions { Heap = heap, AlignmentBytes = 64 }),
            new("constructed", 96, life.Options(heap)),
        ];
        ConcurrentQueue<(int Cache, Parcel Parcel)> travelling = [];
        long operations = 0;
        long switches = 0;
        KmemReports.Reported += Keep;
        try
        {
            TimedCrew crew = new(seconds, () => Volatile.Read(ref switches) > 100);
            for (int thread = 0; thread < Threads; thread++)
            {
                crew.Start(random => Interlocked.Add(ref operations, Work(crew, random, heap, caches, travelling)));
            }

            crew.Start(random =>
            {
                for (; !crew.IsOver; switches++)
                {
                    Switch(heap, caches, random);
                }
            });
            crew.Join();
            output.WriteLine($"{operations} operations, {switches} switches, {heap.GetGuardStatistics()}, seed {Budget.Seed}");
            while (travelling.TryDequeue(out (int Cache, Parcel Parcel) left))
            {
                Free(heap, caches, left.Cache, left.Parcel);
            }

            Assert.Empty(reports);
            heap.Validate();
            heap.SetChecks("");
            KmemStatistics statistics = Ledger.AssertWhole(heap);
            Assert.Equal(0, statistics.Caches.Where(static each => !each.IsInternal).Sum(static each => each.LiveObjects));
            Assert.Equal(0, statistics.LargeAllocations);
            Array.ForEach(caches, static cache => cache.Dispose());
            life.AssertBalanced();
            Ledger.AssertEmptyAfterTrim(heap);
            Assert.Empty(reports);
        }
        finally
        {
            KmemReports.Reported -= Keep;
        }

        void Keep(KmemReport report)
        {
            if (report.HeapName == heap.Name)
            {
                reports.Enqueue(report);
            }
        }
    }

    private static long Work(TimedCrew crew, Random random, KmemHeap heap, KmemCache[] caches, ConcurrentQueue<(int Cache, Parcel Parcel)> travelling)
    {
        List<(int Cache, Parcel Parcel)> held = [];
        long operations = 0;
        for (; !crew.IsOver; operations++)
        {
            if (held.Count < HeldOfThread && random.Next(2) == 0)
            {
                int cache = random.Next(-3, caches.Length);
                int bytes = cache >= 0 ? (int)caches[cache].ObjectSizeBytes : cache == -1 ? random.Next(16, 300) : cache == -2 ? random.Next(16, 5000) : random.Next(16, 60_000);
                long tag = random.NextInt64();
                nint address = (nint)(cache >= 0 ? caches[cache].Alloc() : heap.Alloc((nuint)bytes));
                Own(cache, address, bytes, tag);
                held.Add((cache, new Parcel(address, bytes, tag)));
            }
            else if (held.Count != 0)
            {
                int at = random.Next(held.Count);
                (int cache, Parcel parcel) = held[at];
                held[at] = held[^1];
                held.RemoveAt(held.Count - 1);
                if (random.Next(8) == 0)
                {
                    // Another thread frees it.
                    travelling.Enqueue((cache, parcel));
                    if (travelling.TryDequeue(out (int Cache, Parcel Parcel) other))
                    {
                        Free(heap, caches, other.Cache, other.Parcel);
                    }
                }
                else if (cache < 0 && random.Next(6) == 0)
                {
                    held.Add((cache, Resize(heap, parcel, random.Next(16, 3000))));
                }
                else
                {
                    Free(heap, caches, cache, parcel);
                }
            }
        }

        held.ForEach(travelling.Enqueue);
        return operations;
    }

    private static void Switch(KmemHeap heap, KmemCache[] caches, Random random)
    {
        string letters = s_letters[random.Next(s_letters.Length)];
        switch (random.Next(8))
        {
            case 0:
                heap.SetChecks(letters);
                break;
            case 1:
                heap.SetChecks(letters.Length == 0 ? "" : letters + ",kmalloc-*,plain");
                break;
            case 2:
                KmemChecks[] choices = [KmemChecks.None, KmemChecks.All, KmemChecks.RedZones, KmemChecks.Users | KmemChecks.Poison, KmemChecks.Guard];
                caches[random.Next(caches.Length)].Checks = choices[random.Next(choices.Length)];
                break;
            case 3:
                heap.OpenGate();
                break;
            case 4:
                heap.Validate();
                break;
            case 5:
                _ = random.Next(4) == 0 ? heap.Trim() : 0;
                heap.Maintain();
                break;
            case 6:
                _ = heap.FindLeaks();
                break;
            default:
                _ = heap.GetStatistics();
                _ = caches[random.Next(caches.Length)].Shrink();
                break;
        }
    }

    private static Parcel Resize(KmemHeap heap, Parcel parcel, int bytes)
    {
        Ownership.CheckAndWipe(parcel.Address, parcel.SizeBytes, parcel.Tag);
        nint address = (nint)heap.Realloc((void*)parcel.Address, (nuint)bytes);
        Ownership.Mark(address, bytes, parcel.Tag);
        return parcel with { Address = address, SizeBytes = bytes };
    }

    /// <summary>A constructed object keeps its mark: its owner writes only behind that.</summary>
    private static void Own(int cache, nint address, int bytes, long tag)
    {
        if (cache == 2)
        {
            Ownership.Mark(address + MarkBytes, bytes - MarkBytes, tag);
        }
        else
        {
            Ownership.Mark(address, bytes, tag);
        }
    }

    private static void Free(KmemHeap heap, KmemCache[] caches, int cache, Parcel parcel)
    {
        int kept = cache == 2 ? MarkBytes : 0;
        Ownership.CheckAndWipe(parcel.Address + kept, parcel.SizeBytes - kept, parcel.Tag);
        if (cache >= 0)
        {
            caches[cache].Free((void*)parcel.Address);
        }
        else
        {
            heap.Free((void*)parcel.Address);
        }
    }
}
