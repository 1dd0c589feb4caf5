using System;
using System.Buffers;
using System.Threading;

namespace Kmem.Pooling;

/// <summary>
/// What a pool hands out: the owner of a block and its memory manager in one object. Its address is 0 between two leases, so that each use needs one look to
/// know that it comes too late, and the one exchange of a return tells which of two came first.
/// </summary>
/// <param name="pool">Where it came from and goes back to.</param>
internal sealed unsafe class SlabLease(SlabMemoryPool pool) : MemoryManager<byte>, IMemoryOwner<byte>
{
    private nuint _address;

    /// <summary>Of this lease or, between two, of the last.</summary>
    private int _lengthBytes;

    /// <summary>Next one in its shard or batch.</summary>
    internal SlabLease? Next;

    /// <summary>Of the first owner of a batch in the depot.</summary>
    internal SlabLease? NextBatch;

    /// <summary>Where its last lease began and ended, as numbers of <see cref="Diagnostics.StackDepot"/>; 0 where leases are not checked.</summary>
    internal uint RentedAt;

    internal uint ReturnedAt;

    /// <summary>Frees nothing: spans and pointers into the block may be in use. It only tells.</summary>
#pragma warning disable CA2015 // That is what the rule is afraid of.
    ~SlabLease()
#pragma warning restore CA2015
    {
        if (_address != 0)
        {
            pool.NoticeLost(this);
        }
    }

    /// <summary>Its last block, for reports.</summary>
    internal nuint LastAddress { get; private set; }

    internal int LengthBytes => _lengthBytes;

    /// <summary>Whether this owner is for one lease only, so that every mistake with it can be told from those with others.</summary>
    internal bool IsChecked { get; init; }

    /// <inheritdoc/>
    public override Memory<byte> Memory
    {
        get
        {
            if (Volatile.Read(ref _address) == 0 || pool.IsHeapGone)
            {
                pool.ThrowReturned(this, "Memory");
            }

            return CreateMemory(_lengthBytes);
        }
    }

    /// <inheritdoc/>
    public override Span<byte> GetSpan()
    {
        nuint address = Volatile.Read(ref _address);
        int lengthBytes = Volatile.Read(ref _lengthBytes);
        if (address == 0 || Volatile.Read(ref _address) != address || pool.IsHeapGone)
        {
            // The second look sees to it that the length is that of the block, whatever other threads do.
            pool.ThrowReturned(this, "Span");
        }

        // SAFETY: the block has that many bytes until it is returned.
        return new Span<byte>((void*)address, lengthBytes);
    }

    /// <inheritdoc/>
    public override MemoryHandle Pin(int elementIndex = 0)
    {
        nuint address = Volatile.Read(ref _address);
        if (address == 0 || pool.IsHeapGone)
        {
            pool.ThrowReturned(this, "Pin");
        }

        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)elementIndex, (uint)_lengthBytes, nameof(elementIndex));
        return new MemoryHandle((byte*)address + elementIndex);
    }

    /// <summary>Nothing: the memory never moves.</summary>
    public override void Unpin()
    {
    }

    /// <summary>In place of the base class's, which would ask for the finalizer to be left out at each return.</summary>
#pragma warning disable CA1816 // The next lease wants it.
    void IDisposable.Dispose() => Dispose(disposing: true);
#pragma warning restore CA1816

    internal void Begin(nuint address, int lengthBytes)
    {
        _lengthBytes = lengthBytes;
        LastAddress = address;
        Volatile.Write(ref _address, address);
    }

    /// <summary>There will be no other lease.</summary>
#pragma warning disable CA1816 // Called from Dispose by way of the pool.
    internal void Retire() => GC.SuppressFinalize(this);
#pragma warning restore CA1816

    /// <summary>The block, for the first who asks; 0 for those after.</summary>
    internal nuint End() => Interlocked.Exchange(ref _address, 0);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            pool.Return(this);
        }
    }
}
