using System.Runtime.InteropServices;
using Kmem.Engine;
using Kmem.Engine.Os;
using Xunit;

namespace Kmem.Tests.Unit.Os;

public sealed unsafe class SystemMemoryTests
{
    private const nuint MiB = 1 << 20;

    [Theory]
    [InlineData(4096)]
    [InlineData(65536)]
    [InlineData(4 << 20)]
    [InlineData(1 << 30)]
    public void A_reservation_has_the_alignment_asked_for(long alignment)
    {
        OsTable os = Select();
        void* start = os.Reserve(os.Context, 8 * MiB, (nuint)alignment);
        Assert.True(start != null);
        Assert.Equal((nuint)0, (nuint)start % (nuint)alignment);
        os.Release(os.Context, start, 8 * MiB);
    }

    [Fact]
    public void Hundreds_of_gigabytes_can_be_reserved()
    {
        OsTable os = Select();
        nuint bytes = (nuint)1 << 38;
        void* start = os.Reserve(os.Context, bytes, 4 * MiB);
        Assert.True(start != null);
        byte* last = (byte*)start + bytes - 4096;
        Assert.True(os.Commit(os.Context, last, 4096));
        *last = 1;
        os.Release(os.Context, start, bytes);
    }

    [Fact]
    public void Too_much_is_refused_with_null()
    {
        OsTable os = Select();
        Assert.True(os.Reserve(os.Context, unchecked((nuint)(-4096)), 4096) == null);
        Assert.True(os.Reserve(os.Context, unchecked((nuint)(-4096)), 4 * MiB) == null);
        Assert.True(os.Reserve(os.Context, (nuint)1 << 62, 4 * MiB) == null);
    }

    [Fact]
    public void Committed_pages_read_as_zero_and_so_do_purged_ones()
    {
        OsTable os = Select();
        byte* start = (byte*)os.Reserve(os.Context, 8 * MiB, 4 * MiB);
        Assert.True(os.Commit(os.Context, start, 4 * MiB));
        for (nuint offset = 0; offset < 4 * MiB; offset += 512)
        {
            Assert.Equal(0, start[offset]);
            start[offset] = 0x5A;
        }

        Assert.True(os.Purge(os.Context, start + MiB, 2 * MiB));
        for (nuint offset = 0; offset < 4 * MiB; offset += 512)
        {
            bool purged = offset >= MiB && offset < 3 * MiB;
            Assert.Equal(purged ? 0 : 0x5A, start[offset]);
        }

        os.Release(os.Context, start, 8 * MiB);
    }

    [Fact]
    public void Protecting_keeps_the_contents()
    {
        OsTable os = Select();
        byte* start = (byte*)os.Reserve(os.Context, MiB, 4096);
        Assert.True(os.Commit(os.Context, start, MiB));
        start[4096] = 7;
        Assert.True(os.Protect(os.Context, start + 4096, 4096, false));
        start[0] = 1;
        start[8192] = 1;
        Assert.True(os.Protect(os.Context, start + 4096, 4096, true));
        Assert.Equal(7, start[4096]);
        os.Release(os.Context, start, MiB);
    }

    [Fact]
    public void The_clock_does_not_run_backwards()
    {
        OsTable os = Select();
        long before = os.NowMilliseconds(os.Context);
        for (int reading = 0; reading < 1000; reading++)
        {
            long now = os.NowMilliseconds(os.Context);
            Assert.True(now >= before);
            before = now;
        }
    }

    [Fact]
    public void Committing_nothing_of_ours_is_refused()
    {
        Assert.SkipUnless(RuntimeInformation.IsOSPlatform(OSPlatform.Linux), "an address that nobody maps");
        OsTable os = Select();
        Assert.False(os.Commit(os.Context, (void*)0x1000, 4096));
    }

    private static OsTable Select()
    {
        OsTable os;
        Face.SelectOs(&os);
        return os;
    }
}
