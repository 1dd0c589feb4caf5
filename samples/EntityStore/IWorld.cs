using System;
using System.Collections.Generic;
using EntityStore.Rules;

namespace EntityStore;

/// <summary>Entities, and what happens to all of them in a frame. Two worlds that are asked the same come to the same checksum.</summary>
internal interface IWorld : IDisposable
{
    public int Count { get; }

    public void Spawn(Birth birth);

    /// <summary>Takes out what has no health or no time left; the last entity takes its place.</summary>
    public void RemoveDead();

    /// <summary>Turns hunters towards their targets. Who has lost its own, since that is gone, chooses another.</summary>
    public void Chase(ref Dice dice);

    /// <summary>Moves everything by a frame, and keeps where it was.</summary>
    public void Move();

    /// <summary>Bodies that touch throw each other back, and cost each other health.</summary>
    public void Collide();

    public ulong Checksum();

    /// <summary>Bytes off the garbage collector's heap by what is in them.</summary>
    public IEnumerable<(string Name, long Bytes)> OffHeap { get; }
}
