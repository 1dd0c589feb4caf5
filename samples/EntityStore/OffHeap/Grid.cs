using System;
using EntityStore.Rules;
using Kmem;

namespace EntityStore.OffHeap;

/// <summary>Places of entities by the cell that they are in: one list, sorted by cell, and where each cell starts in it. Made anew each frame by counting, in the memory that it has.</summary>
internal sealed class Grid(int cellsPerSide, KmemHeap heap)
{
    /// <summary>Of each cell, and at last the end.</summary>
    private readonly KmemMemory<int> _starts = heap.AllocMemory<int>((cellsPerSide * cellsPerSide) + 1);
    private readonly NativeList<int> _places = new(heap: heap);

    public int CellsPerSide => cellsPerSide;

    /// <summary>The places in a cell, in order.</summary>
    public ReadOnlySpan<int> this[int cell]
    {
        get
        {
            Span<int> starts = _starts.GetSpan();
            return _places.AsSpan()[starts[cell]..starts[cell + 1]];
        }
    }

    public void Sort(ReadOnlySpan<Body> bodies)
    {
        MakeRoom(bodies.Length);
        Span<int> starts = _starts.GetSpan();
        Span<int> places = _places.AsSpan();

        // How many are in each cell, then where each cell ends, then backwards to where it starts.
        starts.Clear();
        foreach (ref readonly Body body in bodies)
        {
            starts[Physics.CellOf(body.Position, cellsPerSide)]++;
        }

        int end = 0;
        foreach (ref int start in starts)
        {
            end += start;
            start = end;
        }

        for (int place = bodies.Length - 1; place >= 0; place--)
        {
            places[--starts[Physics.CellOf(bodies[place].Position, cellsPerSide)]] = place;
        }
    }

    private void MakeRoom(int count)
    {
        while (_places.Count < count)
        {
            _places.Add(0);
        }
    }
}
