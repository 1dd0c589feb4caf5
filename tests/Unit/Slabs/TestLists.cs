using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using Kmem.Engine.Pages;
using Kmem.Engine.Slabs;
using Xunit;

namespace Kmem.Tests.Unit;

/// <summary>The slab lists of one imaginary cache on a zone of their own, and what is out of them.</summary>
internal sealed unsafe class TestLists : IDisposable
{
    public const ushort CacheIndex = 50;

    public TestLists(uint size, uint alignment = 0, nuint reserveBytes = 64 * TestZone.MiB, SlabRule rule = SlabRule.Default)
    {
        Zone = new TestZone(reserveBytes);
        Assert.True(Zone.Initialized);
        Layout = SlabLayout.Compute(size, alignment, rule, 2, cacheLineAligned: false);
        Pointer = (SlabLists*)NativeMemory.AllocZeroed((nuint)sizeof(SlabLists));
        SlabLists.Initialize(Pointer, Zone, Layout, new SlabOwner(CacheIndex, hasFronts: true), Mobility.Unmovable);
    }

    public TestZone Zone { get; }

    public SlabLists* Pointer { get; }

    public SlabLayout Layout { get; }

    /// <summary>What <see cref="Return(ReadOnlySpan{nuint})"/> was told last.</summary>
    public SlabFault Fault { get; private set; }

    public nuint[] Take(int count)
    {
        nuint[] objects = new nuint[count];
        fixed (nuint* start = objects)
        {
            int taken = SlabLists.TakeObjects(Pointer, start, count, 0);
            Array.Resize(ref objects, taken);
        }

        return objects;
    }

    /// <summary>So many objects, however many calls that takes.</summary>
    public List<nuint> TakeAll(int count)
    {
        List<nuint> objects = [];
        while (objects.Count < count)
        {
            nuint[] taken = Take(count - objects.Count);
            Assert.NotEmpty(taken);
            objects.AddRange(taken);
        }

        return objects;
    }

    public void Return(params ReadOnlySpan<nuint> objects)
    {
        SlabFault fault = default;
        fixed (nuint* start = objects)
        {
            SlabLists.ReturnObjects(Pointer, start, objects.Length, 0, &fault);
        }

        Fault = fault;
    }

    public void Return(List<nuint> objects) => Return(CollectionsMarshal.AsSpan(objects));

    public Page* HeadOf(nuint address) => Slab.HeadOf(Kmem.Engine.Pages.Zone.PageOf(Zone, (void*)address));

    public SlabListsFault Validate() => SlabLists.Validate(Pointer);

    /// <summary>A private field, for tests that damage it.</summary>
    public void* FieldOf(string name) => (byte*)Pointer + (nint)Marshal.OffsetOf<SlabLists>(name);

    public void Dispose()
    {
        Zone.Dispose();
        NativeMemory.Free(Pointer);
    }
}
