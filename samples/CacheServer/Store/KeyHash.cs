using System;
using System.Numerics;
using System.Runtime.InteropServices;

namespace CacheServer.Store;

/// <summary>A hash of a key: eight bytes a step, multiplied and folded; seeded, so that nobody can choose keys that collide.</summary>
internal static class KeyHash
{
    private const ulong Odd = 0x9E3779B97F4A7C15;
    private static readonly ulong s_seed = (ulong)Random.Shared.NextInt64() | 1;

    public static ulong Of(ReadOnlySpan<byte> key)
    {
        ulong hash = s_seed ^ ((ulong)key.Length * Odd);
        while (key.Length >= sizeof(ulong))
        {
            hash = Mix(hash ^ MemoryMarshal.Read<ulong>(key));
            key = key[sizeof(ulong)..];
        }

        ulong rest = 0;
        foreach (byte each in key)
        {
            rest = (rest << 8) | each;
        }

        return Mix(Mix(hash ^ rest));
    }

    private static ulong Mix(ulong value)
    {
        ulong high = Math.BigMul(value, Odd, out ulong low);
        return high ^ BitOperations.RotateLeft(low, 23);
    }
}
