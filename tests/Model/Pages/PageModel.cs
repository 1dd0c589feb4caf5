using System;
using System.Collections.Generic;
using Kmem.Engine.Pages;
using Kmem.Tests.Unit;
using Xunit;

namespace Kmem.Tests.Model.Pages;

/// <summary>One operation: what it is, and three numbers that it reads as it likes.</summary>
internal readonly record struct PageOperation(PageOperationKind Kind, int A, int B, int C);

internal enum PageOperationKind
{
    AllocateBlock,
    FreeOne,
    AllocateRun,
    ResizeRun,
    Purge,
    Drain,
    FreeHalf,
}

/// <summary>
/// A zone beside the plainest description of it: who owns each page. Every operation runs on both; the model says which requests must be
/// served, and every page in use carries its owner's pattern.
/// </summary>
internal sealed unsafe class PageModel : IDisposable
{
    private readonly TestZone _zone;
    private readonly int _capacityPages;
    private readonly int[] _ownerOf;
    private readonly List<Owner> _owners = [];
    private int _lastId;

    public PageModel(int capacityPages)
    {
        _capacityPages = capacityPages;
        _ownerOf = new int[capacityPages];
        _zone = new TestZone((nuint)capacityPages << 12, growable: false, cpuCount: 3);
        Assert.True(_zone.Initialized);
    }

    public void Apply(PageOperation operation)
    {
        switch (operation.Kind)
        {
            case PageOperationKind.AllocateBlock:
                AllocateBlock(operation.A % Order.Count, (Mobility)(operation.B % 3), operation.C);
                break;
            case PageOperationKind.AllocateRun:
                AllocateRun(operation);
                break;
            case PageOperationKind.ResizeRun:
                ResizeRun(operation);
                break;
            case PageOperationKind.FreeOne:
                FreeAt(operation.A, operation.C);
                break;
            case PageOperationKind.FreeHalf:
                for (int count = _owners.Count / 2; count > 0; count--)
                {
                    FreeAt((operation.A * 31) + count, operation.C);
                }

                break;
            case PageOperationKind.Purge:
                _ = Zone.Purge(_zone, long.MaxValue / 2, 0);
                Assert.Equal(_zone.Statistics.FreePages, _zone.Statistics.PurgedPages);
                break;
            default:
                Zone.DrainPageLists(_zone);
                break;
        }

        Assert.Equal(ZoneFault.None, Zone.Validate(_zone));
        Assert.Equal(_owners.Count == 0 ? 0 : CountOwned(), _zone.Statistics.AllocatedPages);
    }

    /// <summary>Everything given back merges to the largest blocks.</summary>
    public void Finish()
    {
        while (_owners.Count != 0)
        {
            FreeAt(_owners.Count / 2, 1);
        }

        _zone.AssertAllMerged();
    }

    public void Dispose() => _zone.Dispose();

    private void AllocateBlock(int order, Mobility mobility, int cpu)
    {
        Page* head = Zone.AllocateBlock(_zone, order, mobility, cpu);
        Assert.Equal(HasFreeRow(1 << order, 1 << order), head != null);
        if (head != null)
        {
            Assert.True(head->Kind == PageKind.Block && head->Order == order && head->Mobility == mobility);
            Own(head, 1 << order, isRun: false, alignmentPages: 1 << order);
        }
    }

    private void AllocateRun(PageOperation operation)
    {
        int pages = 1 + (operation.A % (operation.B % 4 == 0 ? 3000 : operation.B % 4 == 1 ? 1100 : 60));
        int alignment = 1 << (operation.C % 12);
        Page* head = Zone.AllocateRun(_zone, (nuint)pages, (nuint)alignment << 12, (Mobility)(operation.C % 3));

        // A run comes from one block, or from blocks of the largest order in a row.
        bool isLarge = pages > (int)Order.MaxPages || alignment > (int)Order.MaxPages;
        int block = isLarge ? (int)Order.MaxPages : Math.Max(1 << Order.ForPages((nuint)pages), alignment);
        int needed = (pages + block - 1) / block * block;
        Assert.Equal(HasFreeRow(needed, Math.Max(block, alignment)), head != null);
        if (head != null)
        {
            Assert.True(head->Kind == PageKind.Run && head->Payload.Pages == (ulong)pages);
            Own(head, pages, isRun: true, alignment);
        }
    }

