using System;
using System.Collections.Generic;
using System.Linq;
using EntityStore.Rules;
using Kmem;

namespace EntityStore.OffHeap;

/// <summary>Entities in Kmem: a list for each component, a cache for what must not move. The garbage collector sees a dozen objects, and no frame allocates.</summary>
internal sealed class KmemWorld : IWorld
{
    private const int PageBytes = 4096;

    private readonly KmemHeap _heap = new(new KmemHeapOptions { Name = "world" });
    private readonly KmemCache<Trail> _trailCache;
    private readonly EntityTable _entities;
    private readonly NativeList<Body> _bodies;
    private readonly NativeList<Life> _lives;
    private readonly NativeList<Hunt> _hunts;
    private readonly NativeList<TrailReference> _trails;
    private readonly Grid _grid;
    private readonly float _side;

    private struct Life
    {
        public int FramesLeft;
        public int Health;

        public readonly bool IsOver => FramesLeft <= 0 || Health <= 0;
    }

    private struct Hunt
    {
        public bool Hunts;
        public EntityHandle Target;
    }

    public KmemWorld(int cellsPerSide)
    {
        _trailCache = KmemCache.OfObjects<Trail>("trails", new KmemCacheOptions { Heap = _heap });
        _entities = new EntityTable(_heap);
        _bodies = new NativeList<Body>(heap: _heap);
        _lives = new NativeList<Life>(heap: _heap);
        _hunts = new NativeList<Hunt>(heap: _heap);
        _trails = new NativeList<TrailReference>(heap: _heap);
        _grid = new Grid(cellsPerSide, _heap);
        _side = cellsPerSide * Physics.CellSide;
    }

    public int Count => _entities.Count;

    /// <summary>A cache's slabs, also what is free in them. Lists have pages of their own, or are in the caches of their size while they are small.</summary>
    public IEnumerable<(string Name, long Bytes)> OffHeap
    {
        get
        {
            KmemStatistics statistics = _heap.GetStatistics();
            return statistics.Caches
                .Where(static cache => !cache.IsInternal && cache.LiveObjects != 0)
                .Select(static cache => (cache.Name, cache.Slabs * (PageBytes << cache.Order)))
                .Append(("lists", (long)statistics.LargeRequestedBytes));
        }
    }

    public void Spawn(Birth birth)
    {
        _ = _entities.Add();
        _bodies.Add(birth.Body);
        _lives.Add(new Life { FramesLeft = birth.Frames, Health = Birth.Health });
        _hunts.Add(new Hunt { Hunts = birth.Hunts });
        _trails.Add(TrailReference.Take(_trailCache));
    }

    public void RemoveDead()
    {
        for (int place = 0; place < Count;)
        {
            if (!_lives[place].IsOver)
            {
                place++;
                continue;
            }

            _trails[place].Free(_trailCache);
            _entities.RemoveAt(place);
            _bodies.RemoveAtSwapBack(place);
            _lives.RemoveAtSwapBack(place);
            _hunts.RemoveAtSwapBack(place);
            _trails.RemoveAtSwapBack(place);
        }
    }

    public void Chase(ref Dice dice)
    {
        Span<Hunt> hunts = _hunts.AsSpan();
        Span<Body> bodies = _bodies.AsSpan();
        for (int place = 0; place < hunts.Length; place++)
        {
            if (!hunts[place].Hunts)
            {
                continue;
            }

            if (!_entities.TryFind(hunts[place].Target, out int target))
            {
                target = dice.Next(Count);
                hunts[place].Target = _entities.HandleAt(target);
            }

            Physics.Chase(ref bodies[place], bodies[target].Position);
        }
    }

    public void Move()
    {
        Span<Body> bodies = _bodies.AsSpan();
        Span<Life> lives = _lives.AsSpan();
        Span<TrailReference> trails = _trails.AsSpan();
        for (int place = 0; place < bodies.Length; place++)
        {
            trails[place].Value.Add(bodies[place].Position);
            Physics.Move(ref bodies[place], _side);
            lives[place].FramesLeft--;
        }
    }

    public void Collide()
    {
        _grid.Sort(_bodies.AsSpan());
        int side = _grid.CellsPerSide;
        for (int cell = 0; cell < side * side; cell++)
        {
            ReadOnlySpan<int> places = _grid[cell];
            for (int index = 0; index < places.Length; index++)
            {
                CollideWith(places[index], places[(index + 1)..]);
            }

            // Of the eight cells around, those after this one: the others have seen it as theirs.
            bool hasLeft = cell % side != 0;
            bool hasRight = cell % side != side - 1;
            bool hasBelow = cell + side < side * side;
            CollideAll(places, hasRight ? cell + 1 : -1);
            CollideAll(places, hasBelow && hasLeft ? cell + side - 1 : -1);
            CollideAll(places, hasBelow ? cell + side : -1);
            CollideAll(places, hasBelow && hasRight ? cell + side + 1 : -1);
        }
    }

    public ulong Checksum()
    {
        Checksum checksum = default;
        for (int place = 0; place < Count; place++)
        {
            checksum.Add(_bodies[place].Position);
            checksum.Add(_bodies[place].Velocity);
            checksum.Add(_lives[place].FramesLeft);
            checksum.Add(_lives[place].Health);
            ref Trail trail = ref _trails[place].Value;
            checksum.Add(trail.Seen);
            checksum.Add(trail.Seen != 0 ? trail.Oldest : default);
        }

        return checksum.Value;
    }

    /// <summary>The heap goes, and everything in it at once: nobody has to free a hundred thousand entities at the end of a level.</summary>
    public void Dispose() => _heap.Dispose();

    private void CollideAll(ReadOnlySpan<int> places, int cell)
    {
        if (cell >= 0)
        {
            ReadOnlySpan<int> others = _grid[cell];
            foreach (int place in places)
            {
                CollideWith(place, others);
            }
        }
    }

    private void CollideWith(int place, ReadOnlySpan<int> others)
    {
        Span<Body> bodies = _bodies.AsSpan();
        foreach (int other in others)
        {
            if (Physics.Collide(ref bodies[place], ref bodies[other]))
            {
                _lives[place].Health--;
                _lives[other].Health--;
            }
        }
    }
}
