using System;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;
using Xunit;

namespace Kmem.Tests.Unit.Safe;

/// <summary>What <see cref="NativeMemory"/> has and does, <see cref="KmemNativeMemory"/> has and does.</summary>
public sealed unsafe class NativeMemoryTwinTests
{
    private static readonly nuint s_tooMuch = nuint.MaxValue / 2;

    [Fact]
    public void Every_member_is_there_with_the_same_signature()
    {
        string[] theirs = [.. Members(typeof(NativeMemory))];
        Assert.True(theirs.Length >= 12);
        Assert.Equal(theirs, Members(typeof(KmemNativeMemory)));
    }

    [Fact]
    public void Every_scenario_comes_to_the_same_in_both()
    {
        List<string> theirs = Scenarios(new Functions(NativeMemory.Alloc, NativeMemory.Alloc, NativeMemory.AllocZeroed, NativeMemory.AllocZeroed, NativeMemory.Realloc, NativeMemory.Free, NativeMemory.AlignedAlloc, NativeMemory.AlignedRealloc, NativeMemory.AlignedFree));
        List<string> ours = Scenarios(new Functions(KmemNativeMemory.Alloc, KmemNativeMemory.Alloc, KmemNativeMemory.AllocZeroed, KmemNativeMemory.AllocZeroed, KmemNativeMemory.Realloc, KmemNativeMemory.Free, KmemNativeMemory.AlignedAlloc, KmemNativeMemory.AlignedRealloc, KmemNativeMemory.AlignedFree));
        Assert.Equal(theirs, ours);
        Assert.True(ours.Count > 40);
    }

    [Fact]
    public void Either_free_takes_what_either_kind_gave()
    {
        KmemNativeMemory.Free(KmemNativeMemory.AlignedAlloc(100, 4096));
        KmemNativeMemory.AlignedFree(KmemNativeMemory.Alloc(100));
        KmemNativeMemory.Free(KmemNativeMemory.AlignedRealloc(KmemNativeMemory.Alloc(100), 50, 64));
        void* foreign = NativeMemory.Alloc(10);
        Assert.Equal(KmemMisuse.ForeignPointer, Assert.Throws<KmemMisuseException>(() => KmemNativeMemory.Free(foreign)).Misuse);
        NativeMemory.Free(foreign);
    }

    [Fact]
    public void Bytes_are_cleared_copied_and_filled()
    {
        byte* memory = (byte*)KmemNativeMemory.Alloc(64);
        KmemNativeMemory.Fill(memory, 64, 7);
        KmemNativeMemory.Clear(memory, 32);
        KmemNativeMemory.Copy(memory + 16, memory + 20, 20);
        Assert.Equal([.. Enumerable.Repeat<byte>(0, 36), .. Enumerable.Repeat<byte>(7, 28)], new ReadOnlySpan<byte>(memory, 64).ToArray());
        KmemNativeMemory.Free(memory);
    }

    private delegate void* OfOne(nuint bytes);

    private delegate void* OfTwo(nuint count, nuint size);

    private delegate void* OfPointer(void* pointer, nuint bytes);

    private delegate void Ending(void* pointer);

    private delegate void* OfThree(void* pointer, nuint bytes, nuint alignment);

    private sealed record Functions(OfOne Alloc, OfTwo AllocMany, OfOne AllocZeroed, OfTwo AllocZeroedMany, OfPointer Realloc, Ending Free, OfTwo AlignedAlloc, OfThree AlignedRealloc, Ending AlignedFree);