    private void ResizeRun(PageOperation operation)
    {
        List<Owner> runs = _owners.FindAll(owner => owner.IsRun);
        if (runs.Count == 0)
        {
            return;
        }

        Owner run = runs[operation.A % runs.Count];
        int pages = operation.C % 3 == 0 ? 1 + (operation.B % run.Pages) : run.Pages + (operation.B % 200);
        bool room = run.First + pages <= _capacityPages;
        for (int page = run.First + run.Pages; room && page < run.First + pages; page++)
        {
            room = _ownerOf[page] == 0;
        }

        bool listed = _zone.Statistics.ListedPages != 0;

        // Where it would take growth, a run may have to move to free memory elsewhere.
        bool grows = run.First + pages > (int)(_zone.Pointer->FirstFrontierBytes >> 12);
        bool done = Zone.ResizeRun(_zone, run.Head, (nuint)pages);
        Assert.True(done ? room : !room || listed || grows);
        if (done)
        {
            Assert.Equal((ulong)pages, run.Head->Payload.Pages);

            // What was added may hold anything, so nobody may be told that the run reads as zero.
            Assert.True(pages <= run.Pages || run.Head->Flags == PageFlags.None);
            CheckPattern(run, Math.Min(pages, run.Pages));
            Mark(run.First, run.Pages, 0);
            run.Pages = pages;
            Mark(run.First, pages, run.Id);
            Fill(run);
        }
    }

    private void FreeAt(int at, int cpu)
    {
        if (_owners.Count == 0)
        {
            return;
        }

        int index = (at & int.MaxValue) % _owners.Count;
        Owner owner = _owners[index];
        CheckPattern(owner, owner.Pages);
        _owners[index] = _owners[^1];
        _owners.RemoveAt(_owners.Count - 1);
        Mark(owner.First, owner.Pages, 0);
        if (owner.IsRun)
        {
            Zone.FreeRun(_zone, owner.Head);
        }
        else
        {
            Zone.FreeBlock(_zone, owner.Head, cpu);
        }
    }

    private void Own(Page* head, int pages, bool isRun, int alignmentPages)
    {
        byte* start = (byte*)Zone.AddressOf(_zone, head);
        Assert.Equal((nuint)0, (nuint)start % ((nuint)alignmentPages << 12));
        int first = (int)((start - _zone.Pointer->FirstBase) >> 12);
        Assert.InRange(first + pages, 1, _capacityPages);
        if ((head->Flags & PageFlags.Purged) != 0)
        {
            Assert.Equal(-1, new ReadOnlySpan<byte>(start, pages << 12).IndexOfAnyExcept((byte)0));
        }

        Owner owner = new() { Head = head, Start = start, First = first, Pages = pages, IsRun = isRun, Id = ++_lastId };
        for (int page = first; page < first + pages; page++)
        {
            Assert.Equal(0, _ownerOf[page]);
        }

        Assert.True(Zone.HeadOf(_zone, Zone.PageOf(_zone, start + ((pages - 1) << 12))) == head);
        Mark(first, pages, owner.Id);
        _owners.Add(owner);
        Fill(owner);
    }

    private void Mark(int first, int pages, int id) => Array.Fill(_ownerOf, id, first, pages);

    private static void Fill(Owner owner) => new Span<byte>(owner.Start, owner.Pages << 12).Fill(owner.Pattern);

    private static void CheckPattern(Owner owner, int pages) =>
        Assert.Equal(-1, new ReadOnlySpan<byte>(owner.Start, pages << 12).IndexOfAnyExcept(owner.Pattern));

    private bool HasFreeRow(int pages, int alignment)
    {
        // Range bases are aligned to 4 MiB only; a larger alignment depends on where the base is.
        int baseOffset = (int)(((nuint)_zone.Pointer->FirstBase >> 12) % (nuint)alignment);
        for (int first = (alignment - baseOffset) % alignment; first + pages <= _capacityPages; first += alignment)
        {
            if (Array.TrueForAll(_ownerOf[first..(first + pages)], owner => owner == 0))
            {
                return true;
            }
        }

        return false;
    }

    private long CountOwned()
    {
        long pages = 0;
        _owners.ForEach(owner => pages += owner.Pages);
        return pages;
    }

    private sealed class Owner
    {
        public Page* Head;
        public byte* Start;
        public int First;
        public int Pages;
        public bool IsRun;
        public int Id;

        public byte Pattern => (byte)(1 + (Id % 255));
    }
}
