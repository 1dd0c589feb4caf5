using System;
using System.Collections.Generic;
using System.Linq;

namespace Kmem.Tests.Unit.Tool;

/// <summary>A program of several threads that does what comes to its mind, and what a reader must make of its trace.</summary>
internal sealed class RandomProgram
{
    public const int Threads = 4;

    private readonly Dictionary<ulong, long> _living = [];
    private readonly List<ulong> _addresses = [];

    public long Allocs { get; private set; }

    public long Frees { get; private set; }

    public long Failed { get; private set; }

    public long Reallocs { get; private set; }

    public long Live => _living.Count;

    public long LiveBytes { get; private set; }

    public long PeakBytes { get; private set; }

    public static (List<string> Events, RandomProgram Program) Write(ProgramTraceWriter writer, int seed, int steps, int threads = Threads)
    {
        RandomProgram program = new();
        List<string> events = [];
        Random random = new(seed);
        for (int step = 0; step < steps; step++)
        {
            program.Step(writer, random, random.Next(threads), events);
        }

        return (events, program);
    }

    private void Step(ProgramTraceWriter writer, Random random, int thread, List<string> events)
    {
        long size = random.Next(100) == 0 ? random.Next(200_000) : random.Next(1500);
        int kind = random.Next(20);
        switch (kind)
        {
            case < 8 when Live < 3000:
                ulong made = Make(random, size);
                int shift = random.Next(4, 13);
                if (kind < 6)
                {
                    writer.Alloc(thread, made, (ulong)size);
                }
                else if (kind == 6)
                {
                    writer.Zeroed(thread, made, (ulong)size);
                }
                else
                {
                    writer.Aligned(thread, made, (ulong)size, shift);
                }

                events.Add($"{thread} alloc {made:x} {size}{(kind == 6 ? " zeroed" : kind == 7 ? $" aligned {1 << shift}" : "")}");
                break;
            case < 16 when Live > 0:
                ulong freed = Take(random);
                writer.Free(thread, freed);
                events.Add($"{thread} free {freed:x}");
                break;
            case 16 or 17 when Live > 0:
                ulong old = Take(random);
                ulong moved = kind == 16 ? Make(old, size) : Make(random, size);
                Reallocs++;
                writer.Realloc(thread, old, moved, (ulong)size);
                events.AddRange([$"{thread} from {old:x}", $"{thread} to {moved:x} {size}"]);
                break;
            case 18:
                Failed++;
                writer.Failed(thread, (ulong)size);
                events.Add($"{thread} fail {size} zeroed");
                break;
            case 19 when events.Count > 100 && events.TakeLast(100).Any(text => text.StartsWith($"{thread} ", StringComparison.Ordinal)):
                // The next event of this number is the thread's again, in another chunk.
                writer.End(thread);
                ulong last = Make(random, size);
                writer.Alloc(thread, last, (ulong)size);
                events.Add($"{thread} alloc {last:x} {size}");
                break;
        }
    }

    private ulong Make(Random random, long size)
    {
        ulong address;
        do
        {
            address = 0x7f00_0000_0000 + ((ulong)random.Next(1 << 22) * 8);
        }
        while (_living.ContainsKey(address));
        return Make(address, size);
    }

    private ulong Make(ulong address, long size)
    {
        _living.Add(address, size);
        _addresses.Add(address);
        Allocs++;
        LiveBytes += size;
        PeakBytes = Math.Max(PeakBytes, LiveBytes);
        return address;
    }

    private ulong Take(Random random)
    {
        int index = random.Next(_addresses.Count);
        ulong address = _addresses[index];
        _addresses[index] = _addresses[^1];
        _addresses.RemoveAt(_addresses.Count - 1);
        _ = _living.Remove(address, out long size);
        Frees++;
        LiveBytes -= size;
        return address;
    }
}
