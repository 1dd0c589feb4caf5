using System;
using System.Runtime.InteropServices;
using System.Threading;

namespace Kmem.Tool.Bench.Workloads;

/// <summary>
/// Hands objects from one thread to another in parcels of 64, so that handing over costs little of an object's time. A ring
/// of parcels, each empty or full; one thread sends and one receives, and nobody blocks.
/// </summary>
internal sealed class ParcelQueue<TBlock>
    where TBlock : struct
{
    public const int ParcelObjects = 64;

    public const int Parcels = 16;

    private readonly TBlock[] _objects = new TBlock[Parcels * ParcelObjects];

    // Whether a parcel is full, 1, or empty, 0: written by the sender when it is 0 and by the receiver when it is 1. The sender's
    // own position stands behind them, and the receiver's behind that.
    private readonly LonelyWord[] _words = new LonelyWord[Parcels + 2];

    private ref int SenderParcel => ref _words[Parcels].Value;

    private ref int ReceiverParcel => ref _words[Parcels + 1].Value;

    /// <summary>The next parcel to fill, where there is one.</summary>
    public bool TryGetEmpty(out Span<TBlock> parcel) => TryGet(SenderParcel, wanted: 0, out parcel);

    /// <summary>Sends the parcel that <see cref="TryGetEmpty"/> gave.</summary>
    public void Send() => Pass(ref SenderParcel, state: 1);

    /// <summary>The next parcel to empty, where there is one.</summary>
    public bool TryGetFull(out Span<TBlock> parcel) => TryGet(ReceiverParcel, wanted: 1, out parcel);

    /// <summary>Gives the parcel back that <see cref="TryGetFull"/> gave.</summary>
    public void Return() => Pass(ref ReceiverParcel, state: 0);

    private bool TryGet(int parcel, int wanted, out Span<TBlock> objects)
    {
        objects = _objects.AsSpan(parcel * ParcelObjects, ParcelObjects);

        // Whoever sees the state sees the objects that were stored, or taken, before it.
        return Volatile.Read(ref _words[parcel].Value) == wanted;
    }

    private void Pass(ref int parcel, int state)
    {
        Volatile.Write(ref _words[parcel].Value, state);
        parcel = (parcel + 1) % Parcels;
    }
}

/// <summary>A word without neighbours: no other is on its cache line or on the next, which processors fetch with it.</summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal struct LonelyWord
{
    [FieldOffset(128)]
    public int Value;
}
