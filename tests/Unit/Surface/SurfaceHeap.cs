using System;
using Xunit;

namespace Kmem.Tests.Unit.Surface;

/// <summary>Heaps as a user makes them, without background maintenance.</summary>
internal static unsafe class SurfaceHeap
{
    public const nuint KiB = 1024;
    public const nuint MiB = 1024 * 1024;

    /// <summary>A heap with the front end; the test is skipped where the machine lacks it.</summary>
    public static KmemHeap Make(KmemFrontEnd frontEnd, Action<KmemHeapOptions>? set = null)
    {
        KmemHeapOptions options = Options(frontEnd);
        set?.Invoke(options);
        try
        {
            return new KmemHeap(options);
        }
        catch (PlatformNotSupportedException) when (frontEnd == KmemFrontEnd.RestartableSequences)
        {
            Assert.Skip("This machine has no restartable sequences.");
            throw;
        }
    }

    public static KmemHeapOptions Options(KmemFrontEnd frontEnd) =>
        new() { FrontEnd = frontEnd, MaintenanceIntervalMilliseconds = 0 };

    /// <summary>A seed that is printed.</summary>
    public static Random MakeRandom(int? seed = null)
    {
        int chosen = seed ?? Random.Shared.Next();
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {chosen}");
        return new Random(chosen);
    }

    /// <summary>Writes a pattern that depends on the position, so that a shifted or lost byte shows.</summary>
    public static void FillPattern(void* memory, nuint bytes, int salt)
    {
        for (nuint at = 0; at < bytes; at++)
        {
            ((byte*)memory)[at] = PatternAt(at, salt);
        }
    }

    public static void AssertPattern(void* memory, nuint bytes, int salt)
    {
        for (nuint at = 0; at < bytes; at++)
        {
            if (((byte*)memory)[at] != PatternAt(at, salt))
            {
                Assert.Fail($"byte {at} of {bytes} is {((byte*)memory)[at]}, not {PatternAt(at, salt)}");
            }
        }
    }

    private static byte PatternAt(nuint at, int salt) => (byte)((at * 31) + (at >> 8) + (nuint)(uint)salt);
}
