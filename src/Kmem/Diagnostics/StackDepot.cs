using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Threading;
using Kmem.Engine;

namespace Kmem.Diagnostics;

/// <summary>One stack that allocated or freed: what a person reads of it.</summary>
internal sealed class KnownStack
{
    /// <summary>From the innermost frame on, without Kmem's own: <c>Namespace.Type.Method(parameters) in file:line</c>.</summary>
    public required string[] Frames { get; init; }

    /// <summary>Name of the method of Kmem that the innermost of them called, or that a timer did; empty where there is none.</summary>
    public string Entry { get; init; } = "";

    public static KnownStack None { get; } = new() { Frames = [] };

    public string Text => string.Join(" ← ", Frames);
}

/// <summary>
/// Numbers for stacks. A stack that was seen before costs a walk along the frame pointers and a look into a table; only a new one is asked for its names.
/// </summary>
/// <remarks>
/// <para>The JIT's code keeps frame pointers; where a frame does not, the walk leaves it out or ends there. The walk reads only between its own frame and the end
/// of the thread's stack. Two ways of the same code through other versions of it are two numbers with the same names; reports put them together by these.</para>
/// <para>Source of the idea: the kernel's lib/stackdepot.c.</para>
/// </remarks>
internal static unsafe class StackDepot
{
    internal const int RawFramesMax = 20;
    private const int FramesMax = 16;
    private const int StacksMax = 1 << 20;

    [ThreadStatic]
    private static nuint t_stackEnd;

    [ThreadStatic]
    private static RecentStacks? t_recent;

    private static readonly Lock s_lock = new();
    private static Slot?[] s_table = new Slot?[1024];
    private static KnownStack?[] s_known = new KnownStack?[512];
    private static int s_count;

    private sealed class Slot
    {
        public required nuint[] Frames;
        public required int Hash;
        public required uint Number;
    }

    /// <summary>Number of the caller's stack, from 1; 0 when the depot is full.</summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static uint Capture()
    {
        nuint* raw = stackalloc nuint[RawFramesMax];
        nuint* start = (nuint*)Face.FramePointer();
        if (start < raw && start != null)
        {
            // Code that is not optimised yet asked in a frame of its own, which is gone.
            start = (nuint*)*start;
        }

        RecentStacks recent = t_recent ??= new RecentStacks();
        uint number = recent.Find(start);
        if (number != 0)
        {
            return number;
        }

        int count = Walk(start, raw, out int hash);
        ReadOnlySpan<nuint> frames = new(raw, count);
        number = count == 0 ? 0 : Find(Volatile.Read(ref s_table), frames, hash);
        number = number != 0 ? number : Add(frames, hash);
        recent.Keep(start, count, number);
        return number;
    }

    /// <summary>Null for 0 and for numbers that never were.</summary>
    public static KnownStack? Get(uint number)
    {
        KnownStack?[] known = Volatile.Read(ref s_known);
        return number < known.Length ? known[number] : null;
    }

    /// <summary>The current stack without a number.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static KnownStack Now() => Describe(new StackTrace(fNeedFileInfo: true));

    private static int Walk(nuint* frame, nuint* raw, out int hash)
    {
        ulong mix = 0;
        nuint end = t_stackEnd != 0 ? t_stackEnd : FindStackEnd();
        int count = 0;
        while (count < RawFramesMax && (nuint)frame + 16 <= end && ((nuint)frame & 7) == 0)
        {
            nuint next = frame[0];
            nuint address = frame[1];
            raw[count++] = address;
            mix = BitOperations.RotateLeft(mix, 7) + address;
            if (next <= (nuint)frame)
            {
                break;
            }

            frame = (nuint*)next;
        }

        hash = (int)((mix * 0x9E3779B97F4A7C15) >> 32);
        return count;
    }

    private static nuint FindStackEnd()
    {
        t_stackEnd = Face.EndOfStack();
        return t_stackEnd;
    }

    private static uint Find(Slot?[] table, ReadOnlySpan<nuint> frames, int hash)
    {
        for (int at = hash & (table.Length - 1); table[at] is Slot slot; at = (at + 1) & (table.Length - 1))
        {
            if (slot.Hash == hash && frames.SequenceEqual(slot.Frames))
            {
                return slot.Number;
            }
        }

        return 0;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static uint Add(ReadOnlySpan<nuint> frames, int hash)
    {
        KnownStack known = Describe(new StackTrace(fNeedFileInfo: true));
        lock (s_lock)
        {
            uint number = frames.IsEmpty ? 0 : Find(s_table, frames, hash);
            if (number != 0 || s_count + 1 >= StacksMax)
            {
                return number;
            }

            number = (uint)++s_count;
            if (number >= s_known.Length)
            {
                KnownStack?[] larger = new KnownStack?[s_known.Length * 2];
                s_known.CopyTo(larger, 0);
                Volatile.Write(ref s_known, larger);
            }

            s_known[number] = known;
            if (frames.IsEmpty)
            {
                return number;
            }

            if (s_count * 2 > s_table.Length)
            {
                Slot?[] larger = new Slot?[s_table.Length * 2];
                foreach (Slot? slot in s_table)
                {
                    if (slot != null)
                    {
                        Put(larger, slot);
                    }
                }

                Volatile.Write(ref s_table, larger);
            }

            Put(s_table, new Slot { Frames = frames.ToArray(), Hash = hash, Number = number });
            return number;
        }
    }

    private static void Put(Slot?[] table, Slot slot)
    {
        int at = slot.Hash & (table.Length - 1);
        while (table[at] != null)
        {
            at = (at + 1) & (table.Length - 1);
        }

        Volatile.Write(ref table[at], slot);
    }

    private static KnownStack Describe(StackTrace trace)
    {
        List<string> frames = [];
        bool isInside = true;
        string entry = "";
        foreach (StackFrame frame in trace.GetFrames())
        {
            DiagnosticMethodInfo? method = DiagnosticMethodInfo.Create(frame);
            isInside = isInside && (method == null || method.DeclaringAssemblyName.StartsWith("Kmem,", StringComparison.Ordinal));
            entry = isInside && method != null ? method.Name : entry;
            if (!isInside && frames.Count < FramesMax)
            {
                frames.Add(Describe(frame, method));
            }
        }

        return new KnownStack { Frames = [.. frames], Entry = entry };
    }

    private static string Describe(StackFrame frame, DiagnosticMethodInfo? method)
    {
        string name = method == null ? "?" : $"{method.DeclaringTypeName}.{method.Name}";
        string? file = frame.GetFileName();
        return file == null ? name : string.Create(CultureInfo.InvariantCulture, $"{name} in {file}:{frame.GetFileLineNumber()}");
    }
}
