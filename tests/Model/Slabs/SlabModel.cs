using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using Kmem.Engine.Pages;
using Kmem.Engine.Slabs;
using Kmem.Tests.Unit;
using Xunit;

namespace Kmem.Tests.Model.Slabs;

internal readonly record struct SlabSettings(int ObjectSizeBytes, int AlignmentShift, bool CacheLineAligned, bool KernelRule)
{
    public SlabLayout Layout => SlabLayout.Compute(
        (uint)ObjectSizeBytes,
        AlignmentShift == 0 ? 0 : 1u << AlignmentShift,
        KernelRule ? SlabRule.Kernel : SlabRule.Default,
        2,
        CacheLineAligned);
}

/// <summary>One operation: what it is, and two numbers that it reads as it likes.</summary>
internal readonly record struct SlabOperation(SlabOperationKind Kind, int A, int B);

internal enum SlabOperationKind
{
    Take,
    Return,
    ReturnMostOfOneSlab,
    ReturnTwice,
    ReturnMixed,
    Release,
}

/// <summary>The slabs of one cache beside the plainest description of them: the set of addresses that are out, and how many of each slab.</summary>
internal sealed unsafe class SlabModel : IDisposable
{
    private const int CacheIndex = 51;

    private readonly TestZone _zone = new(256 * TestZone.MiB);
    private readonly SlabLists* _lists = (SlabLists*)NativeMemory.AllocZeroed((nuint)sizeof(SlabLists));
    private readonly SlabLayout _layout;
    private readonly List<nuint> _out = [];
    private readonly HashSet<nuint> _isOut = [];
    private readonly Dictionary<nuint, int> _outOfSlab = [];

    /// <summary>Every address that was ever handed out.</summary>
    private readonly List<nuint> _known = [];
    private readonly HashSet<nuint> _isKnown = [];

    public SlabModel(SlabSettings settings)
    {
        _layout = settings.Layout;
        SlabLists.Initialize(_lists, _zone, _layout, new SlabOwner(CacheIndex, hasFronts: false), Mobility.Unmovable);
    }

    public void Apply(SlabOperation operation)
    {
        switch (operation.Kind)
        {
            case SlabOperationKind.Take:
                Take(1 + (operation.A % (2 * (int)_layout.Objects)), operation.B % 2);
                break;
            case SlabOperationKind.Return:
                Return(Choose(_out, operation.A % (2 * (int)_layout.Objects), operation.B), operation.B % 2);
                break;
            case SlabOperationKind.ReturnMostOfOneSlab:
                ReturnMostOfOneSlab(operation);
                break;
            case SlabOperationKind.ReturnTwice:
                Return(Choose(_known.FindAll(address => !_isOut.Contains(address)), 1 + (operation.A % 5), operation.B), operation.B % 2);
                break;
            case SlabOperationKind.ReturnMixed:
                List<nuint> mixed = Choose(_known, 1 + (operation.A % 20), operation.B);
                mixed.AddRange(Choose(mixed, operation.A % 3, operation.B));
                Return(mixed, operation.B % 2);
                break;
            default:
                Release(operation.A % 3, operation.B % 2);
                break;
        }

        Check();
    }

    /// <summary>With everything returned and released, the pages are one piece again.</summary>
    public void Finish()
    {
        long visited = 0;
        SlabLists.VisitObjectsOut(_lists, &Count, &visited);
        Assert.Equal(_out.Count, visited);
        Return([.. _out], 0);
        Check();
        SlabLists.Destroy(_lists, 0);
        _zone.AssertAllMerged();
    }

    public void Dispose()
    {
        _zone.Dispose();
        NativeMemory.Free(_lists);
    }

    private static void Count(void* context, nuint address) => ++*(long*)context;

    private void Take(int count, int cpu)
    {
        long free = _lists->FreeObjects;
        nuint[] objects = new nuint[count];
        int taken;
        fixed (nuint* first = objects)
        {
            taken = SlabLists.TakeObjects(_lists, first, count, cpu);
        }

        Assert.Equal(Math.Min(count, free != 0 ? free : _layout.Objects), taken);
        nuint slab = 0;
        nuint previous = 0;
        for (int index = 0; index < taken; index++)
        {
            nuint address = objects[index];
            nuint slabOfThis = SlabOf(address);
            if (slabOfThis == slab)
            {
                Assert.True(address > previous, "Objects of a slab come in the order of their addresses.");
            }
            else
            {
                AssertFullestFirst(slab, slabOfThis);
                slab = slabOfThis;
            }

            nuint offset = address - slab;
            Assert.True(offset % _layout.StrideBytes == 0 && offset / _layout.StrideBytes < _layout.Objects, "Not the start of an object.");
            Assert.Equal((nuint)0, address % _layout.AlignmentBytes);
            Assert.True(_isOut.Add(address), "An object was handed out twice.");
            _out.Add(address);
            _outOfSlab[slab] = _outOfSlab.GetValueOrDefault(slab) + 1;
            if (_isKnown.Add(address))
            {
                _known.Add(address);
            }

            previous = address;
        }
    }

