using System;
using System.Collections.Generic;
using System.Numerics;
using EntityStore.Rules;

namespace EntityStore.Managed;

/// <summary>The same with an object for each entity, in a list and in lists of the grid's cells, to compare.</summary>
internal sealed class ManagedWorld : IWorld
{
    private readonly List<Entity> _entities = [];
    private readonly List<Entity>[] _cells;
    private readonly int _cellsPerSide;
    private readonly float _side;

    private sealed class Entity(Birth birth)
    {
        private const int TrailLength = 16;

        public Body Body = birth.Body;
        public Entity? Target;
        private readonly Vector2[] _trail = new Vector2[TrailLength];

        public int FramesLeft { get; set; } = birth.Frames;

        public int Health { get; set; } = Birth.Health;

        public bool Hunts { get; } = birth.Hunts;

        /// <summary>Whoever still refers to it must see that it is gone.</summary>
        public bool IsGone { get; set; }

        public int Seen { get; private set; }

        public Vector2 Oldest => _trail[Seen <= TrailLength ? 0 : Seen % TrailLength];

        public void Leave(Vector2 point) => _trail[Seen++ % TrailLength] = point;
    }

    public ManagedWorld(int cellsPerSide)
    {
        _cellsPerSide = cellsPerSide;
        _side = cellsPerSide * Physics.CellSide;
        _cells = new List<Entity>[cellsPerSide * cellsPerSide];
        for (int cell = 0; cell < _cells.Length; cell++)
        {
            _cells[cell] = [];
        }
    }

    public int Count => _entities.Count;

    public IEnumerable<(string Name, long Bytes)> OffHeap => [];

    public void Spawn(Birth birth) => _entities.Add(new Entity(birth));

    public void RemoveDead()
    {
        for (int place = 0; place < Count;)
        {
            Entity entity = _entities[place];
            if (entity.FramesLeft > 0 && entity.Health > 0)
            {
                place++;
                continue;
            }

            entity.IsGone = true;
            entity.Target = null;
            _entities[place] = _entities[^1];
            _entities.RemoveAt(Count - 1);
        }
    }

    public void Chase(ref Dice dice)
    {
        foreach (Entity entity in _entities)
        {
            if (!entity.Hunts)
            {
                continue;
            }

            if (entity.Target == null || entity.Target.IsGone)
            {
                entity.Target = _entities[dice.Next(Count)];
            }

            Physics.Chase(ref entity.Body, entity.Target.Body.Position);
        }
    }

    public void Move()
    {
        foreach (Entity entity in _entities)
        {
            entity.Leave(entity.Body.Position);
            Physics.Move(ref entity.Body, _side);
            entity.FramesLeft--;
        }
    }

    public void Collide()
    {
        Array.ForEach(_cells, static cell => cell.Clear());
        foreach (Entity entity in _entities)
        {
            _cells[Physics.CellOf(entity.Body.Position, _cellsPerSide)].Add(entity);
        }

        for (int cell = 0; cell < _cells.Length; cell++)
        {
            List<Entity> here = _cells[cell];
            for (int index = 0; index < here.Count; index++)
            {
                CollideWith(here[index], here, index + 1);
            }

            bool hasLeft = cell % _cellsPerSide != 0;
            bool hasRight = cell % _cellsPerSide != _cellsPerSide - 1;
            bool hasBelow = cell + _cellsPerSide < _cells.Length;
            CollideAll(here, hasRight ? cell + 1 : -1);
            CollideAll(here, hasBelow && hasLeft ? cell + _cellsPerSide - 1 : -1);
            CollideAll(here, hasBelow ? cell + _cellsPerSide : -1);
            CollideAll(here, hasBelow && hasRight ? cell + _cellsPerSide + 1 : -1);
        }
    }

    public ulong Checksum()
    {
        Checksum checksum = default;
        foreach (Entity entity in _entities)
        {
            checksum.Add(entity.Body.Position);
            checksum.Add(entity.Body.Velocity);
            checksum.Add(entity.FramesLeft);
            checksum.Add(entity.Health);
            checksum.Add(entity.Seen);
            checksum.Add(entity.Seen != 0 ? entity.Oldest : default);
        }

        return checksum.Value;
    }

    public void Dispose()
    {
        // There is nothing to free: a collection finds it some day.
    }

    private void CollideAll(List<Entity> here, int cell)
    {
        if (cell >= 0)
        {
            foreach (Entity entity in here)
            {
                CollideWith(entity, _cells[cell], 0);
            }
        }
    }

    private static void CollideWith(Entity entity, List<Entity> others, int first)
    {
        for (int index = first; index < others.Count; index++)
        {
            if (Physics.Collide(ref entity.Body, ref others[index].Body))
            {
                entity.Health--;
                others[index].Health--;
            }
        }
    }
}
