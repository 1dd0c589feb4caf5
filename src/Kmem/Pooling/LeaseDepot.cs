using System.Threading;

namespace Kmem.Pooling;

/// <summary>Owners in batches, between CPUs that rent and CPUs that return. The oldest batch goes first. What is too many is left to the garbage collector.</summary>
internal sealed class LeaseDepot
{
    /// <summary>16,384 owners: about 1.5 MB.</summary>
    public const int BatchesMax = 512;

    private readonly Lock _lock = new();
    private SlabLease? _first;
    private SlabLease? _last;
    private int _count;

    /// <summary>Owners that wait here.</summary>
    public int OwnerCount => Volatile.Read(ref _count) * LeaseShard.Window;

    /// <summary>The oldest batch, or null.</summary>
    public SlabLease? Take()
    {
        if (Volatile.Read(ref _count) == 0)
        {
            return null;
        }

        lock (_lock)
        {
            SlabLease? batch = _first;
            if (batch != null)
            {
                _first = batch.NextBatch;
                _count--;
                batch.NextBatch = null;
            }

            return batch;
        }
    }

    public void Put(SlabLease batch)
    {
        lock (_lock)
        {
            if (_count == BatchesMax)
            {
                return;
            }

            if (_first == null)
            {
                _first = batch;
            }
            else
            {
                _last!.NextBatch = batch;
            }

            _last = batch;
            _count++;
        }
    }

    public void Clear()
    {
        lock (_lock)
        {
            _first = null;
            _last = null;
            _count = 0;
        }
    }
}
