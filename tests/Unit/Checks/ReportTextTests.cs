using System;
using System.Collections.Generic;
using System.IO;
using System.Runtime.CompilerServices;
using System.Threading;
using Xunit;

namespace Kmem.Tests.Unit.Checks;

/// <summary>The text of a report says the same as its data, in the lines that docs/DEBUGGING.md explains; and handlers get it.</summary>
public sealed unsafe class ReportTextTests
{
    [Theory]
    [InlineData("Z", 18, 18)]
    [InlineData("Z", 18, 23)]
    [InlineData("ZP", 1, 1)]
    [InlineData("ZU", 32, 32)]
    [InlineData("FZPU", 100, 104)]
    [InlineData("FZPU", 4096, 4097)]
    public void An_overrun(string letters, int requested, int offset)
    {
        using CheckedHeap bench = new(letters);
        byte* p = AllocateHere(bench.Heap, requested);
        p[offset] = 0x41;
        KmemReport report = bench.AssertThrows(() => FreeHere(bench.Heap, (nint)p));
        ReportReader read = AssertSame(report);
        Assert.Equal(("written past the end", $"{offset - requested} bytes past the {requested} that were asked for"), (read.What, read.Where));
        Assert.Equal(letters.Contains('U', StringComparison.Ordinal), read.AllocatedBy.Count != 0);
        Assert.Empty(read.FreedBy);
        AssertRow(read, (nuint)p, requested);
        if (letters.Contains('U', StringComparison.Ordinal))
        {
            Assert.Contains(nameof(AllocateHere), read.AllocatedBy[0], StringComparison.Ordinal);
        }

        Assert.Contains(nameof(FreeHere), read.FoundBy[0], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(-8)]
    public void An_underrun(int offset)
    {
        using CheckedHeap bench = new("FZPU");
        byte* p = AllocateHere(bench.Heap, 50);
        p[offset] = 0x41;
        ReportReader read = AssertSame(bench.AssertThrows(() => FreeHere(bench.Heap, (nint)p)));
        Assert.Equal(("written before the start", $"{-offset} bytes before the start"), (read.What, read.Where));
        AssertRow(read, (nuint)p, 50);
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(31, 1)]
    [InlineData(60, 20)]
    [InlineData(111, 1)]
    [InlineData(0, 112)]
    public void A_write_after_the_free(int offset, int count)
    {
        using CheckedHeap bench = new("FZPU");
        byte* p = AllocateHere(bench.Heap, 112);
        FreeHere(bench.Heap, (nint)p);
        new Span<byte>(p + offset, count).Fill(0x41);
        foreach (bool byValidate in new[] { true, false })
        {
            new Span<byte>(p + offset, count).Fill(0x41);
            ReportReader read = AssertSame(bench.AssertThrows(byValidate ? bench.Heap.Validate : () => bench.Heap.Trim()));
            Assert.Equal(("written after the free", $"{offset} bytes into 112", count), (read.What, read.Where, read.BadBytes));
            Assert.Contains(nameof(AllocateHere), read.AllocatedBy[0], StringComparison.Ordinal);
            Assert.Contains(nameof(FreeHere), read.FreedBy[0], StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_damaged_track()
    {
        using CheckedHeap bench = new("FZPU");
        byte* p = AllocateHere(bench.Heap, 64);
        p[bench.LayoutOf(p).TrackOffset + 20] ^= 0xFF;
        KmemReport report = bench.AssertThrows(() => FreeHere(bench.Heap, (nint)p));
        ReportReader read = ReportReader.OfDamage(report.Text);
        Assert.Equal((KmemMisuse.TrackDamaged, "the track was written over", report.BadAddress), (report.Misuse, read.What, read.BadAddress));
        Assert.Contains(read.Bytes, static each => each.IsBad && each.Row == "track");
    }

    [Theory]
    [InlineData("", false)]
    [InlineData("Z", false)]
    [InlineData("FZPU", true)]
    public void A_free_that_damages_nothing(string letters, bool hasUsers)
    {
        using CheckedHeap bench = new(letters);
        byte* p = AllocateHere(bench.Heap, 64);
        FreeHere(bench.Heap, (nint)p);
        KmemReport report = bench.AssertThrows(() => bench.Heap.Free(p));
        ReportReader read = ReportReader.OfMisuse(report.Text);
        Assert.Equal("already free", read.What);
        AssertSameStacks(report, read);
        Assert.Equal(hasUsers, read.AllocatedBy.Count != 0 && read.FreedBy.Count != 0);
        Assert.Contains(nameof(A_free_that_damages_nothing), read.FoundBy[0], StringComparison.Ordinal);
    }

    [Fact]
    public void The_page_shows_a_report_of_this_form()
    {
        string? root = DetectorProgram.FindRoot();
        Assert.SkipUnless(root != null, "There is no checkout around the tests.");
        string page = File.ReadAllText(Path.Combine(root, "docs/DEBUGGING.md"));
        int start = page.IndexOf("    Kmem: written past the end", StringComparison.Ordinal);
        Assert.True(start > 0);
        List<string> lines = [];
        foreach (string line in page[start..].Split('\n'))
        {
            if (!line.StartsWith("    ", StringComparison.Ordinal))
            {
                break;
            }

            lines.Add(line[4..]);
        }

        ReportReader read = ReportReader.OfDamage(string.Join('\n', lines));
        Assert.Equal(("written past the end", (byte)0x41, 18), (read.What, read.Found, read.RequestedBytes));
    }

    // ------------------------------------------------------------------ handlers

    [Fact]
    public void A_handler_runs_in_the_thread_that_found_it_before_the_call_throws()
    {
        using CheckedHeap bench = new("FZPU");
        int thread = 0;
        bool hasThrown = false;
        bool wasBefore = false;
        void Note(KmemReport report)
        {
            if (report.HeapName == bench.Heap.Name)
            {
                thread = Environment.CurrentManagedThreadId;
                wasBefore = !hasThrown;
            }
        }

        KmemReports.Reported += Note;
        try
        {
            byte* p = AllocateHere(bench.Heap, 18);
            p[18] = 0x41;
            Assert.Throws<KmemMisuseException>(() => bench.Heap.Free(p));
            hasThrown = true;
        }
        finally
        {
            KmemReports.Reported -= Note;
        }

        Assert.Equal((Environment.CurrentManagedThreadId, true), (thread, wasBefore));
    }

    [Fact]
    public void What_a_handler_throws_is_lost_and_changes_nothing()
    {
        using CheckedHeap bench = new("FZPU", KmemMisusePolicy.Repair);
        string name = bench.Heap.Name;
        void Fail(KmemReport report)
        {
            if (report.HeapName == name)
            {
                throw new InvalidOperationException("on purpose");
            }
        }

        KmemReports.Reported += Fail;
        try
        {
            byte* p = AllocateHere(bench.Heap, 18);
            p[18] = 0x41;
            bench.Heap.Free(p);
        }
        finally
        {
            KmemReports.Reported -= Fail;
        }

        _ = bench.TakeReport();
        bench.AssertClean();
    }

    [Fact]
    public void Many_threads_that_find_damage_each_have_their_own_report()
    {
        using CheckedHeap bench = new("FZPU");
        Thread[] threads = new Thread[4];
        int caught = 0;
        for (int index = 0; index < threads.Length; index++)
        {
            threads[index] = new Thread(() =>
            {
                for (int round = 0; round < 50; round++)
                {
                    byte* p = AllocateHere(bench.Heap, 18);
                    p[18] = 0x41;
                    try
                    {
                        bench.Heap.Free(p);
                    }
                    catch (KmemMisuseException misuse) when (misuse.Address == (nuint)p)
                    {
                        Interlocked.Increment(ref caught);
                    }
                }
            });
            threads[index].Start();
        }

        foreach (Thread thread in threads)
        {
            thread.Join();
        }

        Assert.Equal((200, 200), (caught, bench.TakeReports().Length));
        bench.AssertClean();
    }

    private static ReportReader AssertSame(KmemReport report)
    {
        ReportReader read = ReportReader.OfDamage(report.Text);
        Assert.Equal((report.CacheName, report.HeapName, report.Address, report.RequestedBytes), (read.CacheName, read.HeapName, read.Object, (nuint)read.RequestedBytes));
        Assert.Equal((report.Found, report.Expected, report.BadAddress, report.BadBytes), (read.Found, read.Expected, read.BadAddress, (nuint)read.BadBytes));
        AssertSameStacks(report, read);

        // Each byte that is shown as bad is, from the first on, and the first is as the line above says.
        Assert.Contains(read.Bytes, each => each.Address == report.BadAddress && each.Value == report.Found && each.IsBad);
        Assert.All(read.Bytes, each => Assert.Equal(each.Address - report.BadAddress < report.BadBytes, each.IsBad));
        return read;
    }

    private static void AssertSameStacks(KmemReport report, ReportReader read)
    {
        Assert.Equal(report.AllocatedBy, read.AllocatedBy);
        Assert.Equal(report.FreedBy, read.FreedBy);
        Assert.Equal(report.FoundBy, read.FoundBy);
    }

    private static void AssertRow(ReportReader read, nuint p, int requested) => Assert.All(read.Bytes, each =>
    {
        nuint row = each.Address & ~(nuint)15;
        Assert.Equal(row < p ? "left zone" : row < p + (nuint)requested ? "object" : "right zone", each.Row);
    });

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static byte* AllocateHere(KmemHeap heap, int bytes) => (byte*)heap.Alloc((nuint)bytes);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void FreeHere(KmemHeap heap, nint p) => heap.Free((void*)p);
}
