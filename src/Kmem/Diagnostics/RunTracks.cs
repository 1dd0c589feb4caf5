using System.Collections.Generic;
using System.Threading;

namespace Kmem.Diagnostics;

/// <summary>Who allocated the large allocations of one heap, which have pages and not slabs: what a track is for an object, in a table. Called with the letter U only, for which each costs some 100 ns more.</summary>
internal sealed class RunTracks
{
    /// <summary>The name that letters are given by, and that stands in tables.</summary>
    public const string Name = "(large)";

    private readonly Lock _lock = new();
    private readonly Dictionary<nuint, RunTrack> _tracks = [];

    public void Add(nuint address, nuint requestedBytes, nuint scope)
    {
        RunTrack track = new(requestedBytes, Engine.Face.CaptureStack(), Engine.Face.CurrentThreadNumber(), Engine.Face.CoarseMilliseconds(), scope);
        lock (_lock)
        {
            _tracks[address] = track;
        }
    }

    public void Resize(nuint address, nuint requestedBytes)
    {
        lock (_lock)
        {
            if (_tracks.TryGetValue(address, out RunTrack track))
            {
                _tracks[address] = track with { RequestedBytes = requestedBytes };
            }
        }
    }

    public void Remove(nuint address)
    {
        lock (_lock)
        {
            _ = _tracks.Remove(address);
        }
    }

    /// <summary>The letter is off: frees will not be told any more.</summary>
    public void Clear()
    {
        lock (_lock)
        {
            _tracks.Clear();
        }
    }

    public bool TryGet(nuint address, out RunTrack track)
    {
        lock (_lock)
        {
            return _tracks.TryGetValue(address, out track);
        }
    }

    /// <summary>Another scope, if it is still of this one.</summary>
    public bool TryMove(nuint address, nuint scope, nuint next)
    {
        lock (_lock)
        {
            bool moves = _tracks.TryGetValue(address, out RunTrack track) && track.Scope == scope;
            if (moves)
            {
                _tracks[address] = track with { Scope = next };
            }

            return moves;
        }
    }

    public KeyValuePair<nuint, RunTrack>[] All()
    {
        lock (_lock)
        {
            return [.. _tracks];
        }
    }
}

/// <summary>One live large allocation.</summary>
/// <param name="RequestedBytes">As it was asked for.</param>
/// <param name="Stack">Number of a stack.</param>
/// <param name="Thread">Who it was.</param>
/// <param name="Milliseconds">By the face's coarse clock.</param>
/// <param name="Scope">The scope that it was allocated in, or 0.</param>
internal readonly record struct RunTrack(nuint RequestedBytes, uint Stack, uint Thread, uint Milliseconds, nuint Scope);