    private static List<string> Scenarios(Functions of)
    {
        List<string> all = [];
        foreach (nuint bytes in new nuint[] { 0, 1, 15, 16, 100, 5000, 100_000, 5_000_000, s_tooMuch })
        {
            all.Add($"alloc {bytes}: {Outcome(() => of.Alloc(bytes), of.Free, bytes, isZeroed: false)}");
            all.Add($"zeroed {bytes}: {Outcome(() => of.AllocZeroed(bytes), of.Free, bytes, isZeroed: true)}");
            all.Add($"from null {bytes}: {Outcome(() => of.Realloc(null, bytes), of.Free, bytes, isZeroed: false)}");
            foreach (nuint next in new nuint[] { 0, 1, 50, 6000, 200_000 })
            {
                all.Add($"{bytes} to {next}: {Moved(of, bytes, next)}");
            }
        }

        foreach ((nuint count, nuint size) in new (nuint, nuint)[] { (0, 0), (0, 8), (10, 0), (3, 7), (nuint.MaxValue, 2), (1u << 31, nuint.MaxValue >> 20) })
        {
            all.Add($"{count} × {size}: {Outcome(() => of.AllocMany(count, size), of.Free, unchecked(count * size), isZeroed: false)}");
            all.Add($"{count} × {size} zeroed: {Outcome(() => of.AllocZeroedMany(count, size), of.Free, unchecked(count * size), isZeroed: true)}");
        }

        foreach (nuint alignment in new nuint[] { 0, 1, 2, 3, 8, 64, 100, 4096, 1 << 21 })
        {
            all.Add($"aligned {alignment}: {Outcome(() => of.AlignedAlloc(100, alignment), of.AlignedFree, 100, isZeroed: false, alignment)}");
            all.Add($"aligned 0 bytes {alignment}: {Outcome(() => of.AlignedAlloc(0, alignment), of.AlignedFree, 0, isZeroed: false, alignment)}");
            all.Add($"realigned {alignment}: {Outcome(() => of.AlignedRealloc(of.AlignedAlloc(30, 16), 1000, alignment), of.AlignedFree, 1000, isZeroed: false, alignment)}");
        }

        all.Add($"aligned too much: {Outcome(() => of.AlignedAlloc(s_tooMuch, 64), of.AlignedFree, 0, isZeroed: false)}");
        all.Add($"aligned from null: {Outcome(() => of.AlignedRealloc(null, 100, 64), of.AlignedFree, 100, isZeroed: false, 64)}");
        all.Add($"aligned from null by no alignment: {Outcome(() => of.AlignedRealloc(null, 100, 3), of.AlignedFree, 100, isZeroed: false)}");
        foreach ((nuint bytes, nuint next) in new (nuint, nuint)[] { (100, 0), (100, 99), (100, 101), (5000, 10), (10, 5000), (100_000, 200_000), (200_000, 1000) })
        {
            foreach (nuint alignment in new nuint[] { 16, 64, 4096 })
            {
                all.Add($"{bytes} to {next} by {alignment}: {Realigned(of, bytes, next, alignment)}");
            }
        }

        of.Free(null);
        of.AlignedFree(null);
        return all;
    }

    private static string Outcome(Func<nint> call, Ending free, nuint bytes, bool isZeroed, nuint alignment = 1)
    {
        try
        {
            nint memory = call();
            string result = memory == 0 ? "null"
                : isZeroed && new ReadOnlySpan<byte>((void*)memory, (int)bytes).ContainsAnyExcept((byte)0) ? "not zero"
                : (nuint)memory % alignment != 0 ? "not aligned"
                : "fine";
            new Span<byte>((void*)memory, (int)bytes).Fill(0xAB);
            free((void*)memory);
            return result;
        }
        catch (Exception exception)
        {
            return exception.GetType().Name;
        }
    }

    private static string Outcome(OfNothing call, Ending free, nuint bytes, bool isZeroed, nuint alignment = 1) => Outcome(() => (nint)call(), free, bytes, isZeroed, alignment);

    private delegate void* OfNothing();

    private static string Moved(Functions of, nuint bytes, nuint next)
    {
        if (bytes == s_tooMuch)
        {
            return "";
        }

        byte* memory = (byte*)of.Alloc(bytes);
        new Span<byte>(memory, (int)bytes).Fill(0xCD);
        byte* moved = (byte*)of.Realloc(memory, next);
        bool isKept = moved != null && !new ReadOnlySpan<byte>(moved, (int)Math.Min(bytes, next)).ContainsAnyExcept((byte)0xCD);
        of.Free(moved);
        return isKept ? "kept" : "lost";
    }

    private static string Realigned(Functions of, nuint bytes, nuint next, nuint alignment)
    {
        byte* memory = (byte*)of.AlignedAlloc(bytes, 32);
        new Span<byte>(memory, (int)bytes).Fill(0xCD);
        byte* moved = (byte*)of.AlignedRealloc(memory, next, alignment);
        bool isKept = (nuint)moved % alignment == 0 && !new ReadOnlySpan<byte>(moved, (int)Math.Min(bytes, next)).ContainsAnyExcept((byte)0xCD);
        of.AlignedFree(moved);
        return isKept ? "kept" : "lost";
    }

    private static IEnumerable<string> Members(Type type) => type.GetMethods(BindingFlags.Public | BindingFlags.Static)
        .Select(static method => $"{method.ReturnType} {method.Name}({string.Join(", ", method.GetParameters().Select(static each => $"{each.ParameterType} {each.Name}"))})")
        .Order(StringComparer.Ordinal);
}