    /// <summary>The slab before was emptied, and no partial slab was in a fuller bin than the one that was turned to.</summary>
    private void AssertFullestFirst(nuint before, nuint next)
    {
        Assert.True(before == 0 || _outOfSlab[before] == _layout.Objects, "A slab was left before it was full.");
        long fullest = 8;
        foreach (int objectsOut in _outOfSlab.Values)
        {
            if (objectsOut != 0 && objectsOut != _layout.Objects)
            {
                fullest = Math.Min(fullest, BinFor(objectsOut));
            }
        }

        int ofNext = _outOfSlab.GetValueOrDefault(next);
        Assert.Equal(fullest, ofNext == 0 ? 8 : BinFor(ofNext));
    }

    /// <summary>Eighths of a slab, the fullest first.</summary>
    private long BinFor(int objectsOut) => (_layout.Objects - objectsOut - 1) * 8 / _layout.Objects;

    /// <summary>Returns objects that are out or not; those that are not must be told, and change nothing.</summary>
    private void Return(List<nuint> objects, int cpu)
    {
        int faults = 0;
        nuint firstFault = 0;
        foreach (nuint address in objects)
        {
            if (_isOut.Remove(address))
            {
                _outOfSlab[SlabOf(address)]--;
            }
            else if (faults++ == 0)
            {
                firstFault = address;
            }
        }

        _out.RemoveAll(address => !_isOut.Contains(address));
        (long, long, long, long) before = (_lists->FreeObjects, _lists->Slabs, _lists->FullSlabs, _lists->FreeSlabs);
        SlabFault fault = default;
        fixed (nuint* first = objects.ToArray())
        {
            SlabLists.ReturnObjects(_lists, first, objects.Count, cpu, &fault);
        }

        Assert.Equal(faults, fault.Count);
        Assert.Equal(firstFault, fault.Object);
        Assert.True(_lists->FreeSlabs <= _lists->FreeSlabsMax);
        if (faults == objects.Count)
        {
            Assert.Equal(before, (_lists->FreeObjects, _lists->Slabs, _lists->FullSlabs, _lists->FreeSlabs));
        }
    }

    /// <summary>Random returns alone would keep all slabs about equally full.</summary>
    private void ReturnMostOfOneSlab(SlabOperation operation)
    {
        if (_out.Count != 0)
        {
            nuint slab = SlabOf(_out[operation.A % _out.Count]);
            List<nuint> ofSlab = _out.FindAll(address => SlabOf(address) == slab);
            Return(Choose(ofSlab, ofSlab.Count - (operation.B % 3), operation.B), 0);
        }
    }

    private void Release(long keep, int cpu)
    {
        long free = _lists->FreeSlabs;
        int released = SlabLists.ReleaseFreeSlabs(_lists, keep, cpu);
        Assert.Equal(Math.Max(0, free - keep), released);
        Assert.Equal(Math.Min(free, keep), _lists->FreeSlabs);
    }

    private void Check()
    {
        Assert.Equal(SlabListsFault.None, SlabLists.Validate(_lists));
        int full = 0;
        int partial = 0;
        foreach (int objectsOut in _outOfSlab.Values)
        {
            full += objectsOut == _layout.Objects ? 1 : 0;
            partial += objectsOut != 0 && objectsOut != _layout.Objects ? 1 : 0;
        }

        Assert.Equal(full, _lists->FullSlabs);
        Assert.Equal(partial, _lists->PartialSlabs);
        Assert.Equal(_lists->Slabs * _layout.Objects, _lists->FreeObjects + _out.Count);
        Assert.Equal((_lists->Slabs << _layout.Order) + _lists->BitTablePages, _zone.Statistics.AllocatedPages);
    }

    private nuint SlabOf(nuint address) => address & ~(_layout.SlabBytes - 1);

    /// <summary>Up to so many different ones of the list, in the order of a stride through it.</summary>
    private static List<nuint> Choose(List<nuint> from, int count, int start)
    {
        List<nuint> chosen = [];
        for (int index = 0; index < count && index < from.Count; index++)
        {
            // A row of neighbours or, by the parity of the start, both ends in turn.
            int at = start % 2 == 0 || index % 2 == 0 ? index : from.Count - index;
            nuint address = from[(start + at) % from.Count];
            if (!chosen.Contains(address))
            {
                chosen.Add(address);
            }
        }

        return chosen;
    }
}
