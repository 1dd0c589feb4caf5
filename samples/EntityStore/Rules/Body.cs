using System;
using System.Numerics;

namespace EntityStore.Rules;

/// <summary>Where an entity is and where it goes: units, and units a second.</summary>
internal struct Body
{
    public Vector2 Position;
    public Vector2 Velocity;
}

/// <summary>What an entity is born with.</summary>
/// <param name="Body">Where.</param>
/// <param name="Frames">Frames that it lives.</param>
/// <param name="Hunts">Whether it runs after another one.</param>
internal readonly record struct Birth(Body Body, int Frames, bool Hunts)
{
    public const int Health = 20;

    private const int FramesLeast = 30;
    private const int FramesMost = 90;
    private const int HuntersOneIn = 8;
    private const float Speed = 30;

    public static Birth Roll(ref Dice dice, float side)
    {
        Vector2 position = new(dice.Next() * side, dice.Next() * side);
        Vector2 velocity = new((dice.Next() - 0.5f) * Speed, (dice.Next() - 0.5f) * Speed);
        return new Birth(new Body { Position = position, Velocity = velocity }, FramesLeast + dice.Next(FramesMost - FramesLeast), dice.Next(HuntersOneIn) == 0);
    }
}

/// <summary>Random numbers (SplitMix64) that are the same everywhere.</summary>
internal struct Dice(ulong seed)
{
    private ulong _state = seed;

    /// <summary>0 to just below 1.</summary>
    public float Next() => (Roll() >> 40) * (1f / (1 << 24));

    /// <summary>0 to just below the bound.</summary>
    public int Next(int bound) => (int)(((Roll() >> 32) * (ulong)bound) >> 32);

    private ulong Roll()
    {
        _state += 0x9E3779B97F4A7C15;
        ulong mixed = (_state ^ (_state >> 30)) * 0xBF58476D1CE4E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
        return mixed ^ (mixed >> 31);
    }
}

/// <summary>A number for the whole state of a world: two that went the same way have the same one.</summary>
internal struct Checksum
{
    public ulong Value { get; private set; }

    public void Add(int number) => Value = BitOperations.RotateLeft((Value ^ (uint)number) * 0x9E3779B97F4A7C15, 29);

    public void Add(Vector2 vector)
    {
        Add(BitConverter.SingleToInt32Bits(vector.X));
        Add(BitConverter.SingleToInt32Bits(vector.Y));
    }
}
