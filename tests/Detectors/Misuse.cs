using System;

namespace Kmem.Tests.Detectors;

/// <summary>One mistake, as a small program.</summary>
/// <param name="Name">On the command line.</param>
/// <param name="Title">In the table.</param>
/// <param name="Commit">Makes the mistake, and what a program that made it does next by itself. What throws here was found at once.</param>
/// <param name="AllocateAgain">Allocates and frees another one of the kind.</param>
public sealed record Misuse(string Name, string Title, Action Commit, Action AllocateAgain)
{
    /// <summary>Where the mistake is found when it is found at once, for the table.</summary>
    public string AtOnce { get; init; } = "at the free";

    /// <summary>Whether it reads or writes where it must not, so that on guarded pages it may fault.</summary>
    public bool Touches { get; init; }
}

/// <summary>What may come across a mistake that was not found at once.</summary>
public enum Finder
{
    /// <summary>One more allocation of the kind.</summary>
    Next,

    /// <summary>Some thousand allocations and frees.</summary>
    Later,

    /// <summary>Everything that was freed goes back to its slabs.</summary>
    Flush,

    /// <summary><see cref="KmemHeap.Validate"/>.</summary>
    Validate,
}
