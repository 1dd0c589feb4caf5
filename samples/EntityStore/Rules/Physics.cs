using System;
using System.Numerics;

namespace EntityStore.Rules;

/// <summary>How bodies move. Both stores use this: they differ in where the bodies are, not in what happens to them.</summary>
internal static class Physics
{
    /// <summary>Seconds of a frame. Fixed: a slow frame takes longer, and comes to the same.</summary>
    public const float StepSeconds = 1f / 60;

    /// <summary>Side of a cell of the grid that finds neighbours; no less than two radii, so that bodies that touch are in neighbouring cells.</summary>
    public const float CellSide = 4;

    private const float Radius = 1;
    private const float Pull = 20;

    /// <summary>A square with two bodies in a cell, on average.</summary>
    public static int CellsPerSideFor(int entities) => Math.Max(1, (int)Math.Ceiling(Math.Sqrt(entities / 2.0)));

    /// <summary>Number of the cell that a position is in, row by row.</summary>
    public static int CellOf(Vector2 position, int cellsPerSide)
    {
        int column = Math.Clamp((int)(position.X / CellSide), 0, cellsPerSide - 1);
        int row = Math.Clamp((int)(position.Y / CellSide), 0, cellsPerSide - 1);
        return (row * cellsPerSide) + column;
    }

    /// <summary>A frame's way, with walls that throw back.</summary>
    public static void Move(ref Body body, float side)
    {
        body.Position += body.Velocity * StepSeconds;
        Bounce(ref body.Position.X, ref body.Velocity.X, side);
        Bounce(ref body.Position.Y, ref body.Velocity.Y, side);
    }

    /// <summary>Turns a hunter towards what it hunts.</summary>
    public static void Chase(ref Body body, Vector2 target)
    {
        Vector2 way = target - body.Position;
        float length = MathF.Sqrt((way.X * way.X) + (way.Y * way.Y));
        if (length > Radius)
        {
            body.Velocity += way * (Pull * StepSeconds / length);
        }
    }

    /// <summary>Two bodies of one mass that touch and come closer exchange what they have of speed along the line between them.</summary>
    /// <returns>Whether they did.</returns>
    public static bool Collide(ref Body one, ref Body other)
    {
        Vector2 way = other.Position - one.Position;
        float square = (way.X * way.X) + (way.Y * way.Y);
        if (square is >= 4 * Radius * Radius or 0)
        {
            return false;
        }

        Vector2 difference = other.Velocity - one.Velocity;
        float closing = ((difference.X * way.X) + (difference.Y * way.Y)) / square;
        if (closing >= 0)
        {
            return false;
        }

        one.Velocity += way * closing;
        other.Velocity -= way * closing;
        return true;
    }

    private static void Bounce(ref float position, ref float velocity, float side)
    {
        if (position < 0 || position > side)
        {
            position = Math.Clamp(position, 0, side);
            velocity = -velocity;
        }
    }
}
