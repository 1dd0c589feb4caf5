using System.Runtime.InteropServices;
using System.Threading;

namespace Kmem.Pooling;

/// <summary>
/// The owners of one CPU that wait for their next lease, and the counts of what passed by here. A CPU's threads come one at a time, as a rule: whoever finds
/// the shard taken goes to the next.
/// </summary>
/// <remarks>
/// Owners are taken from the front and put at the back, and never while fewer than <see cref="Window"/> wait: whoever still holds an owner that was returned holds
/// one that nobody else has, until <see cref="Window"/> - 1 others were returned after it. The memory does not wait with them: it went back to the heap.
/// </remarks>
internal sealed class LeaseShard
{
    /// <summary>Owners that must wait before the oldest is taken.</summary>
    public const int Window = 32;

    /// <summary>With so many, the oldest <see cref="Window"/> go to the depot.</summary>
    public const int CountMax = 3 * Window;

    private State _state;

    /// <summary>Leases that began here.</summary>
    public long Rents => Volatile.Read(ref _state.Rents);

    /// <summary>Leases that ended here, wherever they began.</summary>
    public long Returns => Volatile.Read(ref _state.Returns);

    /// <summary>Bytes of the ones less those of the others: the sum over all shards is what is rented.</summary>
    public long Bytes => Volatile.Read(ref _state.Bytes);

    /// <summary>Owners that wait.</summary>
    public int Count => Volatile.Read(ref _state.Count);

    public bool TryEnter() => Interlocked.CompareExchange(ref _state.Taken, 1, 0) == 0;

    public void Exit() => Volatile.Write(ref _state.Taken, 0);

    /// <summary>Who calls this and what follows has entered.</summary>
    public void CountRent(int bytes)
    {
        _state.Rents++;
        _state.Bytes += bytes;
    }

    public void CountReturn(int bytes)
    {
        _state.Returns++;
        _state.Bytes -= bytes;
    }

    /// <summary>A rent that came to nothing.</summary>
    public void TakeBackRent(int bytes)
    {
        _state.Rents--;
        _state.Bytes -= bytes;
    }

    /// <summary>The owner that waits the longest; null where too few wait.</summary>
    public SlabLease? TakeOldest()
    {
        if (_state.Count < Window)
        {
            return null;
        }

        SlabLease oldest = _state.First!;
        _state.First = oldest.Next;
        _state.Count--;
        oldest.Next = null;
        return oldest;
    }

    public void Add(SlabLease owner)
    {
        if (_state.Count == 0)
        {
            _state.First = owner;
        }
        else
        {
            _state.Last!.Next = owner;
        }

        _state.Last = owner;
        _state.Count++;
    }

    /// <summary>Puts a chain of <see cref="Window"/> owners behind the others.</summary>
    public void AddBatch(SlabLease batch)
    {
        while (batch.Next is SlabLease next)
        {
            batch.Next = null;
            Add(batch);
            batch = next;
        }

        Add(batch);
    }

    /// <summary>The oldest <see cref="Window"/> owners as a chain, where there are too many.</summary>
    public SlabLease? TakeBatch()
    {
        if (_state.Count < CountMax)
        {
            return null;
        }

        SlabLease first = _state.First!;
        SlabLease last = first;
        for (int count = 1; count < Window; count++)
        {
            last = last.Next!;
        }

        _state.First = last.Next;
        _state.Count -= Window;
        last.Next = null;
        return first;
    }

    /// <summary>Lets all owners go; the garbage collector has them.</summary>
    public void Clear()
    {
        _state.First = null;
        _state.Last = null;
        _state.Count = 0;
    }

    /// <summary>With room on both sides, so that two CPUs do not write to one line.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 192)]
    private struct State
    {
        public SlabLease? First;
        public SlabLease? Last;
        public long Rents;
        public long Returns;
        public long Bytes;
        public int Count;
        public int Taken;
    }
}
